"""The log of one partition: an open file that is appended to, cut back, and read at given places."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from storage.backends.filesystem_paths import refused, sync_file

CHUNK_BYTES: Final = 1024 * 1024


class LogFile:
    """One log, open. It is closed when the last reader lets go of it, so a replaced log stays readable to those who began.

    `inode` names it for as long as it is open: no other file can have the number.
    """

    def __init__(self, descriptor: int, path: Path, *, durable: bool) -> None:
        self._descriptor = descriptor
        self._durable = durable
        self.path = path
        self.inode = os.fstat(descriptor).st_ino

    def __del__(self) -> None:
        os.close(self._descriptor)

    @property
    def stat(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    @property
    def size(self) -> int:
        return self.stat.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at a place: fewer than `length` only at the end of the file."""
        return os.pread(self._descriptor, length, offset)

    def append(self, data: bytes, end: int) -> None:
        """Write at the end, which is at `end`, durably. Raises BackendUnavailable; then nothing was added."""
        try:
            self.write(data)
            self.sync()
        except OSError as error:
            self.cut(end)
            raise refused(error, self.path) from error

    def write(self, data: bytes) -> None:
        """Write at the end, not yet durably. Raises OSError."""
        written = os.write(self._descriptor, data) if data else 0
        while written < len(data):
            written += os.write(self._descriptor, memoryview(data)[written:])

    def cut(self, end: int) -> None:
        """Drop everything from `end` on. Raises BackendUnavailable."""
        try:
            os.ftruncate(self._descriptor, end)
            self.sync()
        except OSError as error:
            raise refused(error, self.path) from error

    def sync(self) -> None:
        """Make what was written durable, where the config asks for that."""
        if self._durable:
            sync_file(self._descriptor)

    def lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and the bytes of each line from `start` on, in constant memory; a torn last line has no newline."""
        offset, rest = start, b""
        while chunk := self.read(offset + len(rest), CHUNK_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield offset, line + b"\n"
                offset += len(line) + 1
        if rest:
            yield offset, rest
