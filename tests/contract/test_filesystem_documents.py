"""The document contract, over files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from northstar.modes import LAB
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from tests.contract.document_contract import DocumentKeyContract, OpenDocuments
from tests.contract.document_contract_bulk import DocumentAtomicContract, DocumentBulkContract
from tests.contract.document_contract_counters import DocumentCounterContract
from tests.contract.document_contract_expiry import DocumentExpiryContract
from tests.contract.document_contract_listing import DocumentListingContract
from tests.contract.document_contract_values import DocumentValueContract
from tests.contract.document_contract_writes import DocumentRepetitionContract, DocumentWriteContract


@pytest.fixture
def open_documents(lab: Path) -> Iterator[OpenDocuments]:
    """One driver over `tmp_path` for all scopes, as one route has; `none` is the durability that a test of behaviour needs."""
    driver = FilesystemDocuments(FilesystemConfig(durability="none"), mode=LAB, epoch=1)

    def open_them(tenant="acme", env="dev", project=None, surface="_") -> GuardedDocuments:
        scope = Scope(tenant, env, project, surface)
        return GuardedDocuments(driver, scope=scope, served_by=ServedBy(1, 1, "filesystem"), kind="tabular_store")

    yield open_them
    driver.close()


class TestKeys(DocumentKeyContract):
    backend = "filesystem"


class TestValues(DocumentValueContract):
    backend = "filesystem"


class TestWrites(DocumentWriteContract):
    backend = "filesystem"


class TestRepetitions(DocumentRepetitionContract):
    backend = "filesystem"


class TestBulk(DocumentBulkContract):
    backend = "filesystem"


class TestAtomicWrites(DocumentAtomicContract):
    backend = "filesystem"


class TestCounters(DocumentCounterContract):
    backend = "filesystem"


class TestExpiry(DocumentExpiryContract):
    backend = "filesystem"


class TestListing(DocumentListingContract):
    backend = "filesystem"
