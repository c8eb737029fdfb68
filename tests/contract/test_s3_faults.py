"""The promises of a networked backend when the network breaks, over S3 by MiniStack."""

from collections.abc import Iterator

import pytest

from tests.contract.blob_contract_faults import BlobFaultContract, OpenAt
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fixtures import AwsAccount


@pytest.fixture
def server_address(aws_account: AwsAccount) -> str:
    return aws_account.endpoint.removeprefix("http://")


@pytest.fixture
def open_at(aws_account: AwsAccount, settings) -> Iterator[OpenAt]:
    lab = S3Lab(aws_account, settings)
    lab.prepared()
    yield lambda address: guarded(lab.driver(f"http://{address}"))
    lab.close()


class TestFaults(BlobFaultContract):
    backend = "s3 (MiniStack)"
