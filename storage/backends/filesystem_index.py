"""The index of one log, in SQLite beside it: derived data that can always be made anew, so the log alone is the truth.

The writer fills it under the partition's lock; readers use a connection of their own and never wait for the writer. Each read is
one statement, so it sees one commit whole, together with the name and the length of the log which that commit described.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from storage.backends.filesystem_paths import INDEX_SUFFIXES
from storage.errors import BackendUnavailable

FORMAT: Final = 1
"""Grows when the tables change; an index of another format is made anew."""
BUSY_SECONDS: Final = 10.0
KEYS_AT_ONCE: Final = 500
"""In one statement; SQLite takes some thousands."""

_DOCS: Final = """
CREATE TABLE {name} (
  key BLOB PRIMARY KEY, offset INTEGER NOT NULL, length INTEGER NOT NULL, op INTEGER NOT NULL, share INTEGER NOT NULL,
  version INTEGER NOT NULL, deleted INTEGER NOT NULL, gone_at INTEGER
) WITHOUT ROWID"""
_OTHER_TABLES: Final = """
CREATE TABLE operations (
  id TEXT PRIMARY KEY, at INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX operations_at ON operations (at);
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1), identity INTEGER NOT NULL, upto INTEGER NOT NULL, tail BLOB NOT NULL,
  live INTEGER NOT NULL, floor INTEGER NOT NULL
);
INSERT INTO meta VALUES (1, 0, 0, x'', 0, 0);
"""
_COLUMNS: Final = "key, offset, length, op, share, version, deleted, gone_at"
_REPLACE: Final = "INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ROW: Final = f"SELECT {_COLUMNS} FROM docs WHERE key = ?"  # noqa: S608 - constant names
_ROWS: Final = f"SELECT {_COLUMNS} FROM docs WHERE key IN ({{places}})"  # noqa: S608
_ALL: Final = f"SELECT {_COLUMNS} FROM docs ORDER BY key"  # noqa: S608
_FIND: Final = "SELECT m.identity, m.upto, d.* FROM meta m LEFT JOIN docs d ON d.key = ?"
_PAGE: Final = (
    "SELECT m.identity, m.upto, d.* FROM meta m LEFT JOIN (SELECT * FROM docs WHERE key >= ? AND key < ? AND deleted = 0"
    " AND (gone_at IS NULL OR gone_at > ?) ORDER BY key {order} LIMIT ?) d ORDER BY d.key {order}"
)
_FORWARD: Final = _PAGE.format(order="ASC")
_BACKWARD: Final = _PAGE.format(order="DESC")
_SAVE_META: Final = "UPDATE meta SET identity = ?, upto = ?, tail = ?, live = ?, floor = ?"

# Damage and foreign content: only a new index helps. The rest (locked, full, I/O) may pass.
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF


REMEMBERED_MICROSECONDS: Final = timedelta(days=1) // timedelta(microseconds=1)
"""How long a caller's operation id is recognised, and how long the tombstone of a key is kept."""


class Row(NamedTuple):
    """Where the newest state of a key stands. `share` is its part of the line's bytes; `op` its place in the line."""

    key: bytes
    offset: int
    length: int
    op: int
    share: int
    version: int
    deleted: int
    gone_at: int | None

    def present(self, now: int) -> bool:
        """Whether there is a document at this time, in microseconds."""
        return not self.deleted and (self.gone_at is None or self.gone_at > now)


class Remembered(NamedTuple):
    """The line that holds the outcomes of a caller's operation id."""

    id: str
    at: int
    offset: int
    length: int


class Meta(NamedTuple):
    """What the index describes: the log `identity` up to the byte `upto`, whose last bytes are `tail`.

    `live` counts the bytes that a compaction would keep, `floor` is the highest version of the keys that were forgotten.
    """

    identity: int
    upto: int
    tail: bytes
    live: int
    floor: int


@dataclass(frozen=True, slots=True)
class View:
    """What one read saw: the log it belongs to, how far that was indexed, and the rows."""

    identity: int
    upto: int
    rows: list[Row]


class IndexDamaged(Exception):
    """The index cannot be used and must be made anew."""


