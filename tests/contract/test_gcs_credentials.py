"""What the Cloud Storage driver is given to connect and to sign with, where that goes, and where it never shows."""

import base64
import json
import logging
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials
from pydantic import ValidationError

from northstar.errors import ForbiddenEndpoint, NorthstarError
from northstar.modes import SAAS
from storage.backends import gcs_client, gcs_signing
from storage.backends.gcs import GcsBlobs
from storage.backends.gcs_config import GcsConfig
from storage.blobs import ABSENT, Grant
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.blob_contract import put, read
from tests.contract.gcs_lab import BACKEND, gcs_config, gcs_driver, guarded, large
from tests.contract.presigned_http import use
from tests.servers.gcs import GcsServer
from tests.servers.gcs_accounts import Accounts
from tests.stack.counting import counting_http
from tests.stack.fixtures import GcsBucket, service_account_key

backend = BACKEND

HOST = "localhost"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of localhost, signed by itself: the files of the certificate and of its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def tls_server(certificate: tuple[Path, Path], key: Path) -> Iterator[str]:
    """Our server over TLS, where a caller needs a token of the key's account; its address."""
    accounts = Accounts(guarded=True)
    accounts.add_file(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with GcsServer(0, accounts) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine trusts the certificate."""
    monkeypatch.setattr("certifi.where", lambda: str(certificate[0]))
    gcs_client._trust.cache_clear()
    yield
    gcs_client._trust.cache_clear()


@contextmanager
def opened(settings: Any, endpoint: str, key: str | None, **config: Any) -> Iterator[GcsBlobs]:
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = [endpoint]
    given = {"bucket": "acme-data", "endpoint": endpoint, "credentials_json": key, "project": "acme-prod", **config}
    with closing(GcsBlobs(GcsConfig.model_validate(given), mode=SAAS, epoch=1)) as driver:
        yield driver


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_over_tls_an_account_signs_its_own_token_and_no_address_in_its_key_is_called(
    settings, certificate, trusted, gcs_key
):
    with tls_server(certificate, gcs_key) as url, counting_http() as elsewhere:
        key = json.dumps({**json.loads(gcs_key.read_text()), "token_uri": f"http://{elsewhere.address}/"})
        with opened(settings, url, key) as driver:
            driver.prepare()
            blobs = guarded(driver)
            info = put(blobs, "k", b"bytes", expect=ABSENT)
            assert (read(blobs, "k"), blobs.head("k")) == (b"bytes", info)
            assert large(blobs).size == blobs.head("large").size
        assert elsewhere.calls == 0


def test_a_key_of_another_account_is_refused_with_the_way_out(settings, certificate, trusted, gcs_key):
    with tls_server(certificate, gcs_key) as url, opened(settings, url, json.dumps(service_account_key())) as driver:
        for call in (driver.ping, driver.prepare, lambda: put(guarded(driver), "k")):
            with pytest.raises(BackendRejected, match="credentials") as refused:
                call()
            assert "service account key" in refused.value.fix


def test_a_certificate_that_nobody_trusts_is_told_and_nothing_is_sent(settings, certificate, gcs_key):
    with tls_server(certificate, gcs_key) as url, opened(settings, url, gcs_key.read_text()) as driver:
        with pytest.raises(BackendUnavailable, match="certificate") as refused:
            put(guarded(driver), "k")
        assert "trusts" in refused.value.fix


def test_a_plain_address_gets_no_credentials(settings, gcs_key):
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        heard = pool.submit(_heard, server)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with opened(settings, address, gcs_key.read_text()) as driver, pytest.raises(BackendUnavailable):
            driver.ping()
    assert b"authorization: Bearer owner" in heard.result()


def test_google_itself_is_asked_through_the_machine_s_proxy_and_a_named_endpoint_never(settings, gcs_key, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        heard = pool.submit(_heard, server)
        monkeypatch.setenv("https_proxy", f"acme:pass@127.0.0.1:{server.getsockname()[1]}")
        config = GcsConfig.model_validate({"bucket": "acme-data", "credentials_json": gcs_key.read_text()})
        with closing(GcsBlobs(config, mode=SAAS, epoch=1)) as driver, pytest.raises(BackendUnavailable) as told:
            driver.ping()
    asked = heard.result().lower()
    assert asked.startswith(b"connect storage.googleapis.com:443")
    assert base64.b64encode(b"acme:pass").lower() in asked
    assert "pass@" not in everything_said(told.value)
    reaching = pytest.raises(BackendUnavailable, match="reached")
    with opened(settings, "https://localhost:9", gcs_key.read_text()) as driver, reaching:
        driver.ping()


def _heard(server: socket.socket) -> bytes:
    """What the first caller says, who gets no answer."""
    connection, _ = server.accept()
    with connection:
        return connection.recv(65536)


@pytest.mark.line(152)
def test_a_key_shows_in_no_error_log_or_repr(settings, gcs_key, caplog):
    caplog.set_level(logging.DEBUG)
    whole = json.loads(gcs_key.read_text())
    secret = whole["private_key"].splitlines()[5]
    damaged = [
        json.dumps({**whole, "private_key": whole["private_key"][:400]}),
        json.dumps({**whole, "type": secret}),
        json.dumps({**whole, "client_email": secret}),
        f'"{secret}"',
        secret,
        "[]",
    ]
    for key in [*damaged, json.dumps(whole)]:
        with opened(settings, "https://localhost:9", key) as driver:
            said = "".join(map(everything_said, _refusals(driver)))
            assert secret not in said + repr(driver._config) + repr(vars(driver._connection))
    assert secret not in caplog.text


def _refusals(driver: GcsBlobs) -> Iterator[NorthstarError]:
    """Yield what calls raise that need credentials."""
    blobs = guarded(driver)
    for call in (lambda: blobs.head("k"), lambda: put(blobs, "k"), lambda: blobs.presign("k", Grant("GET", 60))):
        try:
            call()
        except NorthstarError as error:
            yield error


def test_neither_a_signed_url_nor_an_upload_s_address_shows_in_a_log(blobs_of_a_key, caplog):
    caplog.set_level(logging.DEBUG)
    url = blobs_of_a_key.presign("k", Grant("GET", 60)).url
    large(blobs_of_a_key)
    assert url.partition("X-Goog-Signature=")[2] not in caplog.text
    assert "upload_id=" not in caplog.text


@pytest.fixture
def blobs_of_a_key(gcs_bucket: GcsBucket, settings: Any) -> Iterator[Any]:
    with gcs_driver(gcs_bucket, settings) as driver:
        yield guarded(driver)


def test_what_is_no_key_is_refused_with_what_to_give(settings):
    with opened(settings, "https://localhost:9", "{}") as driver, pytest.raises(BackendRejected) as refusal:
        driver.ping()
    assert "service account key" in refusal.value.fix


def test_without_a_key_the_platform_must_have_an_identity(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with opened(settings, "https://localhost:9", None) as driver, pytest.raises(BackendRejected, match="credentials"):
        driver.ping()


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (TransportError("the token service said: s3cr3t", retryable=True), BackendUnavailable),
        (RefreshError("the token service said: s3cr3t"), BackendRejected),
    ],
)
def test_a_token_that_cannot_be_had_is_told_without_the_token_services_words(settings, monkeypatch, error, ours):
    class Broken(Credentials):
        valid = False

        def refresh(self, _request: Any) -> None:
            raise error

    monkeypatch.setattr(gcs_client, "google_credentials", lambda *_, **__: Broken("none"))
    with opened(settings, "https://localhost:9", None) as driver, pytest.raises(ours) as told:
        driver.ping()
    assert "s3cr3t" not in everything_said(told.value)


class TestSigning:
    """The platform's identity has no key: IAM signs in the name of an account."""

    @pytest.fixture
    def platform(self, monkeypatch: pytest.MonkeyPatch, gcs_bucket: GcsBucket) -> Any:
        """The credentials of a machine, and IAM at our own server."""
        credentials = Credentials("ya29.token")
        monkeypatch.setattr(gcs_signing, "IAM", gcs_bucket.url)
        monkeypatch.setattr(gcs_client.GcsConnection, "credentials", lambda _: credentials)
        return credentials

    @pytest.mark.line(113)
    @pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
    @pytest.mark.parametrize("named", [True, False])
    def test_a_request_signed_by_iam_is_taken(self, platform, gcs_bucket, settings, method, named):
        account = json.loads(gcs_bucket.key)["client_email"]
        platform.service_account_email = None if named else account
        with gcs_driver(gcs_bucket, settings, signing_account=account if named else None) as driver:
            blobs = guarded(driver)
            put(blobs, "k", b"bytes")
            grant = Grant(method, 60) if method == "GET" else Grant(method, 60, "text/plain", 100)
            assert use(blobs.presign("k", grant), b"" if method == "GET" else b"new").ok
            assert read(blobs, "k") == (b"bytes" if method == "GET" else b"new")

    def test_the_email_of_a_machine_s_account_is_known_with_its_token(
        self, platform, gcs_bucket, settings, monkeypatch
    ):
        account = json.loads(gcs_bucket.key)["client_email"]
        platform.service_account_email = "default"
        token = gcs_client.GcsConnection.token

        def fetched(connection):
            platform.service_account_email = account
            return token(connection)

        monkeypatch.setattr(gcs_client.GcsConnection, "token", fetched)
        with gcs_driver(gcs_bucket, settings) as driver:
            put(guarded(driver), "k")
            assert use(guarded(driver).presign("k", Grant("GET", 60))).ok

    def test_who_cannot_sign_is_told_what_to_give(self, platform, gcs_bucket, settings):
        with gcs_driver(gcs_bucket, settings) as driver, pytest.raises(BackendRejected, match="cannot sign") as refused:
            guarded(driver).presign("k", Grant("GET", 60))
        assert "signing account" in refused.value.fix

    def test_what_iam_refuses_is_told_with_the_role_that_is_missing(self, platform, gcs_bucket, settings):
        other = "other@acme-prod.iam.gserviceaccount.com"
        refusing = pytest.raises(BackendRejected, match="IAM refused")
        with gcs_driver(gcs_bucket, settings, signing_account=other) as driver, refusing as refused:
            guarded(driver).presign("k", Grant("GET", 60))
        assert "Token Creator" in refused.value.fix

    def test_an_iam_that_is_away_is_told(self, platform, gcs_bucket, settings, monkeypatch):
        monkeypatch.setattr(gcs_signing, "IAM", "http://127.0.0.1:9")
        account = json.loads(gcs_bucket.key)["client_email"]
        told = pytest.raises(BackendUnavailable, match="IAM")
        with gcs_driver(gcs_bucket, settings, signing_account=account) as driver, told:
            guarded(driver).presign("k", Grant("GET", 60))


def test_a_url_is_signed_for_the_host_of_the_endpoint(settings, gcs_key):
    with opened(settings, "https://storage-acme.p.googleapis.com", gcs_key.read_text()) as driver:
        url = guarded(driver).presign("a/b", Grant("GET", 60)).url
        form = guarded(driver).presign("a/b", Grant("POST", 60))
    assert url.startswith("https://storage-acme.p.googleapis.com/acme-data/tenants/acme/dev/raw/a/b?")
    assert form.url == "https://storage-acme.p.googleapis.com/acme-data/"
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert {"bucket": "acme-data"} in policy["conditions"]


def test_without_an_endpoint_google_is_asked(gcs_key):
    config = GcsConfig.model_validate({"bucket": "acme-data", "credentials_json": gcs_key.read_text()})
    with closing(GcsBlobs(config, mode=SAAS, epoch=1)) as driver:
        url = guarded(driver).presign("k", Grant("GET", 60)).url
    assert url.startswith("https://storage.googleapis.com/acme-data/")


class TestConfig:
    def test_a_key_may_be_a_reference(self, monkeypatch, gcs_bucket, settings):
        monkeypatch.setenv("NORTHSTAR_SECRET_KEY", gcs_bucket.key)
        reference = {"$secret": "env:NORTHSTAR_SECRET_KEY"}
        with gcs_driver(gcs_bucket, settings, credentials_json=reference) as driver:
            put(guarded(driver), "k")
            assert use(guarded(driver).presign("k", Grant("GET", 60))).ok
        assert GcsConfig.secret_fields() == {"credentials_json"}

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"bucket": "A"},
            {"bucket": "a/b"},
            {"bucket": "ok-bucket", "prefix": "no-slash"},
            {"bucket": "ok-bucket", "prefix": "a/../"},
            {"bucket": "ok-bucket", "prefix": "x" * 100 + "/"},
            {"bucket": "ok-bucket", "storage_class": "COLD"},
            {"bucket": "ok-bucket", "kms_key": "my-key"},
            {"bucket": "ok-bucket", "signing_account": "me"},
            {"bucket": "ok-bucket", "bucket_location": "eu/west"},
            {"bucket": "ok-bucket", "x": 1},
        ],
    )
    def test_a_config_that_makes_no_sense_is_refused(self, given):
        with pytest.raises(ValidationError):
            GcsConfig.model_validate(given)

    def test_an_address_that_is_not_allowed_is_refused(self, settings):
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = []
        with pytest.raises(ForbiddenEndpoint):
            GcsConfig.model_validate({"bucket": "acme-data", "endpoint": "http://169.254.169.254"})

    def test_another_bucket_prefix_or_address_is_another_place(self, gcs_bucket, settings):
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = [gcs_bucket.url]
        assert gcs_config(gcs_bucket).location() == {
            "bucket": gcs_bucket.bucket,
            "endpoint": gcs_bucket.url,
            "prefix": "",
        }
