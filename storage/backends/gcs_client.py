"""The connection to Cloud Storage: its JSON and XML APIs over urllib3, with google-auth's credentials, opened at first use.

Google's client sends the same requests by way of `requests`, three to four times the CPU time, and repeats writes by itself. Here
each call is sent once, has a deadline, and goes to the route's endpoint alone. A forked process opens a connection of its own.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from storage.backends.blob_intake import Piece
from storage.backends.forks import renew_after_fork
from storage.backends.gcs_config import GcsConfig
from storage.backends.gcs_errors import Refusal, Sent, broken, missing_bucket, refused, unauthorized
from storage.backends.google_credentials import google_credentials
from storage.backends.service import CONNECT_SECONDS, READ_SECONDS
from storage.errors import BackendUnavailable, NotFound

ENDPOINT: Final = "https://storage.googleapis.com"
SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.full_control",)
"""Of a key's tokens; what an account may do, its roles say. Read-write alone cannot create buckets."""
PLATFORM_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
"""Of the platform's tokens, with which IAM is asked for signatures too."""
MOST_CONNECTIONS: Final = 64
"""Kept open per driver; threads beyond open connections of their own for one call."""
PIECE_BYTES: Final = 256 * 1024
"""A large body goes out in pieces of this size, each of which must leave in time."""

Body = bytes | Iterable[memoryview]
Query = Mapping[str, Any]
"""Strings and numbers, by name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is a success, or a status that the caller asked for. Header names are in any case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent. `seconds` is how long its answer may take."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: Body | None
    seconds: float


class GcsConnection:
    """The calls of one driver. Used by many threads.

    Every call raises as `gcs_errors.refused` and `broken` say, and BackendUnavailable once closed.
    """

    def __init__(self, config: GcsConfig) -> None:
        self.endpoint = (config.endpoint or ENDPOINT).rstrip("/")
        self.bucket = config.bucket
        self.is_emulator = urlsplit(self.endpoint).scheme == "http"
        self._config = config
        self._closed = False
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the parent's connections alone: closing them here would end them there."""
        self._lock = threading.Lock()
        self._inherited = getattr(self, "_pool", None)
        self._pool: Any = None
        self._credentials: Any = None

    def call(
        self,
        method: str,
        path: str,
        *,
        sent: Sent,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        seconds: float = READ_SECONDS,
        expected: frozenset[int] = frozenset(),
    ) -> Answer:
        """Send a request and return its answer, whole. `expected` are statuses to return that are no success."""
        request = _Request(method, path, query or {}, headers or {}, body, seconds)
        with self._sent(request, sent, streamed=False) as response:
            answer = Answer(response.status, response.headers, response.data)
        if answer.status < 300 or answer.status in expected:
            return answer
        raise self._refused(path, answer, sent)

    def open(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str], expected: frozenset[int]
    ) -> Any:
        """Send a GET and return urllib3's response with its body unread; the caller reads it to the end or closes it."""
        request = _Request("GET", path, query or {}, headers, None, READ_SECONDS)
        with self._sent(request, Sent.READ, streamed=True) as response:
            if response.status < 300 or response.status in expected:
                return response
            answer = Answer(response.status, response.headers, response.data)
        raise self._refused(path, answer, Sent.READ)

    def _refused(self, path: str, answer: Answer, sent: Sent) -> Exception:
        asked = answer.headers.get("retry-after", "")
        pause = float(asked) if asked.isdecimal() else 0.0
        ours = refused(Refusal.of(answer.status, answer.data), sent, bucket=self.bucket, pause_seconds=pause)
        names_no_object = path in {self.objects_path, self.upload_path}
        return missing_bucket(self.bucket) if names_no_object and isinstance(ours, NotFound) else ours

    @property
    def objects_path(self) -> str:
        """Where the JSON API has the bucket's objects."""
        return f"/storage/v1/b/{self.bucket}/o"

    @property
    def upload_path(self) -> str:
        """Where the JSON API takes new ones."""
        return f"/upload{self.objects_path}"

    def object_path(self, name: str) -> str:
        """Return where the JSON API has an object."""
        return f"{self.objects_path}/{self.path_part(name)}"

    def path_part(self, name: str) -> str:
        """Return a name as one part of a path."""
        return quote(name, safe="")

    def media_path(self, name: str) -> str:
        """Return where the XML API has an object."""
        return f"/{self.bucket}/{quote(name, safe='/~')}"

    def credentials(self) -> Any:
        """Return google-auth's credentials: the key's, the platform's, or for an emulator without a key anonymous ones.

        Raises BackendRejected where there are none.
        """
        found = self._credentials
        if found is None:
            with self._lock:
                self.check_open()
                found = self._credentials = self._credentials or self._found_credentials()
        return found

    def token(self) -> str:
        """Return a token of the credentials, as a header has it. Raises BackendUnavailable or BackendRejected."""
        headers: dict[str, str] = {}
        self._authorize(headers)
        return headers["authorization"]

    def close(self) -> None:
        """Close the connections that nobody uses; streams that are being read go on. A second call is harmless."""
        with self._lock:
            self._closed, pool, self._pool = True, self._pool, None
            self._credentials = None
        if pool is not None:
            pool.close()

    @contextmanager
    def _sent(self, request: _Request, sent: Sent, *, streamed: bool) -> Iterator[Any]:
        """Send a request and yield urllib3's response, translating its errors."""
        from urllib3 import Timeout  # noqa: PLC0415 - the SDK is imported at first use
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        pool, headers = self._pool or self._opened(), dict(request.headers)
        self._authorize(headers)
        query = f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""
        try:
            yield pool.urlopen(
                request.method,
                request.path + query,
                body=request.body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=Timeout(connect=CONNECT_SECONDS, read=request.seconds),
                preload_content=not streamed,
                decode_content=False,
            )
        except HTTPError as error:
            raise broken(error, sent) from error

    def _authorize(self, headers: dict[str, str]) -> None:
        """Put a token among the headers, fetched by one thread at a time when the last one has ended."""
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - the SDK is imported at first use

        if self.is_emulator:
            headers["authorization"] = "Bearer owner"
            return
        credentials = self.credentials()
        try:
            if not credentials.valid:
                with self._lock:
                    if not credentials.valid:
                        credentials.refresh(token_requests())
            credentials.apply(headers)
        except GoogleAuthError as error:
            raise unauthorized(error) from None

    def _opened(self) -> Any:
        with self._lock:
            self.check_open()
            if self._pool is None:
                # At DEBUG it writes down addresses, and that of an upload is all the right that is needed to go on with it.
                logging.getLogger("urllib3").setLevel(logging.INFO)
                manager = _manager(self.endpoint, named=self._config.endpoint is not None)
                self._pool = manager.connection_from_url(self.endpoint)
            return self._pool

    def _found_credentials(self) -> Any:
        key = self._config.credentials_json
        if self.is_emulator and key is None:
            return anonymous()
        scopes = PLATFORM_SCOPES if key is None else SCOPES
        return google_credentials(key, scopes, service="Cloud Storage")

    def check_open(self) -> None:
        """Raise BackendUnavailable once closed."""
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")


