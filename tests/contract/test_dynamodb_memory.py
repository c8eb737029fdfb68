"""Sessions and blackboards over DynamoDB by MiniStack."""

from collections.abc import Iterator

import pytest

from tests.contract.dynamodb_lab import DynamoDBLab
from tests.contract.memory_contract import (
    BlackboardContract,
    MemoryIsolationContract,
    OpenMemory,
    SessionContract,
)
from tests.contract.memory_lab import opened_memory
from tests.stack.fixtures import AwsAccount

backend = "dynamodb (MiniStack)"


@pytest.fixture
def open_memory(aws_account: AwsAccount, settings) -> Iterator[OpenMemory]:
    lab = DynamoDBLab(aws_account, settings)
    lab.prepared()
    with opened_memory(lab.driver, "dynamodb") as open_it:
        yield open_it
    lab.close()


class TestSessions(SessionContract):
    pass


class TestBlackboards(BlackboardContract):
    pass


class TestIsolation(MemoryIsolationContract):
    pass
