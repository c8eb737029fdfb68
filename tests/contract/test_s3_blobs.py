"""The blob contract, over S3 by MiniStack."""

from collections.abc import Iterator

import pytest

from tests.contract.blob_contract import BlobKeyContract, OpenBlobs
from tests.contract.blob_contract_listing import BlobListingContract
from tests.contract.blob_contract_objects import BlobObjectContract
from tests.contract.blob_contract_races import BlobRaceContract
from tests.contract.s3_lab import S3Lab, opener
from tests.stack.fixtures import AwsAccount


@pytest.fixture
def open_blobs(aws_account: AwsAccount, settings) -> Iterator[OpenBlobs]:
    lab = S3Lab(aws_account, settings)
    yield opener(lab)
    lab.close()


class TestKeys(BlobKeyContract):
    backend = "s3 (MiniStack)"


class TestObjects(BlobObjectContract):
    backend = "s3 (MiniStack)"


class TestListing(BlobListingContract):
    backend = "s3 (MiniStack)"


class TestRaces(BlobRaceContract):
    backend = "s3 (MiniStack)"
