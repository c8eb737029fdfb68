"""HTTP/1.1 connections to one address, kept alive between requests, each step held to a deadline.

Over the standard library alone: the pool that the SDK uses costs a third more CPU for a small request, and does not tell a
request that never left from one that may have arrived.
"""

import os
import select
import socket
import ssl
import time
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from storage.backends.aws_errors import unreachable, untrusted
from storage.backends.aws_sessions import MOST_CONNECTIONS
from storage.backends.service import CONNECT_SECONDS, Unanswered

IDLE_SECONDS: Final = 20.0
"""A connection that nobody used for so long is not used again: something on the way may have forgotten it."""
PIECE_BYTES: Final = 256 * 1024
"""Of a body: each piece has `CONNECT_SECONDS` to leave, so that a slow line is not taken for a dead one."""


class Incoming:
    """An answer whose body is still to come. Read it to the end, and the connection is kept; or close it.

    `headers` have lower-case names.
    """

    def __init__(self, connections: "Connections", connection: HTTPConnection, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._connections = connections
        self._connection: HTTPConnection | None = connection
        self._response = response

    def read(self, size: int | None = None) -> bytes:
        """Return the body, or its next bytes; none at its end. Raises Unanswered when it stalls or ends early."""
        try:
            data = self._response.read(size)
        except (OSError, HTTPException) as error:
            self.close()
            raise _silent() from error
        if not data and self._response.length:
            self.close()
            raise _silent()
        self._keep_if_read()
        return data

    def close(self) -> None:
        """Let go of what was not read, and of the connection with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._response.close()
            connection.close()

    def __del__(self) -> None:
        self.close()  # whoever forgets an answer shall not keep its connection

    def _keep_if_read(self) -> None:
        if self._response.isclosed() and not self._response.will_close and self._connection is not None:
            self._connections.keep(self._connection)
            self._connection = None


class Connections:
    """Connections to an origin, the last used first. They may be used by many threads; each request has one to itself."""

    def __init__(self, origin: str, *, proxy: str | None = None) -> None:
        self._to = urlsplit(origin)
        self._through = urlsplit(proxy) if proxy else None
        self._context = _tls() if self._to.scheme == "https" else None
        self._kept: deque[tuple[HTTPConnection, float]] = deque()
        self._closed = False

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, seconds: float
    ) -> Incoming:
        """Send a request once, and return its answer when it begins; `seconds` is how long that, and each read, may take.

        Raises BackendUnavailable or BackendRejected when no connection was made, and Unanswered when the request may have
        arrived.
        """
        connection = self._kept_one() or self._new()
        try:
            connection.putrequest(method, target, skip_host=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            _send(connection, body)
            connection.sock.settimeout(seconds)
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            raise _silent() from error
        return Incoming(self, connection, response)

    def keep(self, connection: HTTPConnection) -> None:
        """Take back a connection whose answer was read to the end."""
        if len(self._kept) >= MOST_CONNECTIONS:
            connection.close()
            return
        self._kept.append((connection, time.monotonic()))
        if self._closed:  # asked last: whoever closes meanwhile either finds it or is seen here
            self.close()

    def close(self) -> None:
        """Close those that are not in use; the others go when they are not needed any more."""
        self._closed = True
        while self._kept:
            self._kept.pop()[0].close()

    def _kept_one(self) -> HTTPConnection | None:
        """Return a connection that is still open as far as anybody can tell."""
        while True:
            try:
                connection, since = self._kept.pop()
            except IndexError:
                return None
            if time.monotonic() - since < IDLE_SECONDS and not _has_input(connection.sock):
                connection.sock.settimeout(CONNECT_SECONDS)
                return connection
            connection.close()

    def _new(self) -> HTTPConnection:
        connection = self._connection()
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise untrusted() from error
        except (OSError, HTTPException) as error:
            raise unreachable("S3") from error
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection

    def _connection(self) -> HTTPConnection:
        host, port = self._to.hostname or "", self._to.port
        if self._context is None:
            return HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        if self._through is None:
            return HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._context)
        connection = HTTPSConnection(
            self._through.hostname or "", self._through.port, timeout=CONNECT_SECONDS, context=self._context
        )
        connection.set_tunnel(host, port, headers=_proxy_credentials(self._through))
        return connection


def _send(connection: HTTPConnection, body: bytes) -> None:
    """Send the head and the body. A server that has refused the request already may have stopped listening to its body."""
    connection.endheaders()
    pieces = memoryview(body)
    try:
        for start in range(0, len(pieces), PIECE_BYTES):
            connection.send(pieces[start : start + PIECE_BYTES])
    except (BrokenPipeError, ConnectionResetError):
        pass  # the answer tells


def _has_input(sock: socket.socket) -> bool:
    """Whether something waits to be read between two requests: the end of the connection, or what nobody asked for."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _tls() -> ssl.SSLContext:
    from botocore.httpsession import get_cert_path  # noqa: PLC0415 - at first use

    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True))


def _proxy_credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _silent() -> Unanswered:
    return Unanswered("S3 did not answer in time.")
