"""The event stream's contract, over Firestore as our own server speaks it."""

from collections.abc import Iterator
from typing import Any

import pytest

from storage.kinds.event_stream import EventStream
from tests.contract.firestore_lab import opened_kinds
from tests.contract.stream_contract import OpenStreams, StreamContract
from tests.stack.fixtures import FirestoreProject


@pytest.fixture
def open_streams(firestore_project: FirestoreProject, settings: Any) -> Iterator[OpenStreams]:
    with opened_kinds(firestore_project, settings, EventStream, "event_stream") as open_them:
        yield open_them


class TestStreams(StreamContract):
    backend = "firestore (test server)"
