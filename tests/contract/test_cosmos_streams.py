"""The event stream's contract over the Cosmos driver: our own test server, through the official SDK."""

import pytest

from northstar.context import RequestContext
from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.event_stream import EventStream
from tests.contract.cosmos_lab import BACKEND, cosmos_config
from tests.contract.stream_contract import StreamContract


@pytest.fixture
def open_streams(cosmos_database):
    driver = CosmosDocuments(cosmos_config(cosmos_database), mode=LAB, epoch=1)
    driver.prepare()

    def open_them(tenant="acme") -> EventStream:
        guarded = GuardedDocuments(
            driver, scope=Scope(tenant, "dev"), served_by=ServedBy(1, 1, "cosmos"), kind="event_stream"
        )
        return EventStream(guarded, RequestContext(tenant, "dev", LAB))

    yield open_them
    driver.close()


class TestCosmosStreams(StreamContract):
    backend = BACKEND
