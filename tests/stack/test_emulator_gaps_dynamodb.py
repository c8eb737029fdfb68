"""Where MiniStack and moto do not do what DynamoDB does: a test that fails here tells that a gap is closed."""

from functools import reduce
from typing import Any

import pytest

from tests.stack.dynamodb import client_of, table_client
from tests.stack.fixtures import AwsAccount

TABLE = "things"
THIRTY_ONE_DIGITS = 10**30 + 1
ITEM_BYTES = 400 * 1024
"""The service's limit of an item, names included."""


@pytest.fixture
def ministack_client(aws_account: AwsAccount) -> Any:
    return table_client(aws_account, TABLE)


@pytest.fixture
def moto_client(locked_moto_account: AwsAccount) -> Any:
    return table_client(locked_moto_account, TABLE)


@pytest.fixture(params=["aws_account", "locked_moto_account"])
def client(request: pytest.FixtureRequest) -> Any:
    return table_client(request.getfixturevalue(request.param), TABLE)


def put(client: Any, key: str, **attributes: dict[str, Any]) -> None:
    client.put_item(TableName=TABLE, Item={"pk": {"S": key}, **attributes})


def added(client: Any, number: int) -> int:
    """Add a number to `n` of the item `sum`, and return what is stored then."""
    client.update_item(**addition(number))
    return int(client.get_item(TableName=TABLE, Key={"pk": {"S": "sum"}})["Item"]["n"]["N"])


def addition(number: int) -> dict[str, Any]:
    return {
        "TableName": TABLE,
        "Key": {"pk": {"S": "sum"}},
        "UpdateExpression": "ADD n :number",
        "ExpressionAttributeValues": {":number": {"N": str(number)}},
    }


def test_neither_throttles_a_table_of_one_write_unit(client: Any):
    client.create_table(
        TableName="slow",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    for number in range(20):
        client.put_item(TableName="slow", Item={"pk": {"S": str(number)}, "text": {"S": "x" * 50_000}})


def test_neither_checks_a_secret_key(aws_account: AwsAccount, locked_moto_account: AwsAccount):
    for account in (aws_account, locked_moto_account):
        forged = AwsAccount(account.endpoint, account.access_key, "forged")
        assert client_of(forged).list_tables()["TableNames"] == []


def test_ministack_answers_a_batch_of_more_than_16_mb_whole(ministack_client: Any):
    for number in range(43):
        put(ministack_client, str(number), text={"S": "x" * 395_000})
    keys = [{"pk": {"S": str(number)}} for number in range(43)]
    answer = ministack_client.batch_get_item(RequestItems={TABLE: {"Keys": keys}})
    assert len(answer["Responses"][TABLE]) == 43
    assert answer["UnprocessedKeys"] == {}


def test_ministack_adds_with_28_digits_and_not_with_38(ministack_client: Any):
    assert added(ministack_client, THIRTY_ONE_DIGITS) == THIRTY_ONE_DIGITS - 1


def test_moto_adds_exactly(moto_client: Any):
    assert added(moto_client, THIRTY_ONE_DIGITS) == THIRTY_ONE_DIGITS


def test_moto_does_a_transaction_again_that_has_the_same_token(moto_client: Any):
    for _ in range(2):
        moto_client.transact_write_items(TransactItems=[{"Update": addition(1)}], ClientRequestToken="op-1")
    assert added(moto_client, 1) == 3


def test_moto_does_not_return_what_an_update_left_as_it_was(moto_client: Any):
    added(moto_client, 1)
    assert "n" not in moto_client.update_item(**addition(0), ReturnValues="UPDATED_NEW").get("Attributes", {})


def test_moto_writes_batches_of_more_than_25(moto_client: Any):
    requests = [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(26)]
    assert moto_client.batch_write_item(RequestItems={TABLE: requests})["UnprocessedItems"] == {}


def test_moto_refuses_items_a_little_below_the_limit(moto_client: Any):
    with pytest.raises(moto_client.exceptions.ClientError, match="Item size has exceeded"):
        put(moto_client, "large", text={"S": "x" * (ITEM_BYTES - 1000)})


def test_moto_commits_transactions_of_more_than_4_mb(moto_client: Any):
    items = [{"pk": {"S": str(number)}, "text": {"S": "x" * 390_000}} for number in range(12)]
    moto_client.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": item}} for item in items])


def test_moto_stores_numbers_of_more_than_38_digits(moto_client: Any):
    put(moto_client, "long", n={"N": "1" * 39})
    put(moto_client, "large", n={"N": "1e126"})


def nested(inner: dict[str, Any], _: int) -> dict[str, Any]:
    return {"L": [inner]}


def test_moto_stores_more_than_32_levels(moto_client: Any):
    put(moto_client, "deep", deep=reduce(nested, range(40), {"S": "x"}))
