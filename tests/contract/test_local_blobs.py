"""The blob contract, over files."""

from pathlib import Path

import pytest

from northstar.modes import LAB
from storage.backends.filesystem_config import FilesystemConfig
from storage.backends.local_files import LocalBlobs
from storage.blob_guard import GuardedBlobs
from storage.guard import ServedBy
from storage.keys import Scope
from tests.contract.blob_contract import BlobKeyContract, OpenBlobs
from tests.contract.blob_contract_listing import BlobListingContract
from tests.contract.blob_contract_objects import BlobObjectContract
from tests.contract.blob_contract_races import BlobRaceContract


@pytest.fixture
def open_blobs(lab: Path) -> OpenBlobs:
    """Open the files below `tmp_path`; `none` is all the durability that a test of behaviour needs."""

    def open_them(tenant="acme", env="dev", project=None, surface="_") -> GuardedBlobs:
        driver = LocalBlobs(FilesystemConfig(durability="none"), mode=LAB, epoch=1)
        return GuardedBlobs(
            driver,
            scope=Scope(tenant, env, project, surface),
            served_by=ServedBy(1, 1, "filesystem"),
            kind="object_store",
        )

    return open_them


class TestKeys(BlobKeyContract):
    backend = "filesystem"


class TestObjects(BlobObjectContract):
    backend = "filesystem"


class TestListing(BlobListingContract):
    backend = "filesystem"


class TestRaces(BlobRaceContract):
    backend = "filesystem"
