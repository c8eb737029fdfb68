"""The caller's chunks cut into parts of one size and hashed on the way, in the memory of one part."""

from collections.abc import Iterable, Iterator
from hashlib import sha256 as new_sha256
from typing import Final

from storage.errors import ChecksumMismatch

Piece = bytes | bytearray | memoryview

_PIECE_BYTES: Final = 64 * 1024
"""Smaller chunks are gathered: each alone would cost more than its bytes."""


class Intake:
    """Reads a body part by part. `size` and `sha256` speak of what was read so far.

    Whatever the caller's iterable raises comes out of `part` unchanged.
    """

    def __init__(self, chunks: Iterable[bytes], *, part_bytes: int) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self.part_bytes = part_bytes
        """How large the next part is to be."""
        self._pieces: list[Piece] = []  # joined once: an array that grows is copied again and again
        self._held = 0
        self._digest = new_sha256()
        self.size = 0
        self.ended = False
        """Whether the last byte was read: known with the part that holds it."""

    @property
    def sha256(self) -> str:
        """Lower-case hex."""
        return self._digest.hexdigest()

    def fill(self) -> None:
        """Read what the next part will hold, so that `part` need not wait for the caller."""
        while self._held <= self.part_bytes and not self.ended:  # one byte more tells that this part is not the last
            self._take()

    def part(self) -> bytes:
        """Return the next part: of the full size, but for the last, which is empty only when the whole body is."""
        return b"".join(self.pieces())

    def pieces(self) -> list[Piece]:
        """Return the next part in the pieces that it came in, which spares its bytes a copy."""
        self.fill()
        rest: memoryview | None = None
        if self._held > self.part_bytes:
            last = memoryview(self._pieces.pop())
            cut = len(last) - (self._held - self.part_bytes)
            self._pieces.append(last[:cut])
            rest = last[cut:]
        part, self._pieces = self._pieces, [] if rest is None else [rest]
        size = sum(map(len, part))
        self._held -= size
        self.size += size
        return part

    def _take(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            self.ended = True
            return
        self._held += len(chunk)
        self._digest.update(chunk)  # here, so that it is done while a driver sends the part before
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, bytearray) and len(last) < _PIECE_BYTES:
            last += chunk
        else:
            self._pieces.append(chunk if len(chunk) >= _PIECE_BYTES else bytearray(chunk))

    def check(self, *, sha256: str | None, size: int | None) -> None:
        """Raise ChecksumMismatch when what was read is not what was announced."""
        check_announced(self.sha256, self.size, sha256=sha256, size=size)


def check_announced(found_sha256: str, found_size: int, *, sha256: str | None, size: int | None) -> None:
    """Raise ChecksumMismatch when other bytes, or more or fewer, were announced than came."""
    if size is not None and size != found_size:
        raise ChecksumMismatch(f"{found_size} bytes came; {size} were announced.", fix="Send it again, whole.")
    if sha256 is not None and sha256.lower() != found_sha256:
        raise ChecksumMismatch(
            f"The bytes that came have SHA-256 {found_sha256}; {sha256.lower()} was announced.", fix="Send it again."
        )
