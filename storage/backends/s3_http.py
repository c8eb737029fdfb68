"""The requests of a driver to one bucket: signed, sent once over connections that are kept, and held to deadlines.

The SDK finds the credentials and the address. What goes over the wire is made here, because its clients cost several times
the CPU of a small request (docs/decisions/0013). A process forked from one that has connections opens its own.
"""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from storage.backends import aws_sessions
from storage.backends.aws_config import AwsAccess
from storage.backends.aws_errors import is_safe_to_show, no_credentials, of_credentials
from storage.backends.aws_sessions import MOST_CONNECTIONS
from storage.backends.forks import renew_after_fork
from storage.backends.s3_errors import not_of_s3, of_http, refusal_in
from storage.backends.s3_signing import EMPTY_SHA256, query_string, quoted, sign
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS, Unanswered
from storage.errors import BackendUnavailable

PIECE_BYTES: Final = 256 * 1024
"""Of a large body: each piece has `CONNECT_SECONDS` to leave, so that a slow line is not taken for a dead one."""
_SUCCESS: Final = frozenset({200, 204, 206})


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
    """What S3 answered, whole; the names of headers have no case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """Where requests go, and with whose credentials. `root` stands before each quoted name."""

    pool: Any
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
        raw = self.opened(request)
        with translated(request):
            return Answer(raw.headers, raw.read())

    def opened(self, request: Request) -> Any:
        """Send the request once and return the HTTP library's answer, its body yet to be read or closed.

        Raises what `Refusal.raised` tells, Unanswered for a write that may have happened, or BackendUnavailable.
        """
        from urllib3 import Timeout  # noqa: PLC0415 - at first use

        door = self._door or self.door()
        path, query = door.path(request.name), query_string(request.query)
        headers = {"host": door.host, **request.headers}
        sign(request, path, query, headers, keys=self.keys(), region=self.region)
        if not request.reads:
            headers["content-length"] = str(len(request.body))
        with translated(request):
            raw = door.pool.urlopen(
                request.method,
                f"{path}?{query}" if query else path,
                body=_pieces(request.body) if len(request.body) > PIECE_BYTES else request.body or None,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=Timeout(connect=CONNECT_SECONDS, read=request.seconds),
                preload_content=False,
                decode_content=False,
            )
            self._check(request, raw)
        return raw

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
        """Return boto3's client, built at first use: nothing here needs it."""
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
            door.pool.close()
        if client is not None:
            client.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")

    def _check(self, request: Request, raw: Any) -> None:
        """Raise for anything but success, and for a success that is not of S3: it would read as an object, or as none."""
        if raw.status not in _SUCCESS:
            raise refusal_in(request.operation, raw.status, raw.headers, raw.read()).raised(self.bucket)
        if "x-amz-request-id" not in raw.headers:
            raw.close()
            raise not_of_s3()


@contextmanager
def translated(request: Request) -> Iterator[None]:
    """Raise errors of the HTTP library as ours. Of a read, what was not answered has certainly changed nothing."""
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - at first use

    try:
        yield
    except HTTPError as error:
        told = of_http(error)
        if isinstance(told, Unanswered) and request.reads:
            told = BackendUnavailable(told.detail, fix=told.fix)
        raise told from error
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
    parts = urlsplit(origin)
    by_host = own and "." not in bucket  # no certificate covers a name with dots
    host = f"{bucket}.{parts.netloc}" if by_host else parts.netloc
    where = f"{parts.scheme}://{host}"
    return Door(_pool(where, through_proxies=own), credentials, where, host, "/" if by_host else f"/{bucket}/")


def _pool(origin: str, *, through_proxies: bool) -> Any:
    from botocore.httpsession import create_urllib3_context, get_cert_path  # noqa: PLC0415 - at first use
    from botocore.utils import get_environ_proxies  # noqa: PLC0415
    from urllib3 import PoolManager, ProxyManager  # noqa: PLC0415
    from urllib3.connection import HTTPConnection  # noqa: PLC0415

    options: dict[str, Any] = {
        "maxsize": MOST_CONNECTIONS,
        "socket_options": [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
    }
    if origin.startswith("https:"):
        trusted = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True)
        options |= {"ssl_context": create_urllib3_context(), "cert_reqs": "CERT_REQUIRED", "ca_certs": trusted}
    proxy = get_environ_proxies(origin).get(urlsplit(origin).scheme) if through_proxies else None
    manager = ProxyManager(proxy, **options) if proxy else PoolManager(**options)
    return manager.connection_from_url(origin)


def _origin_of(access: AwsAccess) -> str:
    """Return S3's address in the region, by the SDK's own rules."""
    client = aws_sessions.sessions.client("s3", access)
    origin = str(client.meta.endpoint_url)
    client.close()
    return origin


def _pieces(body: bytes) -> Iterator[memoryview]:
    whole = memoryview(body)
    return (whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES))
