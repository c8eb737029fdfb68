"""What a lost response does to a write of MiniStack with botocore's own retries: why each has an operation id."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.config import Config

from tests.stack.dynamodb import client_of, table_client
from tests.stack.fault_proxy import FaultProxy, fault_proxy
from tests.stack.fixtures import AwsAccount
from tests.stack.processes import Server

TABLE = "things"
KEY = {"pk": {"S": "a"}}
ADD_ONE = {
    "TableName": TABLE,
    "Key": KEY,
    "UpdateExpression": "ADD n :one",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}
RETRIES = Config(retries={"mode": "standard"})


@pytest.fixture
def proxy(ministack: Server) -> Iterator[FaultProxy]:
    with fault_proxy(ministack.address) as proxy:
        yield proxy


@pytest.fixture
def direct(aws_account: AwsAccount) -> Any:
    return table_client(aws_account, TABLE)


@pytest.fixture
def client(direct: Any, proxy: FaultProxy, aws_account: AwsAccount) -> Iterator[Any]:
    client = client_of(replace(aws_account, endpoint=proxy.url), RETRIES)
    client.describe_table(TableName=TABLE)
    yield client
    client.close()


def count(direct: Any) -> str:
    return str(direct.get_item(TableName=TABLE, Key=KEY)["Item"]["n"]["N"])


def test_an_increment_whose_response_is_lost_counts_twice(client: Any, direct: Any, proxy: FaultProxy):
    proxy.drop_response(once=1)
    client.update_item(**ADD_ONE)
    assert (proxy.events, count(direct)) == (1, "2")


def test_an_increment_whose_request_is_lost_counts_once(client: Any, direct: Any, proxy: FaultProxy):
    proxy.reset(once=1)
    client.update_item(**ADD_ONE)
    assert (proxy.events, count(direct)) == (1, "1")


def test_a_create_whose_response_is_lost_conflicts_with_itself(client: Any, proxy: FaultProxy):
    proxy.drop_response(once=1)
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(TableName=TABLE, Item=KEY, ConditionExpression="attribute_not_exists(pk)")


def test_a_transaction_with_a_token_happens_once(client: Any, direct: Any, proxy: FaultProxy):
    proxy.drop_response(once=1)
    client.transact_write_items(ClientRequestToken="op-1", TransactItems=[{"Update": ADD_ONE}])
    assert (proxy.events, count(direct)) == (1, "1")
