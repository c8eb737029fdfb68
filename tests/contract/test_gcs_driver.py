"""What the Cloud Storage driver promises beyond the contract: few calls, readable objects, bytes as they were, a life cycle."""

import gzip
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.storage import Bucket

from northstar.errors import AlreadyExists, NotFound, VersionConflict
from storage.backends.gcs import GcsBlobs
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, Area, BlobRef, Grant, RangeRequest
from storage.errors import BackendRejected, BackendUnavailable, ChecksumMismatch, Throttled, ValueTooLarge
from tests.contract.blob_contract import keys_of, put, read
from tests.contract.gcs_lab import BACKEND, Control, allow, driver_at, gcs_driver, guarded
from tests.contract.presigned_http import use
from tests.stack.fixtures import GcsBucket

backend = BACKEND

MIB = 1024 * 1024
HOME = "tenants/acme/dev/raw/"
LARGE = bytes(range(256)) * (4096 * 17 + 4)
KEY = "projects/acme/locations/eu/keyRings/r/cryptoKeys/k"
GET, PUT, LIST, DELETE = "object.get", "object.insert", "object.list", "object.delete"
DOWNLOAD, START, CHUNK, MOVE, REWRITE, PATCH = (
    "xml.get",
    "upload.start",
    "upload.chunk",
    "object.move",
    "object.rewrite",
    "object.change",
)


@pytest.fixture
def driver(gcs_bucket: GcsBucket, settings: Any) -> Iterator[GcsBlobs]:
    with gcs_driver(gcs_bucket, settings) as driver:
        yield driver


@pytest.fixture
def blobs(driver: GcsBlobs) -> GuardedBlobs:
    return guarded(driver)


@pytest.fixture
def control(gcs_bucket: GcsBucket) -> Iterator[Control]:
    control = Control(gcs_bucket)
    yield control
    control("POST", "limits", page_results=1000, rewrite_bytes=2**63, kept_bytes=2**63, object_bytes=5 * 2**40)
    control("POST", "clock", offset_seconds=0)


@pytest.fixture
def bucket(driver: GcsBlobs, gcs_bucket: GcsBucket) -> Bucket:
    """The bucket as another program sees it, by Google's own client."""
    found: Bucket = driver.native().bucket(gcs_bucket.bucket)
    return found


def large(blobs, key="large", **options):
    return blobs.put(
        key, (LARGE[at : at + MIB] for at in range(0, len(LARGE), MIB)), content_type="text/plain", **options
    )


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

    def test_what_another_program_stored_is_read_and_has_no_checksum(self, blobs, bucket):
        foreign = bucket.blob(f"{HOME}foreign")
        foreign.metadata = {"Colour": "é"}
        foreign.upload_from_string(b"bytes", content_type="text/x")
        info = blobs.head("foreign")
        assert (info.sha256, info.content_type, dict(info.metadata)) == (None, "text/x", {"colour": "é"})
        assert read(blobs, "foreign") == b"bytes"

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
        with gcs_driver(gcs_bucket, settings, storage_class="NEARLINE", kms_key=KEY) as other:
            blobs, shown = guarded(other), driver.native().bucket(gcs_bucket.bucket)
            blobs.put("k", [LARGE[:size]], content_type="a/b")
            blobs.copy("k", "copied")
        for name in ("k", "copied"):
            found = shown.get_blob(HOME + name)
            assert (found.storage_class, found.kms_key_name) == ("NEARLINE", f"{KEY}/cryptoKeyVersions/1")

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


class TestPressure:
    """The service throttles, fails, keeps less than was sent, and forgets."""

    @pytest.mark.line(52)
    @pytest.mark.parametrize("operation", [PUT, DELETE, REWRITE, GET, LIST, DOWNLOAD])
    def test_what_is_throttled_once_is_done(self, blobs, control, operation):
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
    def test_what_stays_throttled_is_told_and_changes_nothing(self, blobs, control):
        before = put(blobs, "k")
        control.fault(429, PUT, times=3)
        with pytest.raises(Throttled) as told:
            put(blobs, "k", b"new")
        assert told.value.retry_after == 1
        assert blobs.head("k") == before

    @pytest.mark.line(123)
    @pytest.mark.parametrize("applied", [True, False])
    @pytest.mark.parametrize("status", [500, 503, 504])
    def test_a_write_that_failed_at_the_service_happens_once(self, blobs, control, status, applied):
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
    def test_a_write_that_was_overtaken_while_its_answer_was_lost_is_told_as_unknown(self, blobs, driver, control):
        put(blobs, "k", b"old")
        held = driver._writes._head
        overtaken = []

        def head(name):
            if not overtaken:
                overtaken.append(put(guarded(driver), "k", b"other"))
            return held(name)

        driver._writes._head = head
        control.fault(503, PUT, applied=True)
        with pytest.raises(BackendUnavailable, match="may have happened"):
            put(blobs, "k", b"mine")
        assert read(blobs, "k") == b"other"

    @pytest.mark.parametrize("announced", [None, hashlib.sha256(LARGE).hexdigest()])
    @pytest.mark.parametrize("kept", [MIB, 3 * MIB, 256 * 1024 * 31])
    def test_what_the_service_did_not_keep_of_a_part_is_sent_again(self, blobs, control, kept, announced):
        control("POST", "limits", kept_bytes=kept)
        assert large(blobs, sha256=announced).size == len(LARGE)
        assert read(blobs, "large") == LARGE

    def test_a_session_that_the_service_forgot_is_told_and_leaves_nothing(self, blobs, control, bucket):
        def forgotten():
            yield LARGE[: 9 * MIB]
            control("POST", "clock", offset_seconds=8 * 24 * 3600)
            yield LARGE[9 * MIB :]

        with pytest.raises(BackendUnavailable, match="lost"):
            blobs.put("k", forgotten(), content_type="a/b")
        control("POST", "clock", offset_seconds=0)
        assert list(bucket.list_blobs()) == []

    def test_an_upload_whose_staged_bytes_were_swept_is_told(self, blobs, driver, control):
        described = driver._writes.describe

        def describe(name, found, resource):
            described(name, found, resource)
            driver.sweep("acme", "dev", before=datetime.now(UTC) + timedelta(days=1))

        driver._writes.describe = describe
        with pytest.raises(BackendUnavailable, match="swept"):
            large(blobs)
        assert keys_of(blobs) == []

    def test_an_object_that_is_too_large_for_the_service_is_refused(self, blobs, control):
        control("POST", "limits", object_bytes=MIB)
        with pytest.raises(ValueTooLarge):
            put(blobs, "k", b"x" * (MIB + 1))
        assert keys_of(blobs) == []

    def test_a_source_that_changes_while_it_is_copied_is_copied_as_it_is_then(self, blobs, driver):
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

    def test_a_source_that_vanishes_while_it_is_copied_is_not_found(self, blobs, driver):
        put(blobs, "source")
        rewrite = driver._writes.rewrite

        def rewritten(*given):
            guarded(driver).delete("source")
            return rewrite(*given)

        driver._writes.rewrite = rewritten
        with pytest.raises(NotFound, match="source"):
            blobs.copy("source", "target")


