"""The Cloud Storage driver on gcp-storage-emulator, written by others: uploads, metadata, order, copies, as they understand them.

It ignores conditions, pages and signatures and has no move (`tests/stack/test_emulator_gaps_gcs.py`), and its downloads of the
XML API tell nothing of the object, so it cannot run the whole contract: what is stored is read back by Google's own client.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from storage.backends.gcs import GcsBlobs
from storage.blob_guard import GuardedBlobs
from tests.contract.blob_contract import keys_of, put
from tests.contract.gcs_lab import LARGE, gcs_driver, guarded, large
from tests.stack.fixtures import GcsBucket

HOME = "tenants/acme/dev/raw/"


@pytest.fixture
def driver(gcs_emulator_bucket: GcsBucket, settings: Any) -> Iterator[GcsBlobs]:
    with gcs_driver(gcs_emulator_bucket, settings) as driver:
        yield driver


@pytest.fixture
def blobs(driver: GcsBlobs) -> GuardedBlobs:
    return guarded(driver)


@pytest.fixture
def stored(driver: GcsBlobs, gcs_emulator_bucket: GcsBucket) -> Any:
    """An object's bytes, as Google's client downloads them."""
    bucket = driver.native().bucket(gcs_emulator_bucket.bucket)
    return lambda key: bucket.blob(HOME + key).download_as_bytes()


@pytest.mark.parametrize("key", ["plain", "a b/\u00e9", "a+b&c=d;e?f#g", "quote\"'", "\U0001f680", "x" * 300, "%41"])
def test_an_object_is_stored_with_its_metadata_under_its_name(blobs, stored, key):
    info = put(blobs, key, b"bytes", content_type="text/x-odd", metadata={"owner": "acme", "note": "caf\u00e9"})
    assert (stored(key), blobs.head(key)) == (b"bytes", info)
    assert (info.content_type, dict(info.metadata)) == ("text/x-odd", {"owner": "acme", "note": "caf\u00e9"})
    assert keys_of(blobs) == [key]


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024])
def test_the_bytes_of_one_request_and_their_checksum_are_right(blobs, stored, size):
    info = put(blobs, "k", LARGE[:size])
    assert (info.size, info.sha256) == (size, hashlib.sha256(LARGE[:size]).hexdigest())
    assert stored("k") == LARGE[:size]


def test_a_session_of_several_parts_stores_the_whole(blobs, stored):
    info = large(blobs, sha256=hashlib.sha256(LARGE).hexdigest(), metadata={"owner": "acme"})
    assert (stored("large"), blobs.head("large")) == (LARGE, info)


def test_a_listing_is_in_order_and_folds(blobs):
    for key in ("b", "a/1", "a/2", "a-b", "\u00e9/1"):
        put(blobs, key)
    page = blobs.list(delimiter="/")
    assert (page.prefixes, [entry.key for entry in page.blobs]) == (("a/", "\u00e9/"), ["a-b", "b"])
    assert keys_of(blobs, prefix="a/") == ["a/1", "a/2"]


def test_a_copy_has_the_bytes_and_their_checksum(blobs, stored):
    source = put(blobs, "source", b"bytes", metadata={"owner": "acme"})
    copied = blobs.copy("source", "a b/target")
    assert (stored("a b/target"), copied.sha256, dict(copied.metadata)) == (b"bytes", source.sha256, {"owner": "acme"})


def test_tenants_never_meet_and_what_is_deleted_is_gone(blobs, driver):
    globex = guarded(driver, "globex")
    put(blobs, "k", b"acme")
    put(globex, "k", b"globex")
    assert [blobs.delete("k"), blobs.delete("k")] == [True, False]
    assert (blobs.head("k"), keys_of(blobs), keys_of(globex)) == (None, [], ["k"])