class Index:
    """Both connections to one index. Closed when the last user lets go of it."""

    def __init__(self, path: Path) -> None:
        """Open or create the index, under the partition's lock. Raises IndexDamaged or BackendUnavailable."""
        self._reading = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        with translated():
            self._writer = self._connect(path)
            self._prepare()
            self._reader = self._connect(path)

    def __del__(self) -> None:
        for connection in self._connections:
            connection.close()

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connections.append(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _prepare(self) -> None:
        self._writer.execute("PRAGMA journal_mode = WAL")
        (found,) = self._writer.execute("PRAGMA user_version").fetchone()
        if found not in {0, FORMAT}:
            raise IndexDamaged
        if found == 0:
            docs = _DOCS.format(name="docs")
            self._writer.executescript(
                f"BEGIN IMMEDIATE; {docs}; {_OTHER_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"
            )

    def find(self, key: bytes) -> View:
        """Read the row of one key, present or not."""
        return self._view(_FIND, (key,))

    def page(self, low: bytes, high: bytes, *, now: int, limit: int, reverse: bool) -> View:
        """Read up to `limit` rows of documents that are present, with low <= key < high, in the order of their keys."""
        return self._view(_BACKWARD if reverse else _FORWARD, (low, high, now, limit))

    def _view(self, statement: str, values: tuple[Any, ...]) -> View:
        with self._reading, translated():
            found = self._reader.execute(statement, values).fetchall()
        if not found:
            raise IndexDamaged
        return View(found[0][0], found[0][1], [Row(*row[2:]) for row in found if row[2] is not None])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything of one commit or nothing. Only the holder of the partition's lock may begin one."""
        with translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def meta(self) -> Meta:
        found = self._writer.execute("SELECT identity, upto, tail, live, floor FROM meta").fetchone()
        if found is None:
            raise IndexDamaged
        return Meta(*found)

    def row(self, key: bytes) -> Row | None:
        """Read the row of one key inside the transaction."""
        found = self._writer.execute(_ROW, (key,)).fetchone()
        return Row(*found) if found else None

    def rows(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """Read the rows of many keys inside the transaction; keys without a row are left out."""
        wanted = sorted(keys)
        found: dict[bytes, Row] = {}
        for start in range(0, len(wanted), KEYS_AT_ONCE):
            some = wanted[start : start + KEYS_AT_ONCE]
            statement = _ROWS.format(places=", ".join("?" * len(some)))
            found |= {raw[0]: Row(*raw) for raw in self._writer.execute(statement, some)}
        return found

    def remembered(self, operation_id: str, *, now: int) -> Remembered | None:
        """Find a caller's operation id, if it was written within a day."""
        statement = "SELECT id, at, offset, length FROM operations WHERE id = ? AND at > ?"
        found = self._writer.execute(statement, (operation_id, now - REMEMBERED_MICROSECONDS)).fetchone()
        return Remembered(*found) if found else None

    def all_rows(self) -> Iterator[Row]:
        """Every row in the order of the keys, tombstones included."""
        return (Row(*found) for found in self._writer.execute(_ALL))

    def all_remembered(self, *, now: int) -> list[Remembered]:
        """Every operation id of the last day, in the order in which they came."""
        statement = "SELECT id, at, offset, length FROM operations WHERE at > ? ORDER BY at, id"
        return [Remembered(*found) for found in self._writer.execute(statement, (now - REMEMBERED_MICROSECONDS,))]

    def live_bytes(self) -> int:
        (total,) = self._writer.execute("SELECT coalesce(sum(share), 0) FROM docs").fetchone()
        return int(total)

    def save_rows(self, rows: Iterable[Row]) -> None:
        self._writer.executemany(_REPLACE, rows)

    def save_remembered(self, operations: Iterable[Remembered], *, now: int) -> None:
        """Keep operation ids, and drop those that are older than a day."""
        self._writer.executemany("INSERT OR REPLACE INTO operations VALUES (?, ?, ?, ?)", operations)
        self._writer.execute("DELETE FROM operations WHERE at <= ?", (now - REMEMBERED_MICROSECONDS,))

    def save_meta(self, meta: Meta) -> None:
        self._writer.execute(_SAVE_META, meta)

    def rewrite_rows(self, rows: Iterable[Row]) -> None:
        """Put these rows in the place of all. They may be computed from `all_rows` while they are stored."""
        self._writer.execute(_DOCS.format(name="compacted"))
        self._writer.executemany("INSERT INTO compacted VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._writer.execute("DROP TABLE docs")
        self._writer.execute("ALTER TABLE compacted RENAME TO docs")

    def rewrite_remembered(self, operations: Iterable[Remembered]) -> None:
        self._writer.execute("DELETE FROM operations")
        self._writer.executemany("INSERT INTO operations VALUES (?, ?, ?, ?)", operations)

    def clear(self) -> None:
        """Forget all rows: the log is read anew, or has been written anew."""
        self._writer.execute("DELETE FROM docs")
        self._writer.execute("DELETE FROM operations")


def remove_index(path: Path) -> None:
    """Delete an index with everything SQLite keeps beside it. Only under the partition's lock."""
    for suffix in INDEX_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into IndexDamaged, where a new index helps, or BackendUnavailable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _DAMAGED:
            raise IndexDamaged(str(error)) from error
        raise BackendUnavailable(
            f"The index cannot be used now: {error}.", fix="Look at the disk's free space."
        ) from error
