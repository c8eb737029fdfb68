"""A Cloud Storage test server for one test: the real SDK, plain HTTP, a service account, and the control plane."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Blob, Bucket, Client
from google.oauth2 import service_account

from tests.servers.gcs import HOST, GcsServer
from tests.servers.gcs_accounts import Accounts

PROJECT = "northstar"
BUCKET = "acme-data"
SIGNER = "signer@northstar.iam.gserviceaccount.com"
TIMEOUT_SECONDS = 30


@cache
def account_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A key made on the spot; another number is another key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(number: int = 0) -> bytes:
    return account_key(number).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def account_file(url: str, number: int = 0) -> dict[str, str]:
    """What Google gives out for a service account, but that its tokens come from the test server."""
    return {
        "type": "service_account",
        "client_email": SIGNER,
        "project_id": PROJECT,
        "private_key_id": str(number),
        "private_key": account_key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "token_uri": f"{url}/token",
    }


def client_of(url: str, credentials: Any = None) -> Client:
    """An SDK client that asks the server; it has to be closed."""
    options = {"api_endpoint": url}
    return Client(project=PROJECT, credentials=credentials or AnonymousCredentials(), client_options=options)


@dataclass(frozen=True)
class Lab:
    """A server that nobody else uses, and a bucket of acme's in it."""

    url: str
    client: Client
    bucket: Bucket
    http: httpx.Client

    def put(self, name: str, data: bytes = b"x", **options: Any) -> Blob:
        """Upload an object by the SDK, and return it with what the server answered."""
        blob = self.bucket.blob(name)
        blob.upload_from_string(data, **options)
        return blob

    def signed(self, name: str, method: str = "GET", *, seconds: int = 60, key: int = 0, **options: Any) -> str:
        """Sign a URL as the SDK does."""
        credentials = service_account.Credentials.from_service_account_info(account_file(self.url, key))
        url: str = self.bucket.blob(name).generate_signed_url(
            version="v4",
            expiration=timedelta(seconds=seconds),
            method=method,
            credentials=credentials,
            api_access_endpoint=self.url,
            **options,
        )
        return url

    def form(self, name: str, *, seconds: int = 60, key: int = 0, **options: Any) -> dict[str, str]:
        """Sign a form's policy as the SDK does, and return the form's fields."""
        credentials = service_account.Credentials.from_service_account_info(account_file(self.url, key))
        expiration = timedelta(seconds=seconds)
        policy = self.client.generate_signed_post_policy_v4(
            BUCKET, name, expiration=expiration, credentials=credentials, **options
        )
        fields: dict[str, str] = policy["fields"]
        return fields

    def session(self, name: str, **options: Any) -> str:
        """Begin a resumable upload, and return its address."""
        address: str = self.bucket.blob(name).create_resumable_upload_session(**options)
        return address

    def control(self, method: str, what: str, **body: Any) -> Any:
        """Steer the server: `control("POST", "clock", offset_seconds=60)`."""
        answer = self.http.request(method, f"/_test/{what}", content=json.dumps(body))
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@contextmanager
def gcs_lab(accounts: Accounts | None = None) -> Iterator[Lab]:
    """Run a server that knows the account SIGNER."""
    accounts = accounts or Accounts()
    accounts.add_public(SIGNER, public_pem())
    with GcsServer(0, accounts) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://{HOST}:{server.server_port}"
        client = client_of(url)
        try:
            with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS) as http:
                yield Lab(url, client, client.create_bucket(BUCKET), http)
        finally:
            client.close()
            server.shutdown()
            thread.join()
