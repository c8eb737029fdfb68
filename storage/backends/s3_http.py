"""The requests of a driver to one bucket: signed, sent once over connections that are kept, and held to deadlines.

The SDK finds the credentials and the address. What goes over the wire is made here, because its clients cost several times
the CPU of a small request (docs/decisions/0017). A process forked from one that has connections opens its own.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from storage.backends import aws_sessions
from storage.backends.aws_config import AwsAccess
from storage.backends.aws_errors import is_safe_to_show, no_credentials, of_credentials
from storage.backends.forks import renew_after_fork
from storage.backends.s3_connections import Connections, Incoming
from storage.backends.s3_errors import not_of_s3, refusal_in
from storage.backends.s3_signing import EMPTY_SHA256, query_string, quoted, sign
from storage.backends.service import READ_SECONDS, Unanswered
from storage.errors import BackendUnavailable

_SUCCESS: Final = frozenset({200, 204, 206})
_REFUSAL_BYTES: Final = 64 * 1024
"""More of a refusal is not read: S3's are short, and another server's are of no use."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the bucket, or to the object `name` in it. Header names are in lower case.

    `operation` is what the SDK and IAM call it; `seconds` is how long S3 may be silent.
    """

    operation: str
    method: str
    name: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    payload_sha256: str = EMPTY_SHA256
    seconds: float = READ_SECONDS

    @property
    def reads(self) -> bool:
        return self.method in {"GET", "HEAD"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What S3 answered, whole; the names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """Where requests go, and with whose credentials. `root` stands before each quoted name."""

    connections: Connections
    credentials: Any
    origin: str
    host: str
    root: str

    def path(self, name: str) -> str:
        return self.root + quoted(name) if name else self.root.rstrip("/") or "/"


class S3Http:
    """The connections to one bucket. Raises BackendUnavailable for everything once it is closed."""

    def __init__(self, access: AwsAccess, bucket: str) -> None:
        self.bucket = bucket
        self.region = access.region
        self._access = access
        self._closed = False
        self._door: Door | None = None
        self._client: Any = None
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent's connections alone: closing them here would end them there."""
        self._lock = threading.Lock()
        self._inherited = (self._door, self._client)
        self._door = self._client = None

    def send(self, request: Request) -> Answer:
        """Send the request once and return its answer. Raises as `opened`."""
        with of_request(request):
            incoming = self._sent(request)
            return Answer(incoming.headers, incoming.read())

    def opened(self, request: Request) -> Incoming:
        """Send the request once and return its answer, whose body is yet to be read or closed.

        Raises what `Refusal.raised` tells, Unanswered for a write that may have happened, or BackendUnavailable.
        """
        with of_request(request):
            return self._sent(request)

    def _sent(self, request: Request) -> Incoming:
        door = self._door or self.door()
        path, query = door.path(request.name), query_string(request.query)
        headers = {"host": door.host, **request.headers}
        sign(request, path, query, headers, keys=self.keys(), region=self.region)
        headers["user-agent"] = "northstar"
        if not request.reads:
            headers["content-length"] = str(len(request.body))
        target = f"{path}?{query}" if query else path
        incoming = door.connections.send(request.method, target, headers, request.body, seconds=request.seconds)
        self._check(request, incoming)
        return incoming

    def keys(self) -> Any:
        """Return the credentials as they are now, renewed where they end. Raises BackendRejected or BackendUnavailable."""
        credentials = (self._door or self.door()).credentials
        with _credentials_translated():
            return credentials.get_frozen_credentials()

    def door(self) -> Door:
        """Return where requests go, found out at first use. Raises as `keys`."""
        with self._lock:
            self._refuse_closed()
            if self._door is None:
                with _credentials_translated():
                    credentials = aws_sessions.sessions.credentials(self._access)
                    origin = self._access.endpoint or _origin_of(self._access)
                if credentials is None:
                    raise no_credentials("NoCredentialsError")
                self._door = _door_at(origin, self.bucket, credentials, own=self._access.endpoint is None)
            return self._door

    def client(self) -> Any:
        """Return the SDK's client, built at first use: nothing here needs it."""
        with self._lock:
            self._refuse_closed()
            if self._client is None:
                self._client = aws_sessions.sessions.client("s3", self._access)
            return self._client

    def close(self) -> None:
        with self._lock:
            self._closed, door, self._door = True, self._door, None
            client, self._client = self._client, None
        if door is not None:
            door.connections.close()
        if client is not None:
            client.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")

    def _check(self, request: Request, incoming: Incoming) -> None:
        """Raise for anything but success, and for a success that is not of S3: it would read as an object, or as none."""
        if incoming.status not in _SUCCESS:
            body = incoming.read(_REFUSAL_BYTES)
            incoming.close()
            raise refusal_in(request.operation, incoming.status, incoming.headers, body).raised(self)
        if "x-amz-request-id" not in incoming.headers:
            incoming.close()
            raise not_of_s3()


@contextmanager
def of_request(request: Request) -> Iterator[None]:
    """Tell a read that was not answered as one that has certainly changed nothing."""
    try:
        yield
    except Unanswered as told:
        if not request.reads:
            raise
        raise BackendUnavailable(told.detail, fix=told.fix) from told.__cause__


@contextmanager
def _credentials_translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - at first use

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise of_credentials(error) from (error if is_safe_to_show(error) else None)


def _door_at(origin: str, bucket: str, credentials: Any, *, own: bool) -> Door:
    """Address the bucket as S3 asks for: by host at S3's own address; by path at any other, which may know no such host."""
    from botocore.utils import get_environ_proxies  # noqa: PLC0415 - at first use

    parts = urlsplit(origin)
    by_host = own and "." not in bucket  # no certificate covers a name with dots
    host = f"{bucket}.{parts.netloc}" if by_host else parts.netloc
    where = f"{parts.scheme}://{host}"
    proxy = get_environ_proxies(where).get(parts.scheme) if own else None  # a named address is asked itself
    connections = Connections(where, proxy=proxy)
    return Door(connections, credentials, where, host, "/" if by_host else f"/{bucket}/")


def _origin_of(access: AwsAccess) -> str:
    """Return S3's address in the region, by the SDK's own rules."""
    client = aws_sessions.sessions.client("s3", access)
    origin = str(client.meta.endpoint_url)
    client.close()
    return origin
