"""What the Cloud Storage driver promises beyond the contract: few calls, readable objects, bytes as they were."""

import gzip
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.storage import Bucket

from northstar.errors import AlreadyExists, VersionConflict
from storage.backends.gcs import GcsBlobs
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, Area, Grant, RangeRequest
from storage.errors import BackendRejected, ChecksumMismatch
from tests.contract.blob_contract import keys_of, put, read
from tests.contract.gcs_lab import (
    BACKEND,
    CHUNK,
    DELETE,
    DOWNLOAD,
    GET,
    KMS_KEY,
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
    gcs_driver,
    guarded,
    large,
)
from tests.contract.presigned_http import use
from tests.stack.fixtures import GcsBucket

backend = BACKEND

HOME = "tenants/acme/dev/raw/"


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


class TestRoundTrips:
    """As few calls as the service allows, counted by the server."""

    @pytest.mark.line(81)
    @pytest.mark.parametrize(
        ("call", "calls"),
        [
            (lambda blobs, _: put(blobs, "k"), {PUT: 1}),
            (lambda blobs, _: put(blobs, "new", expect=ABSENT), {PUT: 1}),
            (lambda blobs, etag: put(blobs, "k", expect=etag), {PUT: 1}),
            (lambda blobs, _: blobs.put("new", [b"x" * 8 * MIB], content_type="text/plain"), {PUT: 1}),
            (lambda blobs, _: read(blobs, "k"), {DOWNLOAD: 1}),
            (lambda blobs, _: read(blobs, "k", RangeRequest(1, 2)), {DOWNLOAD: 1}),
            (lambda blobs, _: read(blobs, "k", RangeRequest(suffix=2)), {DOWNLOAD: 1}),
            (lambda blobs, _: read(blobs, "new"), {DOWNLOAD: 1}),
            (lambda blobs, _: blobs.get("k", RangeRequest(100)), {DOWNLOAD: 1, GET: 1}),
            (lambda blobs, _: blobs.head("k"), {GET: 1}),
            (lambda blobs, _: blobs.delete("k"), {DELETE: 1}),
            (lambda blobs, _: blobs.delete("new"), {DELETE: 1}),
            (lambda blobs, etag: blobs.delete("k", expect=etag), {DELETE: 1}),
            (lambda blobs, _: blobs.copy("k", "new"), {GET: 1, REWRITE: 1}),
            (lambda blobs, _: blobs.list(), {LIST: 1}),
            (lambda blobs, _: blobs.list(prefix="k", delimiter="/", limit=1, cursor="j"), {LIST: 1}),
            (lambda blobs, _: blobs.presign("k", Grant("PUT", 60)), {}),
            (lambda blobs, _: large(blobs, sha256=hashlib.sha256(LARGE).hexdigest()), {START: 1, CHUNK: 3}),
            (lambda blobs, _: large(blobs), {START: 1, CHUNK: 3, PATCH: 1, MOVE: 1}),
        ],
    )
    def test_an_operation_makes_as_few_calls_as_it_can(self, blobs, control, call, calls):
        etag = put(blobs, "k").etag
        control.calls()
        call(blobs, etag)
        assert control.calls() == calls

    @pytest.mark.line(72)
    def test_a_listing_of_n_full_pages_takes_n_requests(self, blobs, control):
        for number in range(25):
            put(blobs, f"k{number:02}")
        control("POST", "limits", page_results=10)
        control.calls()
        seen, cursor = [], None
        while True:
            page = blobs.list(cursor=cursor)
            seen += [entry.key for entry in page.blobs]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == [f"k{number:02}" for number in range(25)]
        assert control.calls() == {LIST: 3}


