"""The document contract, over Cosmos DB: our own test server, through the official SDK."""

from collections.abc import Iterator

import pytest

from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from tests.contract.cosmos_lab import BACKEND, cosmos_config
from tests.contract.document_contract import DocumentKeyContract, OpenDocuments
from tests.contract.document_contract_bulk import DocumentAtomicContract, DocumentBulkContract
from tests.contract.document_contract_counters import DocumentCounterContract
from tests.contract.document_contract_expiry import DocumentExpiryContract
from tests.contract.document_contract_listing import DocumentListingContract
from tests.contract.document_contract_values import DocumentValueContract
from tests.contract.document_contract_writes import DocumentRepetitionContract, DocumentWriteContract


@pytest.fixture
def open_documents(cosmos_database) -> Iterator[OpenDocuments]:
    """One driver over a database of its own for all scopes, as one route has."""
    driver = CosmosDocuments(cosmos_config(cosmos_database), mode=LAB, epoch=1)
    driver.prepare()

    def open_them(tenant="acme", env="dev", project=None, surface="_") -> GuardedDocuments:
        scope = Scope(tenant, env, project, surface)
        return GuardedDocuments(driver, scope=scope, served_by=ServedBy(1, 1, "cosmos"), kind="tabular_store")

    yield open_them
    driver.close()


class TestKeys(DocumentKeyContract):
    backend = BACKEND


class TestValues(DocumentValueContract):
    backend = BACKEND


class TestWrites(DocumentWriteContract):
    backend = BACKEND


class TestRepetitions(DocumentRepetitionContract):
    backend = BACKEND


class TestBulk(DocumentBulkContract):
    backend = BACKEND


class TestAtomicWrites(DocumentAtomicContract):
    backend = BACKEND


class TestCounters(DocumentCounterContract):
    backend = BACKEND


class TestExpiry(DocumentExpiryContract):
    backend = BACKEND


class TestListing(DocumentListingContract):
    backend = BACKEND
