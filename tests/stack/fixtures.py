"""A fixture per server, started when a test first asks and once per test process, and a place of its own for every test."""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.stack import servers
from tests.stack.postgres import new_database
from tests.stack.processes import Server

REGION = "us-east-1"
ACCOUNTS = 10**12
FORGET_SECONDS = 30


@dataclass(frozen=True)
class AwsAccount:
    """An AWS account that no other test has; its access key is the account's number."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = REGION

    @property
    def options(self) -> dict[str, Any]:
        """What a boto3 client of the account needs."""
        return {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
        }


@dataclass(frozen=True)
class FirestoreProject:
    """A Google Cloud project that no other test has, at a server without TLS."""

    address: str
    project: str


@dataclass(frozen=True)
class CosmosDatabase:
    """The name of a database that no other test has and that does not exist yet."""

    url: str
    key: str = field(repr=False)
    database: str


@dataclass(frozen=True)
class CosmosServer:
    """A server and the master key that it takes."""

    server: Server
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        return self.server.url

    def database(self) -> CosmosDatabase:
        return CosmosDatabase(self.url, self.key, unique("test"))


@dataclass(frozen=True)
class GcsBucket:
    """The name of a bucket that no other test has and that does not exist yet, and a key whose signatures the server takes."""

    url: str
    bucket: str
    key: str = field(repr=False)
    """A service account's key (JSON), as Google Cloud hands it out; "" where signatures are not looked at."""

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")


@dataclass(frozen=True)
class AzureContainer:
    """The name of a container that no other test has and that does not exist yet, at an emulator with a public key."""

    endpoint: str
    container: str
    account: str = servers.AZURITE_ACCOUNT
    key: str = field(default=servers.AZURITE_KEY, repr=False)


def unique(prefix: str) -> str:
    """A name that no other test has, of lower-case letters, digits and a hyphen."""
    return f"{prefix}-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def ministack() -> Iterator[Server]:
    """MiniStack: DynamoDB and S3."""
    with servers.ministack() as server:
        yield server


@pytest.fixture(scope="session")
def strict_ministack() -> Iterator[Server]:
    """MiniStack that verifies every signature and weighs IAM's policies."""
    with servers.ministack(auth=True) as server:
        yield server


@pytest.fixture(scope="session")
def locked_moto() -> Iterator[Server]:
    """moto behind one lock: the second opinion for DynamoDB."""
    with servers.locked_moto() as server:
        yield server


@pytest.fixture(scope="session")
def firestore_server() -> Iterator[Server]:
    """Our own Firestore server."""
    with servers.firestore_server() as server:
        yield server


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[Server]:
    """Google's Firestore emulator; skipped where it is not on the machine."""
    try:
        starting = servers.firestore_emulator()
    except servers.NotHere as reason:
        pytest.skip(f"service: {reason}")
    with starting as server:
        yield server


@pytest.fixture(scope="session")
def cosmos_server() -> Iterator[CosmosServer]:
    """Our own Cosmos DB server."""
    key = _cosmos_key()
    with servers.cosmos_server(key) as server:
        yield CosmosServer(server, key)


@pytest.fixture(scope="session")
def cosmos_second_opinion() -> Iterator[CosmosServer]:
    """npm's Cosmos DB server: the second opinion."""
    with servers.cosmos_second_opinion() as server:
        yield CosmosServer(server, _cosmos_key())


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """Valkey, which speaks as Redis does."""
    with servers.valkey() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key file of a service account that nobody else has."""
    path = tmp_path_factory.mktemp("gcs") / "key.json"
    path.write_text(json.dumps(service_account_key()), encoding="utf-8")
    return path


def service_account_key(email: str = "northstar@acme-prod.iam.gserviceaccount.com") -> dict[str, str]:
    """Make a service account's key, as Google Cloud hands it out."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    token_uri = "https://oauth2.googleapis.com/token"
    return {
        "type": "service_account",
        "project_id": "acme-prod",
        "client_email": email,
        "private_key_id": "1",
        "private_key": pem,
        "token_uri": token_uri,
    }


@pytest.fixture(scope="session")
def gcs_server(gcs_key: Path) -> Iterator[Server]:
    """Our own Cloud Storage server."""
    with servers.gcs_server("--key", str(gcs_key)) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """PostgreSQL."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[Server]:
    """PyPI's Cloud Storage emulator: the second opinion."""
    with servers.gcs_emulator() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Server]:
    """Azurite: Azure Blob Storage."""
    with servers.azurite() as server:
        yield server


def _cosmos_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _account(server: Server, secret: str = servers.MINISTACK_SECRET) -> AwsAccount:
    return AwsAccount(server.url, f"{secrets.randbelow(ACCOUNTS):012}", secret)


def _project(server: Server) -> FirestoreProject:
    return FirestoreProject(server.address, unique("test"))


@pytest.fixture
def aws_account(ministack: Server) -> AwsAccount:
    return _account(ministack)


@pytest.fixture
def strict_aws_account(strict_ministack: Server) -> AwsAccount:
    return _account(strict_ministack)


@pytest.fixture
def locked_moto_account(locked_moto: Server) -> AwsAccount:
    return _account(locked_moto, secrets.token_urlsafe(30))


@pytest.fixture
def firestore_project(firestore_server: Server) -> FirestoreProject:
    return _project(firestore_server)


@pytest.fixture
def firestore_emulator_project(firestore_emulator: Server) -> Iterator[FirestoreProject]:
    """A project whose documents are forgotten at the end: Google's emulator keeps everything in its heap."""
    project = _project(firestore_emulator)
    yield project
    place = f"emulator/v1/projects/{project.project}/databases/(default)/documents"
    urlopen(Request(f"{firestore_emulator.url}/{place}", method="DELETE"), timeout=FORGET_SECONDS).close()


@pytest.fixture
def gcs_bucket(gcs_server: Server, gcs_key: Path) -> GcsBucket:
    return GcsBucket(gcs_server.url, unique("test"), gcs_key.read_text(encoding="utf-8"))


@pytest.fixture
def gcs_emulator_bucket(gcs_emulator: Server) -> GcsBucket:
    return GcsBucket(gcs_emulator.url, unique("test"), "")


@pytest.fixture
def cosmos_database(cosmos_server: CosmosServer) -> CosmosDatabase:
    return cosmos_server.database()


@pytest.fixture
def cosmos_second_database(cosmos_second_opinion: CosmosServer) -> CosmosDatabase:
    return cosmos_second_opinion.database()


@pytest.fixture
def redis_url(valkey: Server) -> str:
    """An empty Redis, as REDIS_URL names it."""
    with redis.Redis(port=valkey.port) as client:
        client.flushall()
    return f"redis://{valkey.address}/0"


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """A database that no other test has, as DATABASE_URL names it."""
    with new_database(postgres, unique("test")) as url:
        yield url


@pytest.fixture
def azure_container(azurite: Server) -> Iterator[AzureContainer]:
    """A container that is removed at the end, as far as it was made: Azurite keeps everything in its memory."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - only for tests of Azure
    from azure.storage.blob import ContainerClient  # noqa: PLC0415

    place = AzureContainer(azurite.url, unique("test"))
    yield place
    url, named = f"{place.endpoint}/{place.account}", {"account_name": place.account, "account_key": place.key}
    with ContainerClient(url, place.container, named) as client, suppress(ResourceNotFoundError):
        client.delete_container()
