"""Faults of DynamoDB reach the caller through botocore's own retries and parsing, and what they leave out is really left out."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.stack.aws_faults import AwsFaults
from tests.stack.dynamodb import create_table, table_client
from tests.stack.fixtures import AwsAccount

TABLE = "things"
TWO_ATTEMPTS = Config(retries={"mode": "standard", "total_max_attempts": 2})


@pytest.fixture
def client(aws_account: AwsAccount) -> Any:
    return table_client(aws_account, TABLE, TWO_ATTEMPTS)


@pytest.fixture
def faults(client: Any) -> AwsFaults:
    return AwsFaults(client.meta.events)


def put(client: Any, key: str = "a") -> None:
    client.put_item(TableName=TABLE, Item={"pk": {"S": key}})


def keys(client: Any) -> set[str]:
    return {item["pk"]["S"] for item in client.scan(TableName=TABLE)["Items"]}


def test_throttling_is_retried_by_botocore(client: Any, faults: AwsFaults):
    faults.throttle("PutItem")
    put(client)
    assert faults.attempts["PutItem"] == 2
    assert keys(client) == {"a"}


def test_throttling_that_goes_on_reaches_the_caller(client: Any, faults: AwsFaults):
    faults.error("PutItem", "ProvisionedThroughputExceededException", times=2)
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        put(client)
    assert keys(client) == set()


@pytest.mark.parametrize(("fault", "status"), [("internal_error", 500), ("unavailable", 503)])
def test_a_broken_server_is_reported_with_its_status(client: Any, faults: AwsFaults, fault: str, status: int):
    getattr(faults, fault)("GetItem", times=2)
    with pytest.raises(ClientError) as failed:
        client.get_item(TableName=TABLE, Key={"pk": {"S": "a"}})
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_other_operations_are_left_alone(client: Any, faults: AwsFaults):
    faults.throttle("GetItem")
    put(client)
    assert faults.attempts == {"PutItem": 1}


@pytest.mark.parametrize("processed", [0, 1, 2])
def test_a_batch_is_written_in_part(client: Any, faults: AwsFaults, processed: int):
    faults.process_only("BatchWriteItem", processed)
    requests = [{"PutRequest": {"Item": {"pk": {"S": key}}}} for key in "abc"]
    left = client.batch_write_item(RequestItems={TABLE: requests})["UnprocessedItems"]
    assert left == {TABLE: requests[processed:]}
    assert keys(client) == set("abc"[:processed])
    assert client.batch_write_item(RequestItems=left)["UnprocessedItems"] == {}
    assert keys(client) == set("abc")


@pytest.mark.parametrize("processed", [0, 2])
def test_a_batch_is_read_in_part(client: Any, faults: AwsFaults, processed: int):
    for key in "abc":
        put(client, key)
    faults.process_only("BatchGetItem", processed)
    wanted = {"Keys": [{"pk": {"S": key}} for key in "abc"], "ConsistentRead": True}
    answer = client.batch_get_item(RequestItems={TABLE: wanted})
    assert len(answer["Responses"].get(TABLE, [])) == processed
    assert answer["UnprocessedKeys"] == {TABLE: {"Keys": wanted["Keys"][processed:], "ConsistentRead": True}}


def test_a_batch_over_two_tables_is_divided_in_order(client: Any, faults: AwsFaults):
    create_table(client, "others")
    faults.process_only("BatchWriteItem", 2)
    requests = [{"PutRequest": {"Item": {"pk": {"S": key}}}} for key in "ab"]
    left = client.batch_write_item(RequestItems={TABLE: requests[:1], "others": requests})["UnprocessedItems"]
    assert left == {"others": requests[1:]}


def test_a_transaction_is_cancelled_for_a_reason_per_item(client: Any, faults: AwsFaults):
    faults.cancel_transaction("None", "TransactionConflict")
    puts = [{"Put": {"TableName": TABLE, "Item": {"pk": {"S": key}}}} for key in "ab"]
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        client.transact_write_items(TransactItems=puts)
    reasons = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "TransactionConflict"]
    assert keys(client) == set()


def test_faults_of_a_session_meet_the_clients_that_it_makes(aws_account: AwsAccount):
    session = boto3.Session()
    faults = AwsFaults(session.events)
    client = session.client("dynamodb", config=TWO_ATTEMPTS, **aws_account.options)
    create_table(client, TABLE)
    faults.throttle("PutItem")
    put(client)
    assert faults.attempts["PutItem"] == 2
