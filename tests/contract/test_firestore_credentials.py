"""What the Firestore driver is given to connect with, where it goes, and where it never shows."""

import json
import logging
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth.jwt import decode
from google.cloud.firestore_v1.types import BatchGetDocumentsRequest, BatchGetDocumentsResponse
from pydantic import ValidationError

from northstar.errors import ForbiddenEndpoint, NorthstarError
from northstar.modes import SAAS
from storage.backends.firestore import FirestoreDocuments
from storage.backends.firestore_config import FirestoreConfig
from storage.config import reveal
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.document_contract import ref
from tests.contract.firestore_lab import BACKEND, guarded
from tests.stack.counting import counting_http

backend = BACKEND

ACCOUNT = "northstar@acme-prod.iam.gserviceaccount.com"
Seen = list[dict[str, str]]


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(private_key: rsa.RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return private_key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def certificate(private_key: rsa.RSAPrivateKey) -> bytes:
    """Of localhost, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, private_key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(private_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def key_json(pem: str, **parts: str) -> str:
    """A service account's key, as Google Cloud hands it out."""
    key = {"type": "service_account", "client_email": ACCOUNT, "private_key": pem, "private_key_id": "1"}
    return json.dumps({**key, "token_uri": "https://oauth2.googleapis.com/token", **parts})


@contextmanager
def reading_server(tls: grpc.ServerCredentials | None = None) -> Iterator[tuple[int, Seen]]:
    """A server that finds every document missing, and keeps what headers the calls had."""
    seen: Seen = []

    def batch_get(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        seen.append({name: str(value) for name, value in context.invocation_metadata()})
        for name in request.documents:
            yield BatchGetDocumentsResponse.pb()(missing=name)

    method = grpc.unary_stream_rpc_method_handler(
        batch_get, BatchGetDocumentsRequest.pb().FromString, BatchGetDocumentsResponse.pb().SerializeToString
    )
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        handlers = {"BatchGetDocuments": method}
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", handlers)]
        )
        port = server.add_secure_port("localhost:0", tls) if tls else server.add_insecure_port("localhost:0")
        server.start()
        try:
            yield port, seen
        finally:
            server.stop(None).wait()


@contextmanager
def opened(settings: Any, endpoint: str, key: str | None) -> Iterator[FirestoreDocuments]:
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = [endpoint]
    config = FirestoreConfig.model_validate({"project": "acme-prod", "endpoint": endpoint, "credentials_json": key})
    driver = FirestoreDocuments(config, mode=SAAS, epoch=1)
    yield driver
    driver.close()


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_over_tls_an_account_signs_its_own_token_and_no_address_in_its_key_is_called(
    settings, monkeypatch, pem, certificate
):
    trusting = grpc.ssl_channel_credentials(certificate)
    monkeypatch.setattr("grpc.ssl_channel_credentials", lambda: trusting)
    tls = grpc.ssl_server_credentials([(pem.encode(), certificate)])
    with reading_server(tls) as (port, seen), counting_http() as elsewhere:
        key = key_json(pem, token_uri=f"http://{elsewhere.address}/")
        with opened(settings, f"https://localhost:{port}", key) as driver:
            assert driver.get(ref("k")) is None
        assert elsewhere.calls == 0
    (headers,) = seen
    claims = decode(headers["authorization"].removeprefix("Bearer "), {"1": certificate.decode()})
    assert (claims["iss"], claims["sub"]) == (ACCOUNT, ACCOUNT)
    assert headers["google-cloud-resource-prefix"] == "projects/acme-prod/databases/(default)"


def test_a_plain_address_gets_no_credentials(settings, pem):
    with reading_server() as (port, seen), opened(settings, f"http://localhost:{port}", key_json(pem)) as driver:
        assert driver.get(ref("k")) is None
    assert seen[0]["authorization"] == "Bearer owner"


@pytest.mark.line(152)
def test_a_key_shows_in_no_error_log_or_repr(settings, pem, caplog):
    caplog.set_level(logging.DEBUG)
    secret = pem.splitlines()[5]
    damaged = [key_json(pem[:400]), key_json(pem).replace("service_account", secret), f'"{secret}"', secret, "[]"]
    for key in [*damaged, key_json(pem)]:
        with opened(settings, "https://localhost:9", key) as driver:
            with pytest.raises(BackendUnavailable if key == key_json(pem) else NorthstarError) as refusal:
                guarded(driver).get(ref("k"))
            assert secret not in everything_said(refusal.value)
            assert secret not in repr(driver._connection._config) + repr(vars(driver._connection))
    assert secret not in caplog.text


def test_what_is_no_key_is_refused_with_what_to_give(settings):
    with opened(settings, "https://localhost:9", "{}") as driver, pytest.raises(BackendRejected) as refusal:
        driver.ping()
    assert "service account key" in refusal.value.fix


def test_without_a_key_the_platform_must_have_an_identity(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with opened(settings, "https://localhost:9", None) as driver, pytest.raises(BackendRejected, match="credentials"):
        driver.ping()


def test_a_key_may_be_a_reference(monkeypatch, pem):
    monkeypatch.setenv("NORTHSTAR_SECRET_KEY", key_json(pem))
    reference = {"$secret": "env:NORTHSTAR_SECRET_KEY"}
    config = FirestoreConfig.model_validate({"project": "acme-prod", "credentials_json": reference})
    assert config.credentials_json is not None
    assert reveal(config.credentials_json) == key_json(pem)
    assert FirestoreConfig.secret_fields() == {"credentials_json"}


@pytest.mark.parametrize(
    "given",
    [{}, {"project": "a/b"}, {"project": "acme", "database": "a/../b"}, {"project": ""}, {"project": "acme", "x": 1}],
)
def test_a_config_that_names_no_database_is_refused(given):
    with pytest.raises(ValidationError):
        FirestoreConfig.model_validate(given)


def test_an_address_that_is_not_allowed_is_refused(settings):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = []
    with pytest.raises(ForbiddenEndpoint):
        FirestoreConfig.model_validate({"project": "acme", "endpoint": "http://169.254.169.254"})