def anonymous() -> Any:
    """Return credentials that give no token."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - the SDK is imported at first use

    build: Any = AnonymousCredentials  # it has no types
    return build()


def token_requests() -> Any:
    """Return google-auth's way to ask whoever gives tokens and signatures, with a deadline."""
    from google.auth.transport.requests import Request  # noqa: PLC0415 - the SDK is imported at first use

    build: Any = Request  # it has no types
    return partial(build(), timeout=READ_SECONDS)


def pieces(*parts: Piece) -> Body:
    """Return a body that is sent in pieces, so that a slow network gets time for each; a small one stays whole."""
    if sum(map(len, parts)) <= PIECE_BYTES:
        return b"".join(parts)
    return _cut(parts)


def _cut(parts: Iterable[Piece]) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), PIECE_BYTES):
            yield view[start : start + PIECE_BYTES]


def _manager(endpoint: str, *, named: bool) -> Any:
    """Return urllib3's pools. A named endpoint is asked itself, never through a proxy of the environment."""
    from urllib3 import PoolManager, ProxyManager  # noqa: PLC0415 - the SDK is imported at first use
    from urllib3.util import make_headers, parse_url  # noqa: PLC0415

    settings: dict[str, Any] = {
        "maxsize": MOST_CONNECTIONS,
        "ssl_context": _trust() if endpoint.startswith("https:") else None,
    }
    proxy = None if named else getproxies().get("https")
    if proxy and not proxy_bypass(urlsplit(endpoint).hostname or ""):
        address = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        return ProxyManager(address.url, proxy_headers=make_headers(proxy_basic_auth=address.auth), **settings)
    return PoolManager(**settings)


@cache
def _trust() -> Any:
    """Return what tells whose certificates are right: this machine's authorities and Mozilla's, read once."""
    from certifi import where  # noqa: PLC0415 - the SDK is imported at first use
    from urllib3.util import create_urllib3_context  # noqa: PLC0415

    context = create_urllib3_context()
    context.load_default_certs()
    context.load_verify_locations(where())
    return context
