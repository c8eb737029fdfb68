"""One keep-alive HTTP connection with next to no cost of its own, so that the ratio is the servers', not the client's."""

import socket
from types import TracebackType
from typing import Self


class BadAnswer(Exception):
    """The server answered otherwise than the benchmark needs; the message shows the status line and the body's start."""


class Connection:
    """Sends prepared requests, one at a time, over one connection."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = {"Host": f"127.0.0.1:{port}", **(headers or {})}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def put(self, path: str, body: bytes) -> int:
        """PUT a body and return the status. Raises BadAnswer unless it is 2xx, with a Content-Length, on an open connection."""
        head = f"PUT {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode("ascii") + body)
        return self._status()

    def _status(self) -> int:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = _content_length(head)
        while len(body) < length:
            body += self._more()
        if not 200 <= status < 300 or b"connection: close" in head.lower():
            raise BadAnswer(f"{head.splitlines()[0].decode()}: {body[:500].decode(errors='replace')}")
        return status

    def _more(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise BadAnswer("The server closed the connection in the middle of an answer.")
        return chunk


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise BadAnswer(f"The answer has no Content-Length: {head.splitlines()[0].decode()}")
