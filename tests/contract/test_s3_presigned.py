"""The presigned contracts, over S3 by MiniStack that verifies every signature, of forms too."""

from collections.abc import Iterator

import pytest

from tests.contract.blob_contract import OpenBlobs
from tests.contract.blob_contract_presigned import BlobPresignedContract
from tests.contract.blob_contract_uploads import BlobUploadContract
from tests.contract.s3_lab import S3Lab, opener
from tests.stack.fixtures import AwsAccount


@pytest.fixture
def open_blobs(strict_aws_account: AwsAccount, settings) -> Iterator[OpenBlobs]:
    lab = S3Lab(strict_aws_account, settings)
    yield opener(lab)
    lab.close()


class TestPresigned(BlobPresignedContract):
    backend = "s3 (MiniStack)"


class TestUploads(BlobUploadContract):
    backend = "s3 (MiniStack)"
