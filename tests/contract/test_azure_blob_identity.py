"""Azure objects by an identity of Microsoft Entra: tokens and user delegation SAS, over TLS, as no key of the account is there.

Azurite checks a token's audience, issuer and times, not its signature, so the test hands out tokens of its own.
"""

import base64
import ipaddress
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from northstar.modes import SAAS
from storage.backends import azure_blob_signing
from storage.backends.azure_blob import AzureBlobs
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.backends.azure_blob_parts import PART_BYTES
from storage.backends.azure_identity import entra_credential
from storage.blobs import Grant, RangeRequest
from storage.config import SecretReference
from storage.errors import BackendRejected
from tests.contract.azure_lab import BACKEND, guarded
from tests.contract.blob_contract import keys_of, put, read
from tests.contract.presigned_http import send
from tests.stack import servers
from tests.stack.fixtures import unique
from tests.stack.processes import Server

backend = BACKEND
HOURS = 3600


class Identity:
    """A credential that hands out tokens for this audience and time, and counts them."""

    def __init__(self, audience: str = "https://storage.azure.com", seconds: int = HOURS) -> None:
        self.audience, self.seconds = audience, seconds
        self.asked: list[tuple[str, ...]] = []

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.asked.append(scopes)
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": self.audience,
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        }
        claims |= {"oid": "23657296-5cd5-45b0-a809-d972a7f4dfe1", "tid": "dd0d0df1-06c3-436c-8034-4b9a153097ce"}
        claims |= {"iat": now - 60, "nbf": now - 60, "exp": now + self.seconds, "scp": "user_impersonation"}
        parts = [{"alg": "RS256", "typ": "JWT"}, claims]
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        return AccessToken(".".join([*encoded, "c2ln"]), now + max(self.seconds, HOURS))


class NoIdentity:
    """A platform that has none."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise ClientAuthenticationError("canary: no managed identity here")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The paths of a certificate of 127.0.0.1, signed by itself, and of its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.fixture(scope="module")
def secure_azurite(certificate: tuple[str, str]) -> Iterator[Server]:
    """Azurite that takes tokens, over TLS."""
    path, key = certificate
    with servers.azurite("--oauth", "basic", "--cert", path, "--key", key, cafile=path) as server:
        yield server


@pytest.fixture
def config(secure_azurite, certificate, settings, monkeypatch) -> AzureBlobConfig:
    """A route without any secret; the certificate is trusted as Azure's are."""
    endpoint = f"https://{secure_azurite.address}"
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = [endpoint]
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", certificate[0])
    return AzureBlobConfig(account=servers.AZURITE_ACCOUNT, container=unique("test"), endpoint=endpoint)


@contextmanager
def driven_by(identity: Any, config: AzureBlobConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureBlobs]:
    monkeypatch.setattr("storage.backends.azure_blob_client.entra_credential", lambda *_, **__: identity)
    with closing(AzureBlobs(config, mode=SAAS, epoch=1)) as driver:
        yield driver


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
def driver(identity, config, monkeypatch) -> Iterator[AzureBlobs]:
    with driven_by(identity, config, monkeypatch) as driver:
        driver.prepare()
        yield driver


def test_an_identity_writes_reads_lists_copies_and_deletes(driver, identity):
    blobs = guarded(driver)
    large = b"x" * (2 * PART_BYTES + 1)
    put(blobs, "small")
    blobs.put("large", [large], content_type="text/plain")
    assert blobs.copy("large", "copied").sha256 == blobs.head("large").sha256
    assert (read(blobs, "copied") == large, keys_of(blobs)) == (True, ["copied", "large", "small"])
    assert read(blobs, "small", RangeRequest(suffix=2)) == b"ta"
    assert blobs.delete("large")
    # A token is kept while it lives: one for the objects, one for the key that signs the copy's source.
    assert identity.asked == [("https://storage.azure.com/.default",)] * 2


@pytest.mark.line(113, 118)
def test_what_it_presigns_is_signed_with_a_delegated_key_for_one_blob_and_one_use(driver, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    blobs = guarded(driver)
    put(blobs, "doc", b"acme's")
    get, sent = blobs.presign("doc", Grant("GET", 60)), blobs.presign("new", Grant("PUT", 60))

    def use(method, request, body=b""):
        return send(method, request.url, body, request.headers)

    got = use("GET", get)
    assert (got.status, got.body, got.headers["content-disposition"]) == (200, b"acme's", "attachment")
    assert use("PUT", sent, b"fresh").status == 201
    assert read(blobs, "new") == b"fresh"
    for method, request in (("PUT", get), ("DELETE", get), ("GET", sent), ("DELETE", sent)):
        assert not use(method, request, b"x" if method == "PUT" else b"").ok
    query = dict(parse_qsl(urlsplit(sent.url).query))
    assert (query["sp"], query["sr"], query["spr"], "skoid" in query) == ("cw", "b", "https", True)


@pytest.mark.line(114)
def test_the_delegated_key_is_fetched_once_and_again_for_what_lives_longer(driver, monkeypatch):
    fetched = []
    fetch = azure_blob_signing._fetched

    def counted(*args: Any) -> Any:
        fetched.append(1)
        return fetch(*args)

    monkeypatch.setattr(azure_blob_signing, "_fetched", counted)
    blobs = guarded(driver)
    for seconds in (60, 3600, 6 * 24 * 3600):
        blobs.presign("doc", Grant("GET", seconds))
    assert len(fetched) == 1


@pytest.mark.parametrize("wrong", [Identity("https://vault.azure.net"), Identity(seconds=-30)])
def test_a_token_for_something_else_or_of_yesterday_is_refused_with_the_way_out(driver, config, monkeypatch, wrong):
    with driven_by(wrong, config, monkeypatch) as other, pytest.raises(BackendRejected) as refused:
        put(guarded(other), "doc")
    assert refused.value.fix


def test_a_platform_without_an_identity_is_told_so_and_nothing_of_why(config, monkeypatch):
    with (
        driven_by(NoIdentity(), config, monkeypatch) as driver,
        pytest.raises(BackendRejected, match="no credential") as refused,
    ):
        driver.ping()
    assert "Storage Blob Data Contributor" in refused.value.fix
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        ("https://acme.blob.core.windows.net", "login.microsoftonline.com"),
        ("https://acme.blob.core.usgovcloudapi.net", "login.microsoftonline.us"),
        ("https://acme.blob.core.chinacloudapi.cn", "login.chinacloudapi.cn"),
        ("https://acme.documents.azure.us:443/", "login.microsoftonline.us"),
    ],
)
def test_each_cloud_has_an_authority_of_its_own(endpoint, authority, monkeypatch):
    made: list[dict[str, Any]] = []
    for name in ("ClientSecretCredential", "DefaultAzureCredential"):
        monkeypatch.setattr(f"azure.identity.{name}", lambda *args, **options: made.append({"args": args, **options}))
    monkeypatch.setenv("NORTHSTAR_SECRET_APP", "secret")
    reference = SecretReference(reference="env:NORTHSTAR_SECRET_APP")
    entra_credential(endpoint, tenant_id="t", client_id="c", client_secret=reference)
    entra_credential(endpoint, tenant_id=None, client_id="c", client_secret=None)
    entra_credential(endpoint, tenant_id=None, client_id=None, client_secret=None)
    assert [one["authority"] for one in made] == [authority] * 3
    assert (made[0]["args"], made[1]["managed_identity_client_id"]) == (("t", "c", "secret"), "c")
