"""Sessions and blackboards over the Cosmos driver: our own test server, through the official SDK."""

from collections.abc import Iterator

import pytest

from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from tests.contract.cosmos_lab import BACKEND, cosmos_config, cosmos_driver
from tests.contract.memory_contract import (
    BlackboardContract,
    MemoryIsolationContract,
    OpenMemory,
    SessionContract,
)
from tests.contract.memory_lab import opened_memory
from tests.stack.fixtures import CosmosDatabase

backend = BACKEND


@pytest.fixture
def open_memory(cosmos_database: CosmosDatabase) -> Iterator[OpenMemory]:
    config = cosmos_config(cosmos_database)
    with (
        cosmos_driver(config),
        opened_memory(lambda: CosmosDocuments(config, mode=LAB, epoch=1), "cosmos") as open_it,
    ):
        yield open_it


class TestSessions(SessionContract):
    pass


class TestBlackboards(BlackboardContract):
    pass


class TestIsolation(MemoryIsolationContract):
    pass
