"""What every backend's document tests share: acme's documents, made from the module's own `open_documents`."""

import time
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from time_machine import escape_hatch

from storage.guard import GuardedDocuments
from tests.contract.document_contract import OpenDocuments


@pytest.fixture(autouse=True)
def deadlines_by_the_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC reckons its deadlines by the wall clock: a test that travels in time must not take them along."""
    if find_spec("grpc"):
        monkeypatch.setattr("grpc._channel.time", SimpleNamespace(**vars(time) | {"time": _real_time}))


def _real_time() -> float:
    return escape_hatch.time.time() if escape_hatch.is_travelling() else time.time()


@pytest.fixture
def documents(open_documents: OpenDocuments) -> GuardedDocuments:
    """Acme's documents."""
    return open_documents()


@pytest.fixture
def served_at() -> str:
    """Where Northstar serves presigned requests itself: nowhere, and of no use to a service that takes them."""
    return ""
