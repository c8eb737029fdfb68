"""One partition: writes share a lock, an append and a disk flush; reads take no lock and are served from the index.

A write is decided, appended to the log, made durable, indexed, and only then acknowledged. So the index never shows what a crash
could take back, and a log that is longer than its index says holds only writes that nobody was told of.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

import structlog

from northstar.errors import NorthstarError
from storage.backends.filesystem_batch import Batch, Request
from storage.backends.filesystem_compaction import DEAD_BYTES, compact, is_due
from storage.backends.filesystem_files import LOCK_SECONDS, PartitionFiles, open_files
from storage.backends.filesystem_index import Index, IndexDamaged, Meta, Row, View
from storage.backends.filesystem_lines import Member, document_of, microseconds, parse
from storage.backends.filesystem_log import LogFile
from storage.backends.filesystem_paths import Location
from storage.backends.filesystem_recovery import TAIL_BYTES, catch_up
from storage.documents import Document, Outcome, Ref
from storage.errors import BackendUnavailable
from storage.group_commit import GroupCommit

Decided = list[Outcome] | NorthstarError
"""What one request answers: an outcome for each of its steps, or the error of the first that failed."""

ATTEMPTS: Final = 4
"""How often files that were replaced, removed or damaged meanwhile are opened anew before the caller hears of it."""
BATCH_BUNDLES: Final = 128
PAGE_BYTES: Final = 8 * 1024 * 1024
"""A page ends early when its documents have so many bytes: the caller continues at its cursor."""

_log: Final = structlog.get_logger("northstar.filesystem")

T = TypeVar("T")


class _Busy(Exception):
    """Somebody else holds the lock, and the caller does not want to wait."""


class Partition:
    """One log, for many threads. Opens its files at first use, and never creates them for a read."""

    def __init__(self, location: Location, *, durable: bool, epoch: int) -> None:
        self._location = location
        self._durable = durable
        self._epoch = epoch
        self._files: PartitionFiles | None = None
        self._renew_index = False
        self._kept_open = True
        self._compact_from = 0
        self._mutex = threading.Lock()
        self._commits: GroupCommit[Sequence[Request], list[Decided]] = GroupCommit(self._commit, BATCH_BUNDLES)

    def submit(self, requests: Sequence[Request]) -> list[Decided]:
        """Write the requests, each alone, with one flush for all of them and for those of other threads.

        Raises BackendUnavailable or BackendRejected; then none is stored.
        """
        return self._commits.submit(requests)

    def get(self, ref: Ref) -> Document | None:
        """Return the document, or None when it is missing or expired."""
        key, now = ref.key.encode(), microseconds(datetime.now(UTC))

        def load(log: LogFile, rows: list[Row]) -> Document | None:
            return _document(log, rows[0], ref, {}) if rows and rows[0].present(now) else None

        return self._read(lambda index: index.find(key), load, missing=None)

    def page(
        self, low: bytes, high: bytes, *, limit: int, reverse: bool, ref: Callable[[str], Ref]
    ) -> tuple[list[Document], bool]:
        """Return documents with low <= key < high in order, at most `limit`, and whether more follow."""
        now = microseconds(datetime.now(UTC))

        def load(log: LogFile, rows: list[Row]) -> tuple[list[Document], bool]:
            kept = _bounded(rows, limit)
            lines: dict[int, tuple[bytes, Member]] = {}
            return [_document(log, row, ref(row.key.decode()), lines) for row in kept], len(kept) < len(rows)

        nothing: tuple[list[Document], bool] = ([], False)
        return self._read(
            lambda index: index.page(low, high, now=now, limit=limit + 1, reverse=reverse), load, missing=nothing
        )

    def release(self) -> None:
        """Keep no file open from now on. Those in use close after their last use; a late caller opens its own."""
        self._kept_open = False
        self._files = None

    def release_after_fork(self) -> None:
        """Give up, in a child process, what belongs to the parent: its lock must not outlive it here."""
        if self._files:
            self._files.release_descriptors()

    # Writing ---------------------------------------------------------------------------------------------------------

    def _commit(self, bundles: list[Sequence[Request]]) -> list[list[Decided] | Exception]:
        for _ in range(ATTEMPTS):
            try:
                with self._held(create=True) as files:
                    assert files is not None
                    return list(self._store(files, bundles))
            except IndexDamaged as damage:
                self._index_damaged(damage)
        raise self._unusable()

    def _store(self, files: PartitionFiles, bundles: list[Sequence[Request]]) -> list[list[Decided]]:
        index, log = files.index, files.log
        appended_at: int | None = None
        try:
            with index.transaction():
                meta = catch_up(index, log)
                batch = Batch(index, log, meta, now=datetime.now(UTC), epoch=self._epoch)
                decided = [batch.apply_all(bundle) for bundle in bundles]
                if batch.lines:
                    log.append(b"".join(batch.lines), meta.upto)
                    appended_at = meta.upto
                    meta = _save(index, batch, meta)
        except BaseException:
            if appended_at is not None:  # nobody was told, and nothing is shown that the index does not know
                log.cut(appended_at)
            raise
        if is_due(meta) and meta.upto >= self._compact_from:
            self._compact(files, meta, batch.now)
        return decided

    def _compact(self, files: PartitionFiles, meta: Meta, now: int) -> None:
        """Compact if that works now: the write that led here is stored in any case."""
        try:
            compact(files, now=now)
        except NorthstarError as error:
            self._compact_from = meta.upto + DEAD_BYTES
            _log.warning("compaction_failed", path=str(self._location.shown), error=error.detail)
        except IndexDamaged:  # the lock is held: the next one to take it makes the index anew
            self._renew_index = True

    def scrub(self) -> None:
        """Write the log anew, so that nothing which was deleted or replaced stays in it. Raises BackendUnavailable."""
        for _ in range(ATTEMPTS):
            try:
                with self._held(create=False) as files:
                    if files is None:
                        return
                    with files.index.transaction():
                        catch_up(files.index, files.log)
                    compact(files, now=microseconds(datetime.now(UTC)))
                    return
            except IndexDamaged as damage:
                self._index_damaged(damage)
        raise self._unusable()

    # Reading ---------------------------------------------------------------------------------------------------------

    def _read(self, query: Callable[[Index], View], load: Callable[[LogFile, list[Row]], T], *, missing: T) -> T:
        """Ask the index and load from the log that it describes. A writer that is at work is never waited for."""
        caught_up = False
        for _ in range(ATTEMPTS):
            try:
                files = self._files or self._opened()
                if files is None:
                    return missing
                view = query(files.index)
                log = files.log  # kept open by this name, even when it is replaced now
                if view.identity != log.inode:
                    self._opened()
                elif caught_up or _is_current(log, view) or not self._caught_up_now():
                    return load(log, view.rows)
                caught_up = True
            except IndexDamaged as damage:
                self._index_damaged(damage)
        raise self._unusable()

    def _opened(self) -> PartitionFiles | None:
        """Wait for the lock, open what stands there now and bring its index up to date. None when there is no log."""
        with self._held(create=False) as files:
            if files:
                with files.index.transaction():
                    catch_up(files.index, files.log)
            return files

    def _caught_up_now(self) -> bool:
        """Bring the index up to date unless somebody is at it, and return whether anything may be new now."""
        try:
            with self._held(create=False, wait=False) as files:
                if files:
                    with files.index.transaction():
                        catch_up(files.index, files.log)
        except _Busy:
            return False
        return True

    # The lock --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _held(self, *, create: bool, wait: bool = True) -> Iterator[PartitionFiles | None]:
        """Hold the partition against all threads and processes. Its files are shown to readers once the body has succeeded."""
        if not self._mutex.acquire(timeout=LOCK_SECONDS if wait else 0):
            raise self._unusable() if wait else _Busy
        try:
            files = self._locked(create=create, wait=wait)
            if files is None:
                self._files = None
                yield None
                return
            try:
                yield files
                self._files = files if self._kept_open else None
            finally:
                files.unlock()
        finally:
            self._mutex.release()

    def _locked(self, *, create: bool, wait: bool) -> PartitionFiles | None:
        for _ in range(ATTEMPTS):
            try:
                files = self._files or open_files(self._location, create=create, durable=self._durable)
                if files is None:
                    return None
                if not files.lock(wait=wait):
                    raise _Busy
                if not files.removed():
                    return self._opened_under_lock(files, create=create)
                files.unlock()
            except FileNotFoundError:  # somebody removes the folder at this moment
                pass
            self._files = None
        raise self._unusable()

    def _opened_under_lock(self, files: PartitionFiles, *, create: bool) -> PartitionFiles | None:
        usable = False
        try:
            usable = files.open(create=create, renew_index=self._renew_index)
        finally:
            if not usable:
                files.unlock()
        if not usable:
            return None
        self._renew_index = False
        return files

    def _index_damaged(self, damage: IndexDamaged) -> None:
        _log.warning("index_rebuilt", path=str(self._location.shown), reason=str(damage))
        with self._mutex:
            self._renew_index = True
            self._files = None

    def _unusable(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"{self._location.shown} is held by another writer, or its files keep changing.", fix="Try again."
        )


def _save(index: Index, batch: Batch, meta: Meta) -> Meta:
    index.save_rows(batch.rows.values())
    if batch.remembered:
        index.save_remembered(batch.remembered, now=batch.now)
    saved = Meta(meta.identity, batch.end, batch.lines[-1][-TAIL_BYTES:], batch.live, meta.floor)
    index.save_meta(saved)
    return saved


def _is_current(log: LogFile, view: View) -> bool:
    status = log.stat
    return status.st_size == view.upto and status.st_nlink > 0


def _bounded(rows: list[Row], limit: int) -> list[Row]:
    """The rows of one page: at least one, at most `limit`, and no more bytes than a page may have."""
    size = 0
    for count, row in enumerate(rows[:limit]):
        size += row.share
        if count and size > PAGE_BYTES:
            return rows[:count]
    return rows[:limit]


def _document(log: LogFile, row: Row, ref: Ref, lines: dict[int, tuple[bytes, Member]]) -> Document:
    """Read one document; `lines` keeps those that hold several. Raises IndexDamaged when it is not where the index says."""
    try:
        if row.offset not in lines:
            raw = log.read(row.offset, row.length)
            lines[row.offset] = (raw, parse(raw))
        raw, line = lines[row.offset]
        document = document_of(line, raw, row.op, ref)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise IndexDamaged(f"no document at byte {row.offset}") from error
    if document.version != row.version:
        raise IndexDamaged(f"another version at byte {row.offset}")
    return document
