"""The document contract, over Firestore as our own server speaks it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.document_contract import DocumentKeyContract, OpenDocuments
from tests.contract.document_contract_bulk import DocumentAtomicContract, DocumentBulkContract
from tests.contract.document_contract_counters import DocumentCounterContract
from tests.contract.document_contract_expiry import DocumentExpiryContract
from tests.contract.document_contract_listing import DocumentListingContract
from tests.contract.document_contract_values import DocumentValueContract
from tests.contract.document_contract_writes import DocumentRepetitionContract, DocumentWriteContract
from tests.contract.firestore_lab import opened
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


class TestAtomicWrites(DocumentAtomicContract):
    """Over our own server."""


class TestCounters(DocumentCounterContract):
    """Over our own server."""


class TestExpiry(DocumentExpiryContract):
    """Over our own server."""


class TestListing(DocumentListingContract):
    """Over our own server."""
