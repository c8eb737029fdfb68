"""Bytes on their way in are hashed, whole and in parts; on their way out no part leaves before it has proven to be that one.

So a damaged object is never served as good, in a range neither, at the memory of one part.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Final

from media.errors import DamagedMedia
from storage.blobs import ByteRange
from storage.errors import ValueTooLarge

PART_BYTES: Final = 4 * 1024 * 1024
MOST_PARTS: Final = 8192
MOST_BYTES: Final = PART_BYTES * MOST_PARTS
"""32 GiB: the checksums of so many parts, 256 KiB, still fit a document (350 KiB)."""
HEAD_BYTES: Final = 256 * 1024
"""What is kept of the beginning: signatures stand there, and the size of most images."""
DIGEST_BYTES: Final = 32


class Intake:
    """Chunks as they are taken in. Read it once; then it tells their size, their checksums and how they begin."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.size = 0
        self.head = b""
        self._chunks = chunks
        self._whole = sha256()
        self._part = sha256()
        self._digests = bytearray()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._take(chunk)
            yield chunk

    @property
    def checksum(self) -> str:
        """The SHA-256 of all bytes, in hex."""
        return self._whole.hexdigest()

    @property
    def parts(self) -> bytes:
        """The SHA-256 of each part, one after the other; empty for what is one part, since that is the whole."""
        if self.size <= PART_BYTES:
            return b""
        last = self._part.digest() if self.size % PART_BYTES else b""
        return bytes(self._digests) + last

    def _take(self, chunk: bytes) -> None:
        if self.size + len(chunk) > MOST_BYTES:
            raise ValueTooLarge(f"The media output has more than the {MOST_BYTES} bytes that are allowed.")
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self._whole.update(chunk)
        view = memoryview(chunk)
        while view:
            room = PART_BYTES - self.size % PART_BYTES
            piece, view = view[:room], view[room:]
            self._part.update(piece)
            self.size += len(piece)
            if len(piece) == room:
                self._digests += self._part.digest()
                self._part = sha256()


def read_through(chunks: Iterable[bytes]) -> Intake:
    """Read all chunks, keep none, and return what they are."""
    taken = Intake(chunks)
    deque(taken, maxlen=0)
    return taken


def whole_parts(span: ByteRange, size: int) -> ByteRange:
    """Return the parts that hold a range of an object of so many bytes."""
    end = -(-span.end // PART_BYTES) * PART_BYTES
    return ByteRange(span.start // PART_BYTES * PART_BYTES, min(end, size))


class VerifiedChunks:
    """The bytes of a range, from a source of the whole parts that hold it. Each part is compared before its bytes are given.

    Raises DamagedMedia in place of the first part that is not the one stored, after telling `damaged`. Read it to the end, or
    close it.
    """

    def __init__(
        self, source: Iterator[bytes], digests: bytes, span: ByteRange, size: int, damaged: Callable[[], DamagedMedia]
    ) -> None:
        self._source = source
        self._digests = digests
        self._span = span
        self._size = size
        self._damaged = damaged
        self._at = whole_parts(span, size).start
        self._ready: deque[bytes] = deque()
        self._rest = b""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.look_ahead()
        if not self._ready:
            self.close()
            raise StopIteration
        return self._ready.popleft()

    def look_ahead(self) -> None:
        """Have the next part compared, if none is ready: what is wrong with the first is known before anything is answered."""
        if not self._ready and self._at < self._span.end:
            self._ready.extend(self._next_part())

    def close(self) -> None:
        """Let go of what was not read."""
        self._at = self._span.end
        getattr(self._source, "close", int)()

    def _next_part(self) -> list[bytes]:
        start = self._at
        pieces = self._taken(min(PART_BYTES, self._size - start))
        digest = sha256()
        for piece in pieces:
            digest.update(piece)
        at = start // PART_BYTES * DIGEST_BYTES
        if digest.digest() != self._digests[at : at + DIGEST_BYTES]:
            self.close()
            raise self._damaged()
        self._at = start + PART_BYTES
        return list(self._inside(start, pieces))

    def _taken(self, length: int) -> list[bytes]:
        pieces: list[bytes] = []
        while length > 0:
            chunk = self._rest or next(self._source, b"")
            if not chunk:  # shorter than it was: what there is has another checksum
                break
            pieces.append(chunk[:length])
            self._rest = chunk[length:]
            length -= len(pieces[-1])
        return pieces

    def _inside(self, start: int, pieces: list[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            inside = piece[max(0, self._span.start - start) : max(0, self._span.end - start)]
            start += len(piece)
            if inside:
                yield inside
