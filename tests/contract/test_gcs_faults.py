"""The Cloud Storage driver when the network between it and the server breaks."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from storage.blob_guard import GuardedBlobs
from tests.contract.blob_contract_faults import BlobFaultContract, OpenAt
from tests.contract.gcs_lab import BACKEND, driver_at, gcs_driver, guarded
from tests.stack.fixtures import GcsBucket


@pytest.fixture
def server_address(gcs_bucket: GcsBucket) -> str:
    return gcs_bucket.address


@pytest.fixture
def open_at(gcs_bucket: GcsBucket, settings: Any) -> Iterator[OpenAt]:
    with gcs_driver(gcs_bucket, settings), ExitStack() as drivers:

        def open_them(address: str) -> GuardedBlobs:
            return guarded(drivers.enter_context(closing(driver_at(gcs_bucket, address))))

        yield open_them


class TestFaults(BlobFaultContract):
    backend = BACKEND
