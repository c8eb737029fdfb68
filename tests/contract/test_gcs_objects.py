"""The blob contract, over Cloud Storage on our own server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.blob_contract import BlobKeyContract, OpenBlobs
from tests.contract.blob_contract_listing import BlobListingContract
from tests.contract.blob_contract_objects import BlobObjectContract
from tests.contract.blob_contract_races import BlobRaceContract
from tests.contract.gcs_lab import BACKEND, opened
from tests.stack.fixtures import GcsBucket


@pytest.fixture
def open_blobs(gcs_bucket: GcsBucket, settings: Any) -> Iterator[OpenBlobs]:
    with opened(gcs_bucket, settings) as open_them:
        yield open_them


class TestKeys(BlobKeyContract):
    backend = BACKEND


class TestObjects(BlobObjectContract):
    backend = BACKEND


class TestListing(BlobListingContract):
    backend = BACKEND


class TestRaces(BlobRaceContract):
    backend = BACKEND
