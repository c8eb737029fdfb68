"""Errors of DynamoDB and of the AWS SDK, as a caller of the driver meets them."""

from collections.abc import Iterator

import pytest
from botocore import exceptions as sdk

from northstar.errors import NorthstarError
from storage.backends.dynamodb import DynamoDBDocuments
from storage.backends.dynamodb_errors import translated
from storage.backends.service import Unanswered
from storage.documents import ABSENT, BulkPut, Increment, Put, Written
from storage.errors import BackendRejected, BackendUnavailable, Throttled
from storage.guard import GuardedDocuments
from tests.contract.document_contract import COLLECTION, PARTITION, all_keys, all_written, ref, stored
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.stack.aws_faults import AwsFaults
from tests.stack.fault_proxy import fault_proxy
from tests.stack.fixtures import AwsAccount

URL = "http://127.0.0.1:1"


@pytest.fixture
def dynamodb(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def driver(dynamodb: DynamoDBLab) -> DynamoDBDocuments:
    return dynamodb.prepared()


@pytest.fixture
def documents(driver: DynamoDBDocuments) -> GuardedDocuments:
    return guarded(driver)


@pytest.fixture
def faults(driver: DynamoDBDocuments) -> AwsFaults:
    return AwsFaults(driver.native().meta.events)


@pytest.mark.parametrize(
    ("code", "words", "fix"),
    [
        ("ResourceNotFoundException", "table does not exist", "routes prepare"),
        ("AccessDeniedException", "does not allow GetItem", "dynamodb:GetItem"),
        ("UnrecognizedClientException", "does not accept the credentials", "keys"),
        ("InvalidSignatureException", "does not accept the credentials", "clock"),
        ("ExpiredTokenException", "does not accept the credentials", "keys"),
        ("ValidationException", "refused GetItem", "routes prepare"),
        ("SomethingNew", "refused GetItem \\(SomethingNew\\)", "routes prepare"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_repeated(documents, faults, code, words, fix):
    faults.error("GetItem", code)
    with pytest.raises(BackendRejected, match=words) as refusal:
        documents.get(ref("k"))
    assert fix in refusal.value.fix
    assert faults.attempts == {"GetItem": 1}


@pytest.mark.parametrize("fault", ["throttle", "internal_error", "unavailable"])
def test_a_read_is_repeated_by_the_guard_alone(documents, faults, fault):
    getattr(faults, fault)("GetItem", times=2)
    assert documents.get(ref("k")) is None
    assert faults.attempts == {"GetItem": 3}
    getattr(faults, fault)("GetItem", times=3)
    with pytest.raises(BackendUnavailable) as told:
        documents.get(ref("k"))
    assert not isinstance(told.value, Unanswered)


@pytest.mark.parametrize(
    ("operation", "write"),
    [
        ("PutItem", lambda documents: documents.put(ref("k"), {"n": 2})),
        ("PutItem", lambda documents: documents.put(ref("new"), {"n": 2}, expect=ABSENT)),
        ("PutItem", lambda documents: documents.delete(ref("k"))),
        ("UpdateItem", lambda documents: documents.increment(ref("k"), {"n": 1})),
        ("TransactWriteItems", lambda documents: documents.write(COLLECTION, PARTITION, [Put("a", {}), Put("b", {})])),
    ],
)
def test_a_throttled_write_is_sent_again_and_then_told(documents, faults, operation, write):
    documents.put(ref("k"), {"n": 1})
    faults.attempts.clear()
    faults.error(operation, "ProvisionedThroughputExceededException", times=2)
    write(documents)
    assert faults.attempts[operation] == 3
    documents.put(ref("k"), {"n": 1})
    faults.throttle(operation, times=9)
    with pytest.raises(Throttled):
        write(documents)


def test_a_write_whose_answer_was_an_error_of_the_server_is_looked_up(documents, faults):
    faults.internal_error("PutItem")
    assert documents.put(ref("k"), {"n": 1}, expect=ABSENT).version == stored(documents, "k").version
    assert faults.attempts == {"PutItem": 2, "BatchGetItem": 1, "GetItem": 1}


@pytest.mark.parametrize("reason", ["TransactionConflict", "ConditionalCheckFailed", "ThrottlingError"])
def test_a_cancelled_transaction_is_decided_anew(documents, faults, reason):
    faults.cancel_transaction("None", reason, times=2)
    assert all_written(documents.write(COLLECTION, PARTITION, [Put("a", {}), Put("b", {})]))
    assert faults.attempts["TransactWriteItems"] == 3


def test_a_transaction_that_is_refused_is_told_with_its_reasons(documents, faults):
    faults.cancel_transaction("None", "ItemCollectionSizeLimitExceeded")
    with pytest.raises(BackendRejected, match=r"\(ItemCollectionSizeLimitExceeded\)"):
        documents.write(COLLECTION, PARTITION, [Put("a", {}), Put("b", {})])
    assert all_keys(documents) == []


@pytest.mark.parametrize(
    ("operation", "write"),
    [
        ("PutItem", lambda documents: documents.put(ref("k"), {"n": 2})),
        ("PutItem", lambda documents: documents.delete(ref("k"))),
        ("UpdateItem", lambda documents: documents.increment(ref("k"), {"n": 1})),
        ("TransactGetItems", lambda documents: documents.put(ref("k"), {"n": 2}, operation_id="a")),
    ],
)
def test_a_transaction_under_way_on_the_document_is_waited_for(documents, faults, operation, write):
    documents.put(ref("k"), {"n": 1})
    code, details = "TransactionConflictException", {}
    if operation == "TransactGetItems":
        code, details = "TransactionCanceledException", {"CancellationReasons": [{"Code": "TransactionConflict"}]}
    faults.error(operation, code, times=1, **details)
    write(documents)
    assert documents.get(ref("k")) is None or stored(documents, "k").fields == {"n": 2}


class TestBulk:
    """A bulk tells of each document what happened to it, and does not wait for a service that is away."""

    def test_a_batch_whose_answer_was_lost_is_looked_up(self, documents, faults):
        faults.internal_error("BatchWriteItem")
        outcomes = documents.put_many([BulkPut(ref(key), {"key": key}) for key in "abc"])
        assert [outcome.version for outcome in outcomes] == [stored(documents, key).version for key in "abc"]

    def test_a_batch_that_happened_although_its_answer_was_lost_happens_once(self, dynamodb, documents):
        with fault_proxy(dynamodb.account.endpoint.removeprefix("http://")) as proxy:
            broken = guarded(dynamodb.driver(proxy.url))
            assert all_keys(broken) == []
            proxy.drop_response(once=1)
            outcomes = broken.put_many([BulkPut(ref(key), {"key": key}) for key in "abc"])
        found = [stored(documents, key) for key in "abc"]
        assert outcomes == [Written(document.version, document.updated_at) for document in found]

    def test_a_refused_batch_is_the_outcome_of_its_documents(self, documents, faults):
        faults.error("BatchWriteItem", "AccessDeniedException")
        outcomes = documents.put_many([BulkPut(ref(f"k{number:02}"), {}) for number in range(30)])
        assert [type(outcome) for outcome in outcomes] == [BackendRejected] * 25 + [Written] * 5

    def test_a_batch_under_a_transaction_is_sent_again(self, documents, faults):
        faults.error("BatchWriteItem", "TransactionConflictException")
        assert all_written(documents.put_many([BulkPut(ref("k"), {})]))

    def test_a_service_that_is_away_is_not_asked_for_every_batch(self, dynamodb):
        with fault_proxy(dynamodb.account.endpoint.removeprefix("http://")) as proxy:
            proxy.refuse()
            driver = dynamodb.driver(proxy.url)
            faults = AwsFaults(driver.native().meta.events)
            plain = [BulkPut(ref(f"k{number:03}"), {}) for number in range(200)]
            created = [BulkPut(ref(f"n{number:03}"), {}, ABSENT) for number in range(50)]
            outcomes = guarded(driver).put_many([*plain, *created])
        assert {type(outcome) for outcome in outcomes} == {BackendUnavailable}
        assert faults.attempts == {"BatchWriteItem": 3}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sdk.EndpointConnectionError(endpoint_url=URL), BackendUnavailable),
        (sdk.ConnectTimeoutError(endpoint_url=URL), BackendUnavailable),
        (sdk.ReadTimeoutError(endpoint_url=URL), Unanswered),
        (sdk.ConnectionClosedError(endpoint_url=URL), Unanswered),
        (sdk.SSLError(endpoint_url=URL, error="EOF occurred in violation of protocol"), Unanswered),
        (sdk.SSLError(endpoint_url=URL, error="[SSL: CERTIFICATE_VERIFY_FAILED]"), BackendRejected),
        (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), Unanswered),
        (sdk.NoCredentialsError(), BackendRejected),
        (sdk.CredentialRetrievalError(provider="p", error_msg="SecretAccessKey: canary"), BackendRejected),
        (sdk.ParamValidationError(report="canary"), BackendRejected),
        (ValueError("canary"), Unanswered),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_every_error_of_the_sdk_is_one_of_ours(error, kind):
    told = translated(error)
    assert type(told) is kind
    assert isinstance(told, NorthstarError)
    assert "canary" not in f"{told} {told.fix}"


def test_an_increment_that_dynamodb_cannot_do_is_done_by_compare_and_set(documents, faults):
    documents.put(ref("k"), {"n": 1})
    faults.error("UpdateItem", "ValidationException")
    assert documents.increment(ref("k"), {"n": 1}).values == {"n": 2}
    faults.error("UpdateItem", "TransactionConflictException")
    assert documents.increment(ref("k"), {"n": 1}).values == {"n": 3}
    many = {f"n{number}": 1 for number in range(30)}
    assert documents.increment(ref("k"), many).values == many
    assert documents.write(COLLECTION, PARTITION, [Increment("k", {"n": 1})])[0].values == {"n": 4}
