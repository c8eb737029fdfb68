"""Where the driver's requests go and as whom: nothing but the route's config says so, and no secret comes out of them."""

import logging
import os
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from storage.backends.aws_sessions import Sessions
from storage.backends.s3 import S3Blobs
from storage.backends.s3_config import S3Config
from storage.backends.s3_http import S3Http
from storage.blobs import Grant
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.aws_lab import CANARY, ELSEWHERE, ROLE, misleading, role_service
from tests.contract.blob_contract import put, read
from tests.contract.s3_faults import S3Faults
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.counting import counting_http
from tests.stack.fault_proxy import fault_proxy
from tests.stack.fixtures import AwsAccount

__all__ = ["misleading"]

backend = "s3 (MiniStack)"
AWS = {"region": "eu-central-1", "bucket": "acme-data", "access_key_id": "a", "secret_access_key": "b"}


@pytest.fixture
def s3(aws_account: AwsAccount, settings) -> Iterator[S3Lab]:
    lab = S3Lab(aws_account, settings)
    yield lab
    lab.close()


def door_of(**options: object) -> tuple[str, str]:
    """Return the address that a bucket's requests go to, and what stands before names in it."""
    http = S3Http(S3Config.model_validate(AWS | options), str(options.get("bucket", AWS["bucket"])))
    door = http.door()
    http.close()
    return door.origin, door.root


def test_what_the_environment_says_of_aws_changes_nothing(s3, misleading, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ELSEWHERE)
    blobs = guarded(s3.prepared())
    put(blobs, "k", b"bytes")
    assert read(blobs, "k") == b"bytes"


def test_without_an_endpoint_the_bucket_s_own_host_is_asked(misleading):
    assert door_of() == ("https://acme-data.s3.eu-central-1.amazonaws.com", "/")
    assert door_of(region="us-east-1")[0] == "https://acme-data.s3.us-east-1.amazonaws.com"
    assert door_of(region="cn-north-1")[0] == "https://acme-data.s3.cn-north-1.amazonaws.com.cn"
    assert door_of(bucket="with.dots") == ("https://s3.eu-central-1.amazonaws.com", "/with.dots/")


def test_at_a_named_endpoint_the_bucket_stands_in_the_path(s3):
    http = S3Http(s3.config(), s3.bucket)
    assert (http.door().origin, http.door().root) == (s3.account.endpoint, f"/{s3.bucket}/")


def test_a_proxy_of_the_environment_is_used_for_aws_alone(s3, monkeypatch, misleading):
    with counting_http() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{CANARY}@{proxy.address}")
        driver = S3Blobs(S3Config.model_validate(AWS), mode="lab", epoch=1)
        with pytest.raises(BackendUnavailable, match="cannot be reached") as told:  # ours answers no CONNECT
            driver.ping()
        driver.close()
    assert "Tunnel connection failed" in str(told.value.__cause__)
    assert CANARY not in f"{told.value} {told.value.__cause__}"


