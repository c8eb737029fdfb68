"""A followed stream is looked at often, and ever more rarely while it is quiet on a service that charges for each look."""

import asyncio
from dataclasses import replace

import pytest

from northstar.context import RequestContext
from storage.backends.filesystem import FilesystemDocuments
from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent
from storage.stream_hub import HubSettings, StreamHub
from tests.storage.stores import FilesystemStores

POLL = 0.005
ACME = RequestContext("acme", "dev", "lab")


class PaidDocuments(FilesystemDocuments):
    limits = replace(FilesystemDocuments.limits, reads_cost=True)


def stores(tmp_path, driver):
    return FilesystemStores(tmp_path, driver)


async def pauses(store, *, quiet_polls):
    """Return the pause before the next poll: after so many quiet ones, and after an event."""
    hub = StreamHub(lambda _context: store, lambda _event: b"", HubSettings(POLL, POLL * 4, 10, 10))
    async with hub.joined(ACME, "orders") as channel:
        while channel._quiet_polls < quiet_polls:
            await asyncio.sleep(0)
        quiet = channel._pause()
        # Beside us: by the time that a plain append returned, the channel could have found the stream quiet again.
        appending = asyncio.create_task(asyncio.to_thread(store.append, "orders", [NewEvent("placed", {})]))
        while channel.head.position == 0:
            await asyncio.sleep(0)
        busy = channel._pause()
        await appending
        return quiet, busy


@pytest.mark.parametrize(("driver", "expected"), [(PaidDocuments, POLL * 4), (FilesystemDocuments, POLL)])
def test_only_a_paid_and_quiet_stream_is_polled_more_rarely(lab, driver, expected):
    opened = stores(lab, driver)
    store = opened.open(EventStream, "event_stream")
    assert asyncio.run(pauses(store, quiet_polls=3)) == (expected, POLL)
    opened.close()
