"""What objects hold: bytes in memory, or beyond a limit in a file without a name that vanishes with the process."""

import base64
import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import google_crc32c

from tests.servers.gcs_bodies import PIECE
from tests.servers.gcs_errors import GcsError, bad_request, too_large

IN_MEMORY = 1024 * 1024
"""Bytes of an object beyond which it goes to a file."""


class Content:
    """Bytes that never change, with their checksums in base64 as the service writes them."""

    def __init__(self, data: bytes, file: IO[bytes] | None, size: int, md5: str, crc32c: str) -> None:
        self._data = data
        self._file = file
        self.size = size
        self.md5 = md5
        self.crc32c = crc32c
        if file is not None:
            weakref.finalize(self, file.close)

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes from `offset`, at most `size`; any number of threads may do so at once."""
        if self._file is None:
            return self._data[offset : offset + size]
        return os.pread(self._file.fileno(), size, offset)

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        end = self.size if end is None else end
        for offset in range(start, end, PIECE):
            yield self.read(offset, min(PIECE, end - offset))


class Writer:
    """Collects the bytes of a content to be."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._data = bytearray()
        self._file: IO[bytes] | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = google_crc32c.Checksum()

    def write(self, data: bytes) -> None:
        """Append. Raises a 413 when that is more than the limit."""
        self.size += len(data)
        if self.size > self._limit:
            self.discard()
            raise too_large(self._limit)
        self._md5.update(data)
        self._crc32c.update(data)
        if self._file is None and self.size > IN_MEMORY:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as the object
            self._file.write(self._data)
            self._data.clear()
        if self._file is None:
            self._data += data
        else:
            self._file.write(data)

    def finished(self) -> Content:
        """Return the content; nothing may be written after this."""
        crc32c = base64.b64encode(self._crc32c.digest()).decode()
        return Content(bytes(self._data), self._file, self.size, self.md5, crc32c)

    @property
    def md5(self) -> str:
        return base64.b64encode(self._md5.digest()).decode()

    def discard(self) -> None:
        """Give the file back, for a content that is never to be."""
        if self._file is not None:
            self._file.close()


def stored(pieces: Iterable[bytes], limit: int) -> Content:
    """Return a content of these bytes. Raises a 413 for more than the limit."""
    writer = Writer(limit)
    try:
        for piece in pieces:
            writer.write(piece)
    except Exception:
        writer.discard()
        raise
    return writer.finished()


@dataclass(frozen=True)
class Expected:
    """Checksums that a client says its bytes have, in base64; "" where it says nothing."""

    md5: str = ""
    crc32c: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str], fields: Mapping[str, object]) -> "Expected":
        """Take them from X-Goog-Hash, Content-MD5 and the object's own fields. Raises a 400 for other hashes."""
        named = {"md5": headers.get("content-md5", ""), "crc32c": ""}
        for item in filter(None, headers.get("x-goog-hash", "").replace(" ", "").split(",")):
            kind, _, value = item.partition("=")
            if kind not in named:
                raise bad_request(f"X-Goog-Hash names {kind}, which is neither md5 nor crc32c")
            named[kind] = value
        return cls(named["md5"] or str(fields.get("md5Hash") or ""), named["crc32c"] or str(fields.get("crc32c") or ""))

    def merged(self, other: "Expected") -> "Expected":
        """Return these, and the other's where these say nothing."""
        return Expected(self.md5 or other.md5, self.crc32c or other.crc32c)

    def check(self, content: Content) -> None:
        """Raise a 400 when the bytes have other checksums."""
        if self.md5 and self.md5 != content.md5:
            raise _mismatch("MD5 hash", "BadDigest", self.md5, content.md5)
        if self.crc32c and self.crc32c != content.crc32c:
            raise _mismatch("CRC32C", "CrcMismatch", self.crc32c, content.crc32c)


def _mismatch(kind: str, code: str, given: str, calculated: str) -> GcsError:
    return bad_request(f'Provided {kind} "{given}" doesn\'t match calculated {kind} "{calculated}".', code=code)
