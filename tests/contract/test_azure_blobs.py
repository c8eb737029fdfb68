"""The blob contract, over Azure Blob Storage."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from storage.blob_guard import GuardedBlobs
from storage.keys import Scope
from tests.contract.azure_lab import BACKEND, azure_config, azure_driver, guarded
from tests.contract.blob_contract import BlobKeyContract, OpenBlobs
from tests.contract.blob_contract_listing import BlobListingContract
from tests.contract.blob_contract_objects import BlobObjectContract
from tests.contract.blob_contract_presigned import BlobPresignedContract
from tests.contract.blob_contract_races import BlobRaceContract
from tests.contract.blob_contract_uploads import BlobUploadContract


@pytest.fixture
def open_blobs(azure_container) -> Iterator[OpenBlobs]:
    """Each call opens the container through a client of its own, as another process would."""
    with ExitStack() as opened:

        def open_them(tenant="acme", env="dev", project=None, surface="_") -> GuardedBlobs:
            driver = opened.enter_context(azure_driver(azure_config(azure_container)))
            return guarded(driver, Scope(tenant, env, project, surface))

        yield open_them


class TestKeys(BlobKeyContract):
    backend = BACKEND


class TestObjects(BlobObjectContract):
    backend = BACKEND


class TestListing(BlobListingContract):
    backend = BACKEND


class TestRaces(BlobRaceContract):
    backend = BACKEND


class TestPresigned(BlobPresignedContract):
    backend = BACKEND


class TestUploads(BlobUploadContract):
    backend = BACKEND
