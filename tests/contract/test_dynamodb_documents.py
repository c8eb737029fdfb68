"""The document contract, over DynamoDB by MiniStack."""

from collections.abc import Iterator
from functools import partial

import pytest

from storage.documents import BulkPut
from tests.contract.document_contract import DocumentKeyContract, OpenDocuments, all_keys, all_written, ref
from tests.contract.document_contract_bulk import DocumentAtomicContract, DocumentBulkContract
from tests.contract.document_contract_counters import DocumentCounterContract
from tests.contract.document_contract_expiry import DocumentExpiryContract
from tests.contract.document_contract_listing import DocumentListingContract
from tests.contract.document_contract_values import DocumentValueContract
from tests.contract.document_contract_writes import DocumentRepetitionContract, DocumentWriteContract
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.stack.aws_faults import AwsFaults
from tests.stack.fixtures import AwsAccount

MINISTACK = "dynamodb (MiniStack)"


@pytest.fixture
def lab_of_account(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def open_documents(lab_of_account: DynamoDBLab) -> OpenDocuments:
    """One driver and one table for all scopes, as one route has."""
    return partial(guarded, lab_of_account.prepared())


class TestKeys(DocumentKeyContract):
    backend = MINISTACK


class TestValues(DocumentValueContract):
    backend = MINISTACK


class TestWrites(DocumentWriteContract):
    backend = MINISTACK


class TestRepetitions(DocumentRepetitionContract):
    backend = MINISTACK


class TestBulk(DocumentBulkContract):
    backend = MINISTACK
    throttles = True

    @pytest.mark.line(52)
    def test_what_a_throttled_service_left_over_is_sent_again(self, documents):
        faults = AwsFaults(documents._driver.native().meta.events)
        faults.process_only("BatchWriteItem", 7)
        faults.process_only("BatchWriteItem", 0, times=2)
        keys = [f"k{number:02}" for number in range(60)]
        assert all_written(documents.put_many([BulkPut(ref(key), {"key": key}) for key in keys]))
        faults.process_only("BatchGetItem", 5)
        faults.process_only("BatchGetItem", 0, times=2)
        assert [document.fields["key"] for document in documents.get_many([ref(key) for key in keys])] == keys
        assert faults.attempts == {"BatchWriteItem": 6, "BatchGetItem": 4}
        assert all_keys(documents) == keys


class TestAtomicWrites(DocumentAtomicContract):
    backend = MINISTACK


class TestCounters(DocumentCounterContract):
    backend = MINISTACK


class TestExpiry(DocumentExpiryContract):
    backend = MINISTACK


class TestListing(DocumentListingContract):
    backend = MINISTACK
