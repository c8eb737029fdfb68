"""The bytes of an object on their way in: hashed as they come, durable before anybody can see them."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from storage.backends.blob_intake import check_announced
from storage.backends.local_files_folders import Folder, Generation, translated, write_all
from storage.backends.local_files_scope import ScopeFolder, tmp_name
from storage.blobs import CHUNK_BYTES, ByteRange
from storage.errors import BackendRejected

_CLOCK_STEPS: Final = (1, 1_000, 1_000_000, 2_000_000_000)
"""Nanoseconds: file systems keep times this finely; the last is FAT's."""


class Upload:
    """A file in tmp/ that its writer holds a lock on for as long as it lives. Leaving `with` removes what was not published."""

    __slots__ = ("_fd", "_published", "_sha256", "name", "size", "tmp")

    def __init__(self, home: ScopeFolder, key: str) -> None:
        self.name = tmp_name(key)
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._published = False
        self.tmp = home.tmp()
        try:
            self._fd = _held(self.tmp, self.name)
        except OSError:
            self.tmp.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        if not self._published:
            self.tmp.remove(self.name)
        self.tmp.close()

    @property
    def sha256(self) -> str:
        """The checksum of what was written, lower-case hex."""
        return self._sha256.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        write_all(self._fd, chunk)
        self._sha256.update(chunk)
        self.size += len(chunk)

    def check(self, *, sha256: str | None, size: int | None) -> None:
        """Raise ChecksumMismatch when other bytes, or more or fewer, were announced."""
        check_announced(self.sha256, self.size, sha256=sha256, size=size)

    def settle(self) -> None:
        """Make the bytes and their time durable."""
        self._stamp(time.time_ns())  # the kernel's own times tick too coarsely to tell two writes apart

    def generation(self, *, newer_than: int) -> Generation:
        """Return the file's generation, its time moved past `newer_than` (nanoseconds) where a clock went backwards."""
        for step in _CLOCK_STEPS:
            status = os.fstat(self._fd)
            if status.st_mtime_ns > newer_than:
                break
            self._stamp(newer_than + step)
        status = os.fstat(self._fd)
        return Generation(status.st_size, status.st_mtime_ns)

    def _stamp(self, mtime_ns: int) -> None:
        os.utime(self._fd, ns=(mtime_ns, mtime_ns))
        self.tmp.flush_file(self._fd)

    def published(self) -> None:
        """The file has left tmp/."""
        self._published = True


def _held(tmp: Folder, name: bytes) -> int:
    fd = tmp.create_file(name)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # tells the sweep that this one's writer is alive
    except OSError:
        os.close(fd)
        raise
    return fd


class FileChunks:
    """The bytes of a span of an open file, at most 1 MiB at a time. Owns the file, and closes it after the last byte."""

    __slots__ = ("_end", "_fd", "_position")

    def __init__(self, fd: int, span: ByteRange) -> None:
        self._fd: int | None = fd
        self._position = span.start
        self._end = span.end
        if span.start == span.end:
            self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._fd is None:
            raise StopIteration
        with translated("The object could not be read on"):
            chunk = os.pread(self._fd, min(CHUNK_BYTES, self._end - self._position), self._position)
        if not chunk:
            self.close()
            raise BackendRejected(
                "The object's file was cut short while it was read.", fix="Restore it, or store it again."
            )
        self._position += len(chunk)
        if self._position == self._end:
            self.close()
        return chunk

    def close(self) -> None:
        """Close the file; a second call is harmless."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        self.close()
