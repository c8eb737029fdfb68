"""Compaction: a log that is mostly superseded lines is written anew without them and takes the old one's place by rename.

A crash at any point leaves the old log or the new one, whole; the index notices which by the file's identity.
"""

from collections.abc import Callable, Iterator
from typing import Final

from storage.backends.filesystem_files import PartitionFiles
from storage.backends.filesystem_index import REMEMBERED_MICROSECONDS, Index, IndexDamaged, Meta, Remembered, Row
from storage.backends.filesystem_lines import (
    SINGLE,
    alone,
    floor_line,
    member_at,
    parse,
    remembered_line,
    tombstone_line,
)
from storage.backends.filesystem_log import CHUNK_BYTES, LogFile
from storage.backends.filesystem_paths import refused
from storage.backends.filesystem_recovery import TAIL_BYTES

DEAD_BYTES: Final = 1024 * 1024
"""A log is not worth compacting before so much of it is superseded."""


def is_due(meta: Meta) -> bool:
    """Whether more than a MiB and more than half of the log is superseded."""
    return meta.upto - meta.live > max(DEAD_BYTES, meta.live)


def compact(files: PartitionFiles, *, now: int) -> None:
    """Write the log anew, under the partition's lock. `now` is in microseconds. Raises BackendUnavailable; then nothing changed.

    What stays: every document, the tombstones of a day, the outcomes of callers' operation ids of a day. Older tombstones
    collapse into one floor, above which every later new key starts, so no version is used twice.
    """
    with files.index.transaction():
        target = files.create_compacted()
        try:
            meta = _Compaction(files.index, files.log, target, now).run()
            target.sync()
            files.replace_log(target)
        except OSError as error:
            raise refused(error, files.log.path) from error
        finally:
            files.remove_leftover()  # after a rename there is none
        files.index.save_meta(meta)


class _Compaction:
    def __init__(self, index: Index, log: LogFile, target: LogFile, now: int) -> None:
        self._index = index
        self._log = log
        self._target = target
        self._now = now
        self._floor = index.meta().floor
        self._upto = 0
        self._tail = b""
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def run(self) -> Meta:
        remembered = self._index.all_remembered(now=self._now)
        self._index.rewrite_rows(self._rows())
        self._index.rewrite_remembered([self._keep(operation) for operation in remembered])
        if self._floor:
            self._write(floor_line(self._floor))
        self._flush()
        return Meta(self._target.inode, self._upto, self._tail, self._upto, self._floor)

    def _rows(self) -> Iterator[Row]:
        for row in self._index.all_rows():
            if row.present(self._now):
                line = self._document(row)
                yield row._replace(offset=self._write(line), length=len(line), op=SINGLE, share=len(line))
            elif row.gone_at is None or row.gone_at <= self._now - REMEMBERED_MICROSECONDS:
                self._floor = max(self._floor, row.version)
            else:
                line = tombstone_line(row.key, row.version, row.gone_at)
                offset = self._write(line)
                yield row._replace(offset=offset, length=len(line), op=SINGLE, share=len(line), deleted=1)

    def _document(self, row: Row) -> bytes:
        def take(raw: bytes) -> bytes:
            member = member_at(parse(raw), row.op)
            if member["key"].encode() != row.key or member["version"] != row.version:
                raise ValueError("the index names another line")
            return raw if row.op == SINGLE else alone(raw, row.op)

        return self._checked(row.offset, row.length, take)

    def _keep(self, operation: Remembered) -> Remembered:
        line = self._checked(operation.offset, operation.length, remembered_line)
        return operation._replace(offset=self._write(line), length=len(line))

    def _checked(self, offset: int, length: int, take: Callable[[bytes], bytes]) -> bytes:
        try:
            return take(self._log.read(offset, length))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise IndexDamaged(f"no such line at byte {offset}") from error

    def _write(self, line: bytes) -> int:
        offset = self._upto
        self._pending.append(line)
        self._pending_bytes += len(line)
        self._upto += len(line)
        self._tail = line[-TAIL_BYTES:]
        if self._pending_bytes >= CHUNK_BYTES:
            self._flush()
        return offset

    def _flush(self) -> None:
        self._target.write(b"".join(self._pending))
        self._pending.clear()
        self._pending_bytes = 0
