"""Bodies in parts (RFC 2046, 5.1), read as a stream: a part may be of any size."""

from email.message import Message

from tests.servers.gcs_bodies import PIECE, Body
from tests.servers.gcs_errors import GcsError, bad_request, too_large

MAX_HEADERS = 64 * 1024
"""Bytes of one part's headers."""


class MultipartReader:
    """`next_part()` returns a part's headers; then `read()` returns its bytes piece by piece, b"" at its end."""

    def __init__(self, body: Body, content_type: str, kind: str) -> None:
        """Raises a 400 unless the content type is this kind of multipart and names its boundary."""
        header = Message()
        header["content-type"] = content_type
        boundary = header.get_boundary()
        if header.get_content_type() != kind or not boundary:
            raise bad_request(f"Content-Type is {content_type}, no {kind} with a boundary")
        self._body = body
        self._delimiter = b"\r\n--" + boundary.encode()
        self._buffer = b"\r\n"  # so that the first boundary looks like all others

    def next_part(self) -> Message | None:
        """Return the headers of the next part, None after the last. Raises a 400 for what is no multipart."""
        while self.read():
            pass
        self._take(len(self._delimiter))
        if self._take(2) == b"--":
            return None
        self._buffer = b"\r\n" + self._buffer
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            before = len(self._buffer)
            self._fill(before + 1)
            if len(self._buffer) == before or before > MAX_HEADERS:
                raise _broken()
        return _headers(self._take(end + 4))

    def read(self) -> bytes:
        """Return the next piece of the current part. Raises a 400 when the body ends within it."""
        self._fill(len(self._delimiter))
        end = self._buffer.find(self._delimiter)
        if end < 0 and len(self._buffer) < len(self._delimiter):
            raise _broken()
        safe = end if end >= 0 else len(self._buffer) - len(self._delimiter) + 1
        return self._take(safe)

    def all(self, limit: int) -> bytes:
        """Return what is left of a small part. Raises a 413 for more than `limit` bytes."""
        data = b""
        while piece := self.read():
            data += piece
            if len(data) > limit:
                raise too_large(limit)
        return data

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and (piece := self._body.read(PIECE)):
            self._buffer += piece

    def _take(self, size: int) -> bytes:
        self._fill(size)
        if len(self._buffer) < size:
            raise _broken()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def _headers(head: bytes) -> Message:
    headers = Message()
    for line in head.decode(errors="replace").strip().splitlines():
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    return headers


def _broken() -> GcsError:
    return bad_request("The multipart body is malformed: a boundary is missing", code="MalformedPOSTRequest")