def test_a_platform_without_credentials_says_so(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("storage.backends.aws_sessions.sessions", Sessions())
    for options in ({}, {"role_arn": ROLE}):
        driver = s3.driver(access_key_id=None, secret_access_key=None, **options)
        with pytest.raises(BackendRejected, match="no AWS credentials"):
            driver.ping()


def test_a_role_is_assumed_once_with_the_route_s_keys(s3, misleading):
    s3.prepared()
    with role_service(s3.account) as service:
        s3.allow(service.url)
        keys = {"access_key_id": "111111111111", "secret_access_key": "own"}
        driver = s3.driver(**keys, role_arn=ROLE, sts_endpoint=service.url, external_id="deal-7")
        for _ in range(3):
            driver.ping()
        [asked] = service.asked
        assert (asked["RoleArn"], asked["ExternalId"]) == (ROLE, "deal-7")
        refused = s3.driver(**keys, role_arn=ROLE, sts_endpoint=service.url)
        with pytest.raises(BackendRejected, match=r"role cannot be assumed \(AccessDenied\)") as refusal:
            refused.ping()
    assert CANARY not in f"{refusal.value} {refusal.value.fix}"
    away = s3.driver(**keys, role_arn=ROLE, sts_endpoint=s3.allow("http://127.0.0.1:9"))
    with pytest.raises(BackendUnavailable, match="STS"):
        away.ping()


@pytest.mark.line(152)
def test_no_secret_comes_out_of_errors_logs_or_reprs(s3, caplog):
    caplog.set_level(logging.DEBUG)
    keys = {"access_key_id": f"{CANARY}-id", "secret_access_key": CANARY, "session_token": CANARY}
    config = s3.config(**keys)
    told = [repr(config), str(config), config.model_dump_json()]
    with fault_proxy(s3.account.endpoint.removeprefix("http://")) as proxy:
        driver = s3.driver(proxy.url, **keys)
        told += [repr(driver), repr(vars(driver)), repr(driver.native()), repr(vars(driver._bucket.http))]
        faults = S3Faults(driver)
        for break_it in (
            lambda: faults.answer("GET", 403, "SignatureDoesNotMatch"),
            lambda: faults.answer("GET", 403, "AccessDenied"),
            lambda: faults.answer("GET", 404, "NoSuchBucket"),
            proxy.reset,
            proxy.refuse,
        ):
            break_it()
            with pytest.raises((BackendRejected, BackendUnavailable)) as caught:
                guarded(driver).get("k")
            told += [str(caught.getrepr(showlocals=False)), str(caught.value.told()), caught.value.fix]
    assert CANARY not in "\n".join([*told, caplog.text])
    assert "botocore" not in caplog.text


@pytest.mark.line(152)
def test_a_presigned_request_holds_no_secret(s3):
    driver = s3.prepared(session_token="the-token")
    for method in ("GET", "PUT", "POST"):
        made = guarded(driver).presign("k", Grant(method, 60))
        assert s3.account.secret_key not in f"{made}"


class Page(BaseHTTPRequestHandler):
    """Another server: whatever it is asked, it answers with a page."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"<html>")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.mark.parametrize("status", [200, 302, 404, 502])
def test_another_server_s_page_is_no_answer(s3, monkeypatch, status):
    monkeypatch.setattr(Page, "status", status)
    server = HTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        driver = s3.driver(f"http://127.0.0.1:{server.server_port}")
        for call in (driver.ping, lambda: guarded(driver).head("k"), lambda: guarded(driver).get("k")):
            with pytest.raises(BackendUnavailable, match="not S3"):
                call()
    finally:
        server.shutdown()
        server.server_close()


def test_a_forked_process_opens_its_own_connections(s3):
    blobs = guarded(s3.prepared())
    put(blobs, "k", b"bytes")
    child = os.fork()
    if child == 0:
        ok = read(blobs, "k") == b"bytes" and put(blobs, "of the child", b"x").size == 1
        os._exit(0 if ok else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (read(blobs, "k"), read(blobs, "of the child")) == (b"bytes", b"x")


def test_connections_are_kept_and_used_again_by_many_threads(s3):
    with fault_proxy(s3.account.endpoint.removeprefix("http://")) as proxy:
        s3.prepared()
        blobs = guarded(s3.driver(proxy.url))
        for number in range(20):
            blobs.put(f"k{number}", [b"bytes"], content_type="text/plain")
        assert proxy.accepted == 1
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda number: read(blobs, f"k{number % 20}"), range(200))) == {b"bytes"}
        assert proxy.accepted <= 9


def test_a_connection_that_the_server_has_closed_is_not_used_again(s3):
    with fault_proxy(s3.account.endpoint.removeprefix("http://")) as proxy:
        s3.prepared()
        blobs = guarded(s3.driver(proxy.url))
        put(blobs, "k")
        proxy.refuse()  # which resets the connections that there are
        proxy.clear()
        assert blobs.put("k", [b"again"], content_type="text/plain").size == 5


def test_closing_early_frees_the_connection_and_reading_on_is_no_error(s3):
    blobs = guarded(s3.prepared())
    blobs.put("k", [b"x" * 3_000_000], content_type="text/plain")
    chunks = blobs.get("k").chunks
    assert next(chunks)
    chunks.close()
    assert list(chunks) == []
    assert len(read(blobs, "k")) == 3_000_000


@pytest.fixture
def tls(tmp_path) -> Iterator[tuple[int, Path]]:
    """A server behind TLS with a certificate of its own for `localhost`; yields its port and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, pem = tmp_path / "certificate.pem", serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "both.pem").write_bytes(certificate.public_bytes(pem) + private)
    path.write_bytes(certificate.public_bytes(pem))
    server = HTTPServer(("localhost", 0), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.01,)).start()
    yield server.server_port, path
    server.shutdown()
    server.server_close()


def test_a_certificate_must_be_trusted_here(s3, tls, monkeypatch):
    port, certificate = tls
    with pytest.raises(BackendRejected, match="certificate is not trusted"):
        s3.driver(f"https://localhost:{port}").ping()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with pytest.raises(BackendUnavailable, match="not S3"):  # now it is asked, and it is none
        s3.driver(f"https://localhost:{port}").ping()
