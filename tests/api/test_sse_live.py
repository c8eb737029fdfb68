"""Streams of the real server, over real connections."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent
from tests.server import running_server
from tests.storage.stores import FilesystemStores

pytestmark = pytest.mark.server
PATH = "/api/v1/storage/streams/orders/events"
RESUMED, QUIET, IDLE = (PATH.replace("orders", name) for name in ("resumed", "quiet", "idle"))
IDLE_STREAMS = 40
MOST_HEARTBEATS = 150
"""Half a minute of them: a test that waits for an event that never comes fails instead of waiting for ever."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("home"), NORTHSTAR_SSE_HEARTBEAT_SECONDS="0.2") as running:
        yield running


class Lines:
    """One open stream, read line by line from its socket."""

    def __init__(self, response):
        self.response = response
        self.last_id: str | None = None

    def frame(self):
        """Return the fields of the next frame, {} for a comment, None at the end."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            if line == "\n":
                self.last_id = fields.get("id", self.last_id)
                return fields
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
        return None

    def events(self, count):
        found: list[dict[str, Any]] = []
        quiet = 0
        while len(found) < count:
            fields = self.frame()
            assert fields is not None, "the stream ended"
            quiet = 0 if fields else quiet + 1
            assert quiet < MOST_HEARTBEATS, "nothing but heartbeats comes"
            if "id" in fields and "data" in fields:
                found.append(json.loads(fields["data"]))
        return found


@contextmanager
def follow(server, tenant="acme", last_event_id=None, path=PATH):
    headers = {
        "Accept": "text/event-stream",
        "Accept-Encoding": "gzip",
        "Authorization": f"Bearer {server.tokens[tenant]}",
    }
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    connection = server.connect()
    try:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            yield Lines(response)
    finally:
        connection.close()


def append(server, *numbers, path=PATH):
    events = [{"type": "counted", "data": number} for number in numbers]
    status, _, body = server.request("POST", path, {"events": events})
    assert status == 201, body


def numbers_of(events):
    return [event["data"] for event in events]


@pytest.mark.line(124)
def test_a_client_follows_drops_and_resumes(server):
    append(server, 1, 2, path=RESUMED)
    with follow(server, path=RESUMED) as stream:
        assert stream.response.getheader("Content-Encoding") == "identity"
        assert numbers_of(stream.events(2)) == [1, 2]
        append(server, 3, path=RESUMED)
        assert numbers_of(stream.events(1)) == [3]
    append(server, 4, 5, path=RESUMED)
    with follow(server, last_event_id=stream.last_id, path=RESUMED) as resumed:
        assert numbers_of(resumed.events(2)) == [4, 5]


def test_what_another_process_appends_arrives(server, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(server.home)]
    stores = FilesystemStores(server.home)
    elsewhere = stores.open(EventStream, "event_stream", folder=".")
    path = PATH.replace("orders", "elsewhere")
    try:
        with follow(server, path=path) as stream:
            elsewhere.append("elsewhere", [NewEvent("counted", 1)])
            assert numbers_of(stream.events(1)) == [1]
            append(server, 2, path=path)
            elsewhere.append("elsewhere", [NewEvent("counted", 3)])
            assert numbers_of(stream.events(2)) == [2, 3]
    finally:
        stores.close()


def test_a_quiet_stream_sends_heartbeats_and_globex_hears_nothing_of_acme(server):
    append(server, 6, path=QUIET)
    with follow(server, tenant="globex", path=QUIET) as stream:
        frames = [stream.frame() for _ in range(6)]
    assert {fields.get("event") for fields in frames} == {None, "up-to-date"}
    assert frames.count({}) >= 2


def test_idle_streams_take_no_threads(server):
    def threads():
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("Threads:")).split()[1])

    append(server, 7, path=IDLE)
    with follow(server, path=IDLE) as warm_up:
        warm_up.events(1)
    before = threads()
    opened = [follow(server, path=IDLE) for _ in range(IDLE_STREAMS)]
    try:
        for context in opened:
            context.__enter__().events(1)
        assert threads() - before <= 8  # the pool that all streams share, and nothing per stream
    finally:
        for context in opened:
            context.__exit__(None, None, None)


def test_a_server_that_is_told_to_stop_ends_its_streams_and_itself(tmp_path):
    with running_server(tmp_path / "home") as server:
        append(server, 1)
        with follow(server) as stream:
            stream.events(1)
            server.process.terminate()
            frames = []
            while (fields := stream.frame()) is not None:
                frames.append(fields)
        assert "retry" in frames[-1]
        assert server.process.wait(10) == 0
