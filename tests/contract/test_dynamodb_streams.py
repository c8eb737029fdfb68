"""The event stream's contract over DynamoDB by MiniStack."""

from collections.abc import Iterator

import pytest

from northstar.context import RequestContext
from storage.kinds.event_stream import EventStream
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.contract.stream_contract import OpenStreams, StreamContract
from tests.stack.fixtures import AwsAccount


@pytest.fixture
def open_streams(aws_account: AwsAccount, settings) -> Iterator[OpenStreams]:
    lab = DynamoDBLab(aws_account, settings)
    lab.prepared()
    yield lambda tenant="acme": EventStream(guarded(lab.driver(), tenant), RequestContext(tenant, "dev", "lab"))
    lab.close()


class TestDynamoDBStreams(StreamContract):
    backend = "dynamodb (MiniStack)"
