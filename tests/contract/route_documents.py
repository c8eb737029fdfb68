"""The document contract, over whatever route `manage.py conformance` was asked to try; no part of the ordinary tests."""

from tests.contract.document_contract import DocumentKeyContract
from tests.contract.document_contract_bulk import DocumentAtomicContract, DocumentBulkContract
from tests.contract.document_contract_counters import DocumentCounterContract
from tests.contract.document_contract_expiry import DocumentExpiryContract
from tests.contract.document_contract_listing import DocumentListingContract
from tests.contract.document_contract_values import DocumentValueContract
from tests.contract.document_contract_writes import DocumentRepetitionContract, DocumentWriteContract


class TestKeys(DocumentKeyContract):
    backend = "route"


class TestValues(DocumentValueContract):
    backend = "route"


class TestWrites(DocumentWriteContract):
    backend = "route"


class TestRepetitions(DocumentRepetitionContract):
    backend = "route"


class TestBulk(DocumentBulkContract):
    backend = "route"


class TestAtomicWrites(DocumentAtomicContract):
    backend = "route"


class TestCounters(DocumentCounterContract):
    backend = "route"


class TestExpiry(DocumentExpiryContract):
    backend = "route"


class TestListing(DocumentListingContract):
    backend = "route"
