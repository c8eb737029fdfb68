"""The document contract, over Firestore as our own server speaks it."""

from collections.abc import Iterator
from typing import Any

import pytest

from storage.documents import BulkPut
from tests.contract.document_contract import DocumentKeyContract, OpenDocuments, all_keys, all_written, ref
from tests.contract.document_contract_bulk import DocumentAtomicContract, DocumentBulkContract
from tests.contract.document_contract_counters import DocumentCounterContract
from tests.contract.document_contract_expiry import DocumentExpiryContract
from tests.contract.document_contract_listing import DocumentListingContract
from tests.contract.document_contract_values import DocumentValueContract
from tests.contract.document_contract_writes import DocumentRepetitionContract, DocumentWriteContract
from tests.contract.firestore_lab import Control, opened
from tests.stack.fixtures import FirestoreProject

backend = "firestore (test server)"


@pytest.fixture
def open_documents(firestore_project: FirestoreProject, settings: Any) -> Iterator[OpenDocuments]:
    with opened(firestore_project, settings) as open_them:
        yield open_them


class TestKeys(DocumentKeyContract):
    """Over our own server."""


class TestValues(DocumentValueContract):
    """Over our own server."""


class TestWrites(DocumentWriteContract):
    """Over our own server."""


class TestRepetitions(DocumentRepetitionContract):
    """Over our own server."""


class TestBulk(DocumentBulkContract):
    """Over our own server."""

    throttles = True

    @pytest.mark.line(52)
    def test_what_a_throttled_service_left_over_is_sent_again(self, documents, firestore_project):
        control = Control(firestore_project)
        control.fault("BatchWrite", "RESOURCE_EXHAUSTED", count=2)
        keys = [f"k{number:02}" for number in range(60)]
        control.calls()
        assert all_written(documents.put_many([BulkPut(ref(key), {"key": key}) for key in keys]))
        assert control.calls() == {"BatchWrite": 3}
        assert all_keys(documents) == keys


class TestAtomicWrites(DocumentAtomicContract):
    """Over our own server."""


class TestCounters(DocumentCounterContract):
    """Over our own server."""


class TestExpiry(DocumentExpiryContract):
    """Over our own server."""


class TestListing(DocumentListingContract):
    """Over our own server."""
