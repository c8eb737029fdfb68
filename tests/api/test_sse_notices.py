"""An event that another process appended wakes a stream's readers at once, where there is a Redis to say so."""

import pytest

from tests.api.test_sse_live import append, follow
from tests.server import running_server

pytestmark = pytest.mark.server
NEVER = "3600"


def test_a_stream_that_is_never_polled_shows_what_another_process_appended(tmp_path, redis_url):
    settings = {"REDIS_URL": redis_url, "NORTHSTAR_SSE_POLL_SECONDS": NEVER, "NORTHSTAR_SSE_HEARTBEAT_SECONDS": "0.2"}
    with running_server(tmp_path, **settings) as reading, running_server(tmp_path, **settings) as writing:
        append(writing, 1)
        with follow(reading) as stream:
            assert [event["data"] for event in stream.events(1)] == [1]
            for number in (2, 3):
                append(writing, number)
                assert [event["data"] for event in stream.events(1)] == [number]
