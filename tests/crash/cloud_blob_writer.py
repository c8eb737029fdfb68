"""A process that stores, replaces and deletes objects in a cloud until it is killed, telling each step as `blob_writer` does.

Usage: cloud_blob_writer.py BACKEND CONFIG SEED, with the backend's config as JSON.
"""

import json
import sys
from typing import Any

from django.conf import settings

from northstar import logs
from northstar.modes import LAB
from storage.blob_guard import GuardedBlobs
from storage.blobs import BlobDriver
from storage.guard import ServedBy
from storage.keys import Scope
from storage.registry import driver_class
from tests.crash.blob_writer import work

LARGEST = 12_000_000
"""Of several parts."""


def driver_of(backend: str, config: dict[str, Any]) -> BlobDriver:
    """A driver with this config."""
    found = driver_class("object_store", backend)
    driver: BlobDriver = found(found.Config.model_validate(config), mode=LAB, epoch=1)
    return driver


def blobs_of(driver: BlobDriver) -> GuardedBlobs:
    """Acme's objects."""
    return GuardedBlobs(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "cloud"))


def main(backend: str, config: dict[str, Any], seed: int) -> None:
    logs.configure(readable=True)  # not on stdout
    settings.configure(NORTHSTAR_ALLOWED_ENDPOINTS=[config["endpoint"]])
    work(blobs_of(driver_of(backend, config)), seed, LARGEST)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
