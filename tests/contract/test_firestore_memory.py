"""Sessions and blackboards over Firestore as our own server speaks it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.firestore_lab import allow, driver_at
from tests.contract.memory_contract import (
    BlackboardContract,
    MemoryIsolationContract,
    OpenMemory,
    SessionContract,
)
from tests.contract.memory_lab import opened_memory
from tests.stack.fixtures import FirestoreProject

backend = "firestore (test server)"


@pytest.fixture
def open_memory(firestore_project: FirestoreProject, settings: Any) -> Iterator[OpenMemory]:
    allow(settings, firestore_project.address)
    with opened_memory(lambda: driver_at(firestore_project), "firestore") as open_it:
        yield open_it


class TestSessions(SessionContract):
    pass


class TestBlackboards(BlackboardContract):
    pass


class TestIsolation(MemoryIsolationContract):
    pass
