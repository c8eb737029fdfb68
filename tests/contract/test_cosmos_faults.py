"""The Cosmos driver when the network between the SDK and the server breaks."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from tests.contract.cosmos_lab import BACKEND, cosmos_config
from tests.contract.fault_contract import DocumentFaultContract, OpenAt, StreamFaultContract


@pytest.fixture
def server_address(cosmos_database) -> str:
    return str(cosmos_database.url).removeprefix("http://").rstrip("/")


@pytest.fixture
def open_at(cosmos_database) -> Iterator[OpenAt]:
    with ExitStack() as opened:
        direct = CosmosDocuments(cosmos_config(cosmos_database), mode=LAB, epoch=1)
        direct.prepare()
        direct.close()

        def open_them(address: str) -> GuardedDocuments:
            config = cosmos_config(cosmos_database, endpoint=f"http://{address}")
            driver = opened.enter_context(closing(CosmosDocuments(config, mode=LAB, epoch=1)))
            return GuardedDocuments(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "cosmos"))

        yield open_them


class TestFaults(DocumentFaultContract):
    backend = BACKEND


class TestStreamFaults(StreamFaultContract):
    backend = BACKEND
