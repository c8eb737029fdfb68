"""The Cloud Storage driver's bucket, and its connection: one per process, opened at first use, that only the config directs."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from storage.backends.gcs import GcsBlobs
from storage.blob_guard import GuardedBlobs
from storage.blobs import BlobRef, Grant, RangeRequest
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.blob_contract import put, read
from tests.contract.gcs_lab import (
    BACKEND,
    DOWNLOAD,
    GET,
    KMS_KEY,
    LARGE,
    PUT,
    Control,
    allow,
    controlled,
    driver_at,
    gcs_driver,
    guarded,
    large,
)
from tests.contract.presigned_http import use
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


def test_the_bucket_is_made_once_closed_to_the_public_and_left_as_it_is(gcs_bucket, settings):
    allow(settings, gcs_bucket.address)
    driver = driver_at(gcs_bucket, bucket_location="europe-west3", storage_class="NEARLINE", kms_key=KMS_KEY)
    with pytest.raises(BackendRejected, match=gcs_bucket.bucket) as missing:
        driver.ping()
    assert "routes prepare" in missing.value.fix
    for _ in range(2):
        driver.prepare()
    driver.ping()
    shown = driver.native().get_bucket(gcs_bucket.bucket)
    assert (shown.location, shown.storage_class, shown.default_kms_key_name) == ("EUROPE-WEST3", "NEARLINE", KMS_KEY)
    assert shown.iam_configuration.uniform_bucket_level_access_enabled
    assert shown.iam_configuration.public_access_prevention == "enforced"
    driver.close()


def test_a_bucket_is_made_in_a_project_that_somebody_names(gcs_bucket, settings):
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
def test_a_missing_bucket_is_no_missing_object(gcs_bucket, settings, call):
    allow(settings, gcs_bucket.address)
    driver = driver_at(gcs_bucket)
    with pytest.raises(BackendRejected, match="bucket"):
        call(guarded(driver))
    driver.close()


def test_the_environment_redirects_nothing(gcs_bucket, settings, monkeypatch, control):
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


def test_nothing_is_opened_before_the_first_call_nor_after_the_last(gcs_bucket, settings):
    allow(settings, "127.0.0.1:9")
    driver = driver_at(gcs_bucket, "127.0.0.1:9")
    driver.close()
    driver.close()
    blobs = guarded(driver)
    for call in (driver.ping, driver.prepare, driver.native, lambda: blobs.head("k"), lambda: put(blobs, "k")):
        with pytest.raises(BackendUnavailable, match="closed"):
            call()


def test_a_reader_ends_its_object_after_the_driver_was_closed(blobs, driver):
    large(blobs)
    chunks = blobs.get("large").chunks
    first = next(chunks)
    driver.close()
    assert first + b"".join(chunks) == LARGE


def test_closing_a_reader_early_gives_its_connection_up(blobs, driver):
    large(blobs)
    for _ in range(100):
        blob = blobs.get("large")
        next(blob.chunks)
        blob.chunks.close()
    assert read(blobs, "large") == LARGE


def test_a_forked_process_opens_a_connection_of_its_own(blobs):
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
def test_the_sdk_and_its_error_are_at_hand(driver, blobs, control):
    assert type(driver.native()).__module__.startswith("google.cloud.storage")
    control.fault(503, GET)
    with pytest.raises(BackendUnavailable) as refusal:
        driver.head(BlobRef(blobs.scope, "k"))
    assert refusal.value.__cause__.code == 503


@pytest.fixture
def portal(settings: Any) -> Iterator[GcsBlobs]:
    """A driver behind a captive portal: whatever is asked for, a page of its own comes."""

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _page(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", "15")
            self.end_headers()
            self.wfile.write(b"<html>Hi</html>")

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _page  # noqa: N815 - as http.server asks

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        place = GcsBucket(f"http://127.0.0.1:{server.server_port}", "acme-data", "")
        allow(settings, place.address)
        with closing(driver_at(place)) as driver:
            yield driver
        server.shutdown()
        thread.join()


@pytest.mark.line(152)
@pytest.mark.parametrize("call", ["ping", "prepare", "head", "read", "part", "list", "put", "large", "copy", "delete"])
def test_a_page_that_is_not_the_service_s_is_no_answer(portal, call):
    blobs = guarded(portal)
    calls: dict[str, Callable[[], object]] = {
        "ping": portal.ping,
        "prepare": portal.prepare,
        "head": lambda: blobs.head("k"),
        "read": lambda: read(blobs, "k"),
        "part": lambda: read(blobs, "k", RangeRequest(1, 2)),
        "list": blobs.list,
        "put": lambda: put(blobs, "k"),
        "large": lambda: large(blobs),
        "copy": lambda: blobs.copy("k", "l"),
        "delete": lambda: blobs.delete("k"),
    }
    with pytest.raises(BackendUnavailable, match="did not answer"):
        calls[call]()
