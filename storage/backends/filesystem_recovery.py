"""Bringing the index up to the log: after a crash, after another program's copy or edit, or from nothing.

Everything here runs under the partition's lock, inside a transaction of the index.
"""

from datetime import UTC, datetime
from typing import Final

from storage.backends.filesystem_index import REMEMBERED_MICROSECONDS, Index, Meta, Remembered, Row
from storage.backends.filesystem_lines import Member, entries_of, microseconds, parse
from storage.backends.filesystem_log import LogFile
from storage.errors import BackendRejected

TAIL_BYTES: Final = 64
"""How much of the log's end the index keeps, to notice that another log has taken the place of the one it describes."""
_PENDING_ROWS: Final = 5000


def catch_up(index: Index, log: LogFile) -> Meta:
    """Return what the index describes, which afterwards is the whole log.

    A torn last line (no newline, or no JSON) is cut off: nobody was told that it is stored. Raises BackendRejected, naming file
    and offset, for any other line that cannot be read.
    """
    meta, size = index.meta(), log.size
    if _describes(meta, log, size):
        return meta if meta.upto == size else _Replay(index, log, meta, anew=False).run()
    index.clear()
    return _Replay(index, log, Meta(log.inode, 0, b"", 0, 0), anew=True).run()


def _describes(meta: Meta, log: LogFile, size: int) -> bool:
    if meta.identity != log.inode or meta.upto > size:
        return False
    return log.read(meta.upto - len(meta.tail), len(meta.tail)) == meta.tail


class _Replay:
    """Reads lines into rows. Rows wait in memory and are stored some thousands at a time."""

    def __init__(self, index: Index, log: LogFile, meta: Meta, *, anew: bool) -> None:
        self._index = index
        self._log = log
        self._anew = anew
        self._upto, self._tail, self._live, self._floor = meta.upto, meta.tail, meta.live, meta.floor
        self._rows: dict[bytes, Row] = {}
        self._remembered: list[Remembered] = []
        self._now = microseconds(datetime.now(UTC))

    def run(self) -> Meta:
        self._log.sync()  # what is shown from here on must not be lost in a power cut
        for offset, raw in self._log.lines(self._upto):
            line = self._whole_line(offset, raw)
            if line is None:
                self._log.cut(offset)
                break
            self._add(line, offset, raw)
        self._flush()
        if self._remembered:
            self._index.save_remembered(self._remembered, now=self._now)
        live = self._index.live_bytes() if self._anew else self._live
        meta = Meta(self._log.inode, self._upto, self._tail, live, self._floor)
        self._index.save_meta(meta)
        return meta

    def _whole_line(self, offset: int, raw: bytes) -> Member | None:
        if not raw.endswith(b"\n"):
            return None
        try:
            return parse(raw)
        except ValueError as error:
            if offset + len(raw) == self._log.size:
                return None
            raise self._damaged(offset) from error
        except TypeError as error:
            raise self._damaged(offset) from error

    def _add(self, line: Member, offset: int, raw: bytes) -> None:
        try:
            entries = entries_of(line)
            self._floor = max(self._floor, int(line.get("floor", 0)))
            if "remember" in line or "remembered" in line:
                self._remember(line, offset, len(raw))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(offset) from error
        share = len(raw) // max(1, len(line.get("ops", ())))
        for entry in entries:
            self._replace(
                Row(
                    entry.key,
                    offset,
                    len(raw),
                    entry.op,
                    share,
                    entry.version,
                    int(entry.deleted),
                    entry.gone_at,
                )
            )
        self._upto, self._tail = offset + len(raw), raw[-TAIL_BYTES:]

    def _replace(self, row: Row) -> None:
        if not self._anew:  # a log read from its start is counted at the end, all at once
            old = self._rows.get(row.key) or self._index.row(row.key)
            self._live += row.share - (old.share if old else 0)
        self._rows[row.key] = row
        if len(self._rows) >= _PENDING_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._index.save_rows(self._rows.values())
        self._rows.clear()

    def _remember(self, line: Member, offset: int, length: int) -> None:
        at = microseconds(datetime.fromisoformat(line["updated_at"]))
        if at > self._now - REMEMBERED_MICROSECONDS:
            self._remembered.append(Remembered(line["operation_id"], at, offset, length))

    def _damaged(self, offset: int) -> BackendRejected:
        return BackendRejected(
            f"{self._log.path} has a damaged line at byte {offset}.",
            fix="Restore the file from a backup, or remove that line if its content may be lost.",
        )
