"""A request's body as a stream that knows its end, so that bodies of any size pass in constant memory."""

from io import BufferedIOBase

from tests.servers.gcs_errors import bad_request, too_large

PIECE = 256 * 1024
"""Bytes that are read at once."""


class Disconnected(Exception):
    """The client went away before its body ended."""


class Body:
    """A body of known length."""

    def __init__(self, stream: BufferedIOBase, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int = PIECE) -> bytes:
        """Return up to `size` bytes, exactly that many unless the body ends; b"" at the end. Raises Disconnected."""
        wanted = min(size, self._left)
        data = received(self._stream, wanted)
        self._left -= wanted
        return data

    def all(self, limit: int) -> bytes:
        """Return a whole small body. Raises a 413 for more than `limit` bytes."""
        data = self.read(limit + 1)
        if len(data) > limit:
            raise too_large(limit)
        return data

    def drain(self) -> None:
        """Read on to the end, so that the next request of the connection can be found."""
        while self.read():
            pass


class ChunkedBody(Body):
    """A body in chunks (RFC 9112, 7.1); trailers are skipped."""

    def __init__(self, stream: BufferedIOBase) -> None:
        super().__init__(stream, 0)
        self._ended = False

    def read(self, size: int = PIECE) -> bytes:
        data = b""
        while len(data) < size and not self._ended:
            if not self._left:
                self._next_chunk()
                continue
            data += super().read(size - len(data))
            if not self._left:
                self._stream.readline()
        return data

    def _next_chunk(self) -> None:
        line = self._stream.readline(100).partition(b";")[0].strip()
        try:
            self._left = int(line, 16)
        except ValueError:
            raise Disconnected from None
        if not self._left:
            self._ended = True
            while self._stream.readline(PIECE).strip():
                pass


def received(stream: BufferedIOBase, size: int) -> bytes:
    """Return exactly so many bytes of a stream. Raises Disconnected."""
    try:
        data = stream.read(size)
    except OSError:
        raise Disconnected from None
    if len(data) < size:
        raise Disconnected
    return data


def body_of(stream: BufferedIOBase, headers: dict[str, str]) -> Body:
    """Return the body that the headers announce."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return ChunkedBody(stream)
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise bad_request(f"Content-Length is {length}, no number")
    return Body(stream, int(length))
