"""Clients and tables of DynamoDB for the tests of the stack itself."""

from typing import Any

import boto3
from botocore.config import Config

from tests.stack.fixtures import AwsAccount


def client_of(account: AwsAccount, config: Config | None = None) -> Any:
    """Return a boto3 client of the account."""
    return boto3.client("dynamodb", config=config, **account.options)


def create_table(client: Any, table: str) -> None:
    """Create a table whose key is the string `pk`."""
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )


def table_client(account: AwsAccount, table: str, config: Config | None = None) -> Any:
    """Return a client of the account, in which the table has been made."""
    client = client_of(account, config)
    create_table(client, table)
    return client
