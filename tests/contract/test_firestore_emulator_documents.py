"""The document contract, over Firestore as Google's emulator speaks it."""

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

backend = "firestore (Google emulator)"


@pytest.fixture
def open_documents(firestore_emulator_project: FirestoreProject, settings: Any) -> Iterator[OpenDocuments]:
    with opened(firestore_emulator_project, settings) as open_them:
        yield open_them


class TestKeys(DocumentKeyContract):
    """Over Google's emulator."""


class TestValues(DocumentValueContract):
    """Over Google's emulator."""


class TestWrites(DocumentWriteContract):
    """Over Google's emulator."""


class TestRepetitions(DocumentRepetitionContract):
    """Over Google's emulator."""


class TestBulk(DocumentBulkContract):
    """Over Google's emulator."""

    throttles = True

    @pytest.mark.line(52)
    def test_what_a_throttled_service_left_over_is_sent_again(self):
        pytest.skip("emulator: Google's never throttles")


class TestAtomicWrites(DocumentAtomicContract):
    """Over Google's emulator."""


class TestCounters(DocumentCounterContract):
    """Over Google's emulator."""


class TestExpiry(DocumentExpiryContract):
    """Over Google's emulator."""


class TestListing(DocumentListingContract):
    """Over Google's emulator."""
