"""What presigned requests may do, over Cloud Storage on our own server, which verifies their signatures."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.contract.blob_contract import OpenBlobs
from tests.contract.blob_contract_presigned import BlobPresignedContract
from tests.contract.blob_contract_uploads import BlobUploadContract
from tests.contract.gcs_lab import BACKEND, gcs_driver, guarded
from tests.stack.fixtures import GcsBucket


@pytest.fixture
def open_blobs(gcs_bucket: GcsBucket, settings: Any) -> Iterator[OpenBlobs]:
    """One driver for all scopes, as one route has: to read a service account's key takes a tenth of a second."""
    with gcs_driver(gcs_bucket, settings) as driver:
        yield partial(guarded, driver)


class TestPresigned(BlobPresignedContract):
    backend = BACKEND


class TestUploads(BlobUploadContract):
    backend = BACKEND