class TestObjects:
    """A person can read them in the console; other programs' objects do no harm."""

    def test_an_object_shows_its_name_type_and_metadata(self, blobs, bucket):
        info = put(blobs, "reports/2026 é.pdf", b"pdf", content_type="application/pdf", metadata={"owner": "acme"})
        shown = bucket.get_blob(f"{HOME}reports/2026 é.pdf")
        own = {"northstar_sha256": info.sha256, "northstar_epoch": "1"}
        assert (shown.content_type, shown.metadata["owner"]) == ("application/pdf", "acme")
        assert own.items() <= shown.metadata.items()
        assert (info.etag, info.uri) == (
            str(shown.generation),
            f"gs://{bucket.name}/{HOME}reports/2026 é.pdf",
        )

    @pytest.mark.line(88)
    @pytest.mark.parametrize("announced", [None, hashlib.sha256(LARGE).hexdigest()])
    def test_a_large_object_has_its_metadata_and_leaves_nothing_beside_it(self, blobs, bucket, announced):
        info = large(blobs, metadata={"owner": "acme"}, sha256=announced)
        assert (info, info.sha256) == (blobs.head("large"), hashlib.sha256(LARGE).hexdigest())
        assert dict(info.metadata) == {"owner": "acme"}
        assert [blob.name for blob in bucket.list_blobs(versions=True)] == [f"{HOME}large"]

    @pytest.mark.line(86)
    @pytest.mark.parametrize("announced", [None, hashlib.sha256(LARGE).hexdigest()])
    def test_a_large_object_is_nowhere_among_objects_before_its_last_byte(self, blobs, driver, announced):
        other, seen = guarded(driver), []

        def watched():
            for at in range(0, len(LARGE), MIB):
                yield LARGE[at : at + MIB]
            seen.append((other.head("large"), keys_of(other), keys_of(other, area=Area.UPLOADS)))

        blobs.put("large", watched(), content_type="text/plain", sha256=announced)
        assert seen == [(None, [], [])]

    @pytest.mark.line(87)
    @pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size": 5}, {"size": len(LARGE) + 1}])
    def test_a_large_object_that_is_not_as_announced_leaves_the_one_before(self, blobs, bucket, wrong):
        old = put(blobs, "large", b"old")
        with pytest.raises(ChecksumMismatch):
            large(blobs, **wrong)
        assert (read(blobs, "large"), blobs.head("large")) == (b"old", old)
        assert [blob.name for blob in bucket.list_blobs()] == [f"{HOME}large"]

    @pytest.mark.line(98, 99)
    @pytest.mark.parametrize("announced", [None, hashlib.sha256(LARGE).hexdigest()])
    def test_a_large_object_holds_to_what_is_expected_when_it_ends(self, blobs, bucket, announced):
        def replaced_meanwhile():
            yield LARGE[: 9 * MIB]
            put(blobs, "large", b"other")
            yield LARGE[9 * MIB :]

        first = put(blobs, "large", b"first")
        for expect, error in ((first.etag, VersionConflict), (ABSENT, AlreadyExists)):
            with pytest.raises(error):
                blobs.put("large", replaced_meanwhile(), content_type="a/b", expect=expect, sha256=announced)
        assert read(blobs, "large") == b"other"
        assert [blob.name for blob in bucket.list_blobs()] == [f"{HOME}large"]

    @pytest.mark.line(13)
    def test_foreign_names_are_told_and_break_no_listing(self, blobs, bucket):
        for name in ("a//b", "dir/", "x/../y", "back\\slash", "k" * 905, "tab\there"):
            bucket.blob(HOME + name).upload_from_string(b"foreign")
        for key in ("a/b", "dir/c", "z"):
            put(blobs, key)
        for limit in (1, 2, 1000):
            found, foreign, cursor = [], [], None
            while True:
                page = blobs.list(limit=limit, cursor=cursor)
                found += [entry.key for entry in page.blobs]
                foreign += page.foreign
                cursor = page.cursor
                if cursor is None:
                    break
            assert found == ["a/b", "dir/c", "z"]
            assert sorted(set(foreign)) == sorted(["a//b", "dir/", "x/../y", "back\\slash", "k" * 905, "tab\there"])
        folded = blobs.list(delimiter="/")
        assert (folded.prefixes, [entry.key for entry in folded.blobs]) == (("a/", "dir/", "x/"), ["z"])
        assert blobs.list(prefix="a/", delimiter="/").foreign == ("a//",)

    def test_bytes_stored_with_an_encoding_come_out_as_they_are_stored(self, blobs, bucket):
        packed = gzip.compress(b"text" * 1000)
        foreign = bucket.blob(f"{HOME}packed")
        foreign.content_encoding = "gzip"
        foreign.upload_from_string(packed)
        assert read(blobs, "packed") == packed
        assert read(blobs, "packed", RangeRequest(2, 5)) == packed[2:6]
        assert blobs.copy("packed", "copied").size == len(packed)
        assert bucket.get_blob(f"{HOME}copied").content_encoding is None
        assert read(blobs, "copied") == packed

    def test_a_presigned_download_is_an_attachment_of_the_object_s_type(self, blobs):
        put(blobs, "page", b"<b>", content_type="text/html")
        answer = use(blobs.presign("page", Grant("GET", 60)))
        assert (answer.headers["content-disposition"], answer.headers["content-type"]) == ("attachment", "text/html")

    def test_what_another_program_stored_is_read_and_has_no_checksum(self, blobs, bucket):
        foreign = bucket.blob(f"{HOME}foreign")
        foreign.metadata = {"Colour": "é"}
        foreign.upload_from_string(b"bytes", content_type="text/x")
        info = blobs.head("foreign")
        assert (info.sha256, info.content_type, dict(info.metadata)) == (None, "text/x", {"colour": "é"})
        assert read(blobs, "foreign") == b"bytes"

    @pytest.mark.parametrize("forged", [{"northstar_sha256": "0" * 64, "note": "forged"}, {"northstar_metadata": "%"}])
    def test_what_the_sender_of_an_upload_says_of_it_is_not_believed(self, blobs, bucket, forged):
        upload = bucket.blob("tenants/acme/dev/uploads/doc/id")
        upload.metadata = forged
        upload.upload_from_string(b"bytes", content_type="text/plain")
        for info in (blobs.head("doc/id", area=Area.UPLOADS), blobs.get("doc/id", area=Area.UPLOADS).info):
            assert (info.sha256, dict(info.metadata), info.size) == (None, {}, 5)
        digest = hashlib.sha256(b"bytes").hexdigest()
        copied = blobs.copy("doc/id", "doc", source_area=Area.UPLOADS, metadata={}, sha256=digest)
        assert (read(blobs, "doc"), copied.sha256, blobs.delete("doc/id", area=Area.UPLOADS)) == (
            b"bytes",
            digest,
            True,
        )

    def test_metadata_that_another_program_has_damaged_is_told(self, blobs, bucket):
        foreign = bucket.blob(f"{HOME}damaged")
        foreign.metadata = {"northstar_metadata": "no base64"}
        foreign.upload_from_string(b"bytes")
        with pytest.raises(BackendRejected, match="damaged"):
            blobs.head("damaged")
        assert keys_of(blobs) == ["damaged"]

    def test_a_prefix_keeps_two_routes_in_one_bucket_apart(self, gcs_bucket, settings, driver):
        put(guarded(driver), "k", b"bare")
        with gcs_driver(gcs_bucket, settings, prefix="lab/") as other:
            assert keys_of(guarded(other)) == []
            put(guarded(other), "k", b"prefixed")
            assert other.native().bucket(gcs_bucket.bucket).blob(f"lab/{HOME}k").exists()
            other.sweep("acme", "dev", before=datetime.now(UTC) + timedelta(days=1))
        assert read(guarded(driver), "k") == b"bare"

    @pytest.mark.parametrize("size", [10, len(LARGE)])
    def test_the_storage_class_and_the_key_of_the_route_are_each_objects(self, gcs_bucket, settings, driver, size):
        with gcs_driver(gcs_bucket, settings, storage_class="NEARLINE", kms_key=KMS_KEY) as other:
            blobs, shown = guarded(other), driver.native().bucket(gcs_bucket.bucket)
            blobs.put("k", [LARGE[:size]], content_type="a/b")
            blobs.copy("k", "copied")
        for name in ("k", "copied"):
            found = shown.get_blob(HOME + name)
            assert (found.storage_class, found.kms_key_name) == ("NEARLINE", f"{KMS_KEY}/cryptoKeyVersions/1")

    @pytest.mark.line(94, 100)
    def test_a_copy_that_takes_several_calls_is_made_whole(self, blobs, control, gcs_bucket, settings):
        large(blobs)
        control("POST", "limits", rewrite_bytes=5 * MIB)
        control.calls()
        with gcs_driver(gcs_bucket, settings, storage_class="COLDLINE") as other:
            copied = guarded(other).copy("large", "copied", content_type="text/new")
        assert control.calls()[REWRITE] == 4
        assert (copied.content_type, read(blobs, "copied")) == ("text/new", LARGE)

    @pytest.mark.line(40)
    @pytest.mark.parametrize("etag", ["0", "01", "-1", "x", "", "1.0", "9" * 19, "9" * 40, "\u0661"])
    def test_an_etag_that_no_object_has_is_a_conflict(self, blobs, etag):
        put(blobs, "k", b"kept")
        for call in (
            lambda: put(blobs, "k", expect=etag),
            lambda: put(blobs, "new", expect=etag),
            lambda: blobs.delete("k", expect=etag),
            lambda: blobs.copy("k", "new", expect=etag),
            lambda: blobs.copy("k", "new", source_etag=etag),
        ):
            with pytest.raises(VersionConflict):
                call()
        assert (read(blobs, "k"), keys_of(blobs)) == (b"kept", ["k"])
