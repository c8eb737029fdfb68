"""The Firestore driver when the network between the SDK and the server breaks."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from storage.guard import GuardedDocuments
from tests.contract.fault_contract import DocumentFaultContract, OpenAt, StreamFaultContract
from tests.contract.firestore_lab import BACKEND, allow, driver_at, guarded
from tests.stack.fixtures import FirestoreProject


@pytest.fixture
def server_address(firestore_project: FirestoreProject) -> str:
    return firestore_project.address


@pytest.fixture
def open_at(firestore_project: FirestoreProject, settings: Any) -> Iterator[OpenAt]:
    allow(settings, "127.0.0.1:*")
    with ExitStack() as opened:

        def open_them(address: str) -> GuardedDocuments:
            return guarded(opened.enter_context(closing(driver_at(firestore_project, address))))

        yield open_them


class TestFaults(DocumentFaultContract):
    backend = BACKEND


class TestStreamFaults(StreamFaultContract):
    backend = BACKEND
