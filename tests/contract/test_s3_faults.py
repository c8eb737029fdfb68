"""The promises of a networked backend when the network breaks, over S3 by MiniStack."""

from collections.abc import Iterator

import pytest

from storage.blob_guard import GuardedBlobs
from tests.contract.blob_contract_faults import BlobFaultContract, OpenAt, loose_parts
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

    @staticmethod
    def nothing_is_left(blobs: GuardedBlobs) -> bool:
        """S3 hands out an upload's id once: one whose answer is lost stays, without a part, until a sweep."""
        return loose_parts(blobs, dry_run=False) <= 1 and loose_parts(blobs) == 0
