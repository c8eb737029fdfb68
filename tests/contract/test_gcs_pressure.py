"""Cloud Storage throttles, fails, keeps less than was sent, forgets, and is changed by others meanwhile."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.storage import Bucket

from northstar.errors import NotFound
from storage.backends.gcs import GcsBlobs
from storage.blob_guard import GuardedBlobs
from storage.errors import BackendUnavailable, Throttled, ValueTooLarge
from tests.contract.blob_contract import keys_of, put, read
from tests.contract.gcs_lab import (
    BACKEND,
    CHUNK,
    DELETE,
    DOWNLOAD,
    GET,
    LARGE,
    LIST,
    MIB,
    MOVE,
    PATCH,
    PUT,
    REWRITE,
    START,
    Control,
    controlled,
    driver_at,
    gcs_driver,
    guarded,
    large,
)
from tests.stack.fault_proxy import fault_proxy
from tests.stack.fixtures import GcsBucket

backend = BACKEND


@pytest.fixture
def driver(gcs_bucket: GcsBucket, settings: Any) -> Iterator[GcsBlobs]:
    with gcs_driver(gcs_bucket, settings) as driver:
        yield driver


@pytest.fixture
def blobs(driver: GcsBlobs) -> GuardedBlobs:
    return guarded(driver)


@pytest.fixture
def control(gcs_bucket: GcsBucket) -> Iterator[Control]:
    with controlled(gcs_bucket) as control:
        yield control


@pytest.fixture
def bucket(driver: GcsBlobs, gcs_bucket: GcsBucket) -> Bucket:
    """The bucket as another program sees it, by Google's own client."""
    found: Bucket = driver.native().bucket(gcs_bucket.bucket)
    return found


@pytest.mark.line(52)
@pytest.mark.parametrize("operation", [PUT, DELETE, REWRITE, GET, LIST, DOWNLOAD])
def test_what_is_throttled_once_is_done(blobs, control, operation):
    put(blobs, "k")
    calls = {
        PUT: lambda: put(blobs, "k"),
        DELETE: lambda: blobs.delete("k"),
        REWRITE: lambda: blobs.copy("k", "new"),
        GET: lambda: blobs.head("k"),
        LIST: blobs.list,
        DOWNLOAD: lambda: read(blobs, "k"),
    }
    control.fault(429, operation)
    assert calls[operation]()


@pytest.mark.line(52)
def test_what_stays_throttled_is_told_and_changes_nothing(blobs, control):
    before = put(blobs, "k")
    control.fault(429, PUT, times=3)
    with pytest.raises(Throttled) as told:
        put(blobs, "k", b"new")
    assert told.value.retry_after == 1
    assert blobs.head("k") == before


@pytest.mark.line(123)
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_write_that_failed_at_the_service_happens_once(blobs, control, status, applied):
    put(blobs, "gone")
    control("POST", "clock", offset_seconds=60)  # what is there is older than what comes
    for operation, call in (
        (PUT, lambda: put(blobs, "k", b"new")),
        (REWRITE, lambda: blobs.copy("k", "copied")),
        (CHUNK, lambda: large(blobs)),
        (MOVE, lambda: large(blobs, "moved")),
        (PATCH, lambda: large(blobs, "described")),
        (START, lambda: large(blobs, "started")),
    ):
        control.fault(status, operation, applied=applied)
        info = call()
        assert blobs.head(info.key) == info
    control.fault(status, DELETE, applied=applied)
    assert blobs.delete("gone")
    assert keys_of(blobs) == ["copied", "described", "k", "large", "moved", "started"]


@pytest.mark.line(123)
def test_a_write_that_was_overtaken_while_its_answer_was_lost_is_told_as_unknown(blobs, driver, control):
    put(blobs, "k", b"old")
    held = driver._writes._head
    overtaken: list[Any] = []

    def head(name):
        if not overtaken:
            overtaken.append(put(guarded(driver), "k", b"other"))
        return held(name)

    driver._writes._head = head
    control.fault(503, PUT, applied=True)
    with pytest.raises(BackendUnavailable, match="may have happened"):
        put(blobs, "k", b"mine")
    assert read(blobs, "k") == b"other"


@pytest.mark.line(123)
def test_a_last_part_whose_answer_is_lost_before_the_service_goes_away_may_have_happened(gcs_bucket, settings, blobs):
    digest = hashlib.sha256(LARGE).hexdigest()
    with fault_proxy(gcs_bucket.address) as proxy, closing(driver_at(gcs_bucket, proxy.address)) as driver:
        through = guarded(driver)
        put(through, "k")
        with ThreadPoolExecutor(1) as pool:
            proxy.drop_response(once=1, skip=3)
            writing = pool.submit(large, through, sha256=digest)
            proxy.wait_for_events()
            proxy.refuse()
            with pytest.raises(BackendUnavailable, match="may have happened"):
                writing.result()
    assert blobs.head("large").sha256 == digest


@pytest.mark.parametrize("announced", [None, hashlib.sha256(LARGE).hexdigest()])
@pytest.mark.parametrize("kept", [MIB, 3 * MIB, 256 * 1024 * 31])
def test_what_the_service_did_not_keep_of_a_part_is_sent_again(blobs, control, kept, announced):
    control("POST", "limits", kept_bytes=kept)
    assert large(blobs, sha256=announced).size == len(LARGE)
    assert read(blobs, "large") == LARGE


def test_a_session_that_the_service_forgot_is_told_and_leaves_nothing(blobs, control, bucket):
    def forgotten():
        yield LARGE[: 9 * MIB]
        control("POST", "clock", offset_seconds=8 * 24 * 3600)
        yield LARGE[9 * MIB :]

    with pytest.raises(BackendUnavailable, match="lost"):
        blobs.put("k", forgotten(), content_type="a/b")
    control("POST", "clock", offset_seconds=0)
    assert list(bucket.list_blobs()) == []


def test_an_upload_whose_staged_bytes_were_swept_is_told(blobs, driver, control):
    described = driver._writes.describe

    def describe(name, found, resource):
        described(name, found, resource)
        driver.sweep("acme", "dev", before=datetime.now(UTC) + timedelta(days=1))

    driver._writes.describe = describe
    with pytest.raises(BackendUnavailable, match="swept"):
        large(blobs)
    assert keys_of(blobs) == []


def test_an_object_that_is_too_large_for_the_service_is_refused(blobs, control):
    control("POST", "limits", object_bytes=MIB)
    with pytest.raises(ValueTooLarge):
        put(blobs, "k", b"x" * (MIB + 1))
    assert keys_of(blobs) == []


def test_a_source_that_changes_while_it_is_copied_is_copied_as_it_is_then(blobs, driver):
    put(blobs, "source", b"first")
    rewrite, changes = driver._writes.rewrite, iter([b"second", b"third"])

    def rewritten(*given):
        for data in changes:
            put(guarded(driver), "source", data, metadata={"n": data.decode()})
            break
        return rewrite(*given)

    driver._writes.rewrite = rewritten
    assert blobs.copy("source", "target").metadata["n"] == "third"
    assert read(blobs, "target") == b"third"


def test_a_source_that_vanishes_while_it_is_copied_is_not_found(blobs, driver):
    put(blobs, "source")
    rewrite = driver._writes.rewrite

    def rewritten(*given):
        guarded(driver).delete("source")
        return rewrite(*given)

    driver._writes.rewrite = rewritten
    with pytest.raises(NotFound, match="source"):
        blobs.copy("source", "target")