class TestLife:
    """A connection per process, opened at first use, that nothing but the route's config directs."""

    def test_the_bucket_is_made_once_closed_to_the_public_and_left_as_it_is(self, gcs_bucket, settings):
        allow(settings, gcs_bucket.address)
        driver = driver_at(gcs_bucket, bucket_location="europe-west3", storage_class="NEARLINE", kms_key=KEY)
        with pytest.raises(BackendRejected, match=gcs_bucket.bucket) as missing:
            driver.ping()
        assert "routes prepare" in missing.value.fix
        for _ in range(2):
            driver.prepare()
        driver.ping()
        shown = driver.native().get_bucket(gcs_bucket.bucket)
        assert (shown.location, shown.storage_class, shown.default_kms_key_name) == ("EUROPE-WEST3", "NEARLINE", KEY)
        assert shown.iam_configuration.uniform_bucket_level_access_enabled
        assert shown.iam_configuration.public_access_prevention == "enforced"
        driver.close()

    def test_a_bucket_is_made_in_a_project_that_somebody_names(self, gcs_bucket, settings):
        allow(settings, gcs_bucket.address)
        driver = driver_at(gcs_bucket, credentials_json=None)
        with pytest.raises(BackendRejected, match="no project") as refused:
            driver.prepare()
        assert "project" in refused.value.fix
        driver.close()

    @pytest.mark.parametrize(
        "call",
        [
            lambda blobs: blobs.head("k"),
            lambda blobs: read(blobs, "k"),
            lambda blobs: blobs.delete("k"),
            lambda blobs: put(blobs, "k"),
            large,
            lambda blobs: blobs.copy("k", "l"),
            lambda blobs: blobs.list(),
            lambda blobs: blobs.sweep(before=datetime.now(UTC)),
        ],
    )
    def test_a_missing_bucket_is_no_missing_object(self, gcs_bucket, settings, call):
        allow(settings, gcs_bucket.address)
        driver = driver_at(gcs_bucket)
        with pytest.raises(BackendRejected, match="bucket"):
            call(guarded(driver))
        driver.close()

    def test_the_environment_redirects_nothing(self, gcs_bucket, settings, monkeypatch, control):
        for name in ("STORAGE_EMULATOR_HOST", "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"):
            monkeypatch.setenv(name, "elsewhere")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")
        with gcs_driver(gcs_bucket, settings) as driver:
            control.calls()
            put(guarded(driver), "k")
            assert use(guarded(driver).presign("k", Grant("GET", 60))).ok
            assert control.calls() == {PUT: 1, DOWNLOAD: 1}

    def test_nothing_is_opened_before_the_first_call_nor_after_the_last(self, gcs_bucket, settings):
        allow(settings, "127.0.0.1:9")
        driver = driver_at(gcs_bucket, "127.0.0.1:9")
        driver.close()
        driver.close()
        blobs = guarded(driver)
        for call in (driver.ping, driver.prepare, driver.native, lambda: blobs.head("k"), lambda: put(blobs, "k")):
            with pytest.raises(BackendUnavailable, match="closed"):
                call()

    def test_a_reader_ends_its_object_after_the_driver_was_closed(self, blobs, driver):
        large(blobs)
        chunks = blobs.get("large").chunks
        first = next(chunks)
        driver.close()
        assert first + b"".join(chunks) == LARGE

    def test_closing_a_reader_early_gives_its_connection_up(self, blobs, driver):
        large(blobs)
        for _ in range(100):
            blob = blobs.get("large")
            next(blob.chunks)
            blob.chunks.close()
        assert read(blobs, "large") == LARGE

    def test_a_forked_process_opens_a_connection_of_its_own(self, blobs):
        put(blobs, "k", b"parent")
        child = os.fork()
        if not child:
            try:
                put(blobs, "child", b"child")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert (read(blobs, "k"), read(blobs, "child")) == (b"parent", b"child")

    @pytest.mark.line(147)
    def test_the_sdk_and_its_error_are_at_hand(self, driver, blobs, control):
        assert type(driver.native()).__module__.startswith("google.cloud.storage")
        control.fault(503, GET)
        with pytest.raises(BackendUnavailable) as refusal:
            driver.head(BlobRef(blobs.scope, "k"))
        assert refusal.value.__cause__.code == 503
