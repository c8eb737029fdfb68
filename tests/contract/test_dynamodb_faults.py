"""The promises of a networked backend when the network breaks, over DynamoDB by MiniStack."""

from collections.abc import Iterator

import pytest

from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.contract.fault_contract import DocumentFaultContract, OpenAt, StreamFaultContract
from tests.stack.fixtures import AwsAccount


@pytest.fixture
def server_address(aws_account: AwsAccount) -> str:
    return aws_account.endpoint.removeprefix("http://")


@pytest.fixture
def open_at(aws_account: AwsAccount, settings) -> Iterator[OpenAt]:
    lab = DynamoDBLab(aws_account, settings)
    lab.prepared()
    yield lambda address: guarded(lab.driver(f"http://{address}"))
    lab.close()


class TestFaults(DocumentFaultContract):
    backend = "dynamodb (MiniStack)"


class TestStreamFaults(StreamFaultContract):
    backend = "dynamodb (MiniStack)"
