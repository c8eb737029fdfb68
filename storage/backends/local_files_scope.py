"""One scope's folder: where an object is found without a lock, and changed under one.

An object exists exactly while its record says so and its data file has a generation that the record names. A writer first
writes the record, naming the new version and the one before it, then renames the bytes into place: at every instant, and
after a crash at any instant, either the old object is whole with its own record, or the new one is.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from stat import S_ISDIR
from types import TracebackType
from typing import Final, Self, TypeVar

from storage.backends.local_files_folders import Folder, Generation, generation_of, read_all, write_all
from storage.backends.local_files_names import LOCK, TMP, Place, data_place, folded_twins, key_hash, record_place
from storage.backends.local_files_records import Record, Version, damaged, decode, encode
from storage.errors import BackendRejected

LOOKS: Final = 5
"""So often a reader looks without the lock before it waits for the writers that keep overtaking it."""
STALE_SECONDS: Final = 60
"""A file in tmp/ that is older than this and that nobody holds belongs to a writer that died."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a key under the lock: its record, if any, and the current version, if the object exists."""

    record: Record | None
    version: Version | None

    @property
    def newest_mtime_ns(self) -> int:
        """The latest time that a version of the record has, current or not; 0 without one."""
        return max((version.generation.mtime_ns for version in self.record.versions), default=0) if self.record else 0


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes that stand where an object's would: their generation, and their hash."""

    generation: Generation
    sha256: str


class ScopeFolder:
    """The folder of one scope, held open. Close it, or use `with`."""

    __slots__ = ("_home",)

    def __init__(self, home: Folder) -> None:
        self._home = home

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._home.close()

    def tmp(self) -> Folder:
        """Open the folder of files in flight."""
        return self._home.below((TMP,), create=True)

    def current(self, key: str) -> tuple[Record, Version] | None:
        """Return the object's record and current version, or None. Takes no lock."""
        return self._settled(key, self._version_in_place)

    def opened(self, key: str) -> tuple[Record, Version, int] | None:
        """Open the object's bytes, with the version that they are, or None. Takes no lock."""
        return self._settled(key, self._open_in_place)

    def _settled(self, key: str, look: Callable[[Record], T | None]) -> T | None:
        record = self._record(key)
        for _ in range(LOOKS):
            if record is None:
                return None
            seen = look(record)
            if seen is not None:
                return seen
            again = self._record(key)
            if again == record:  # no writer in between: what the record names is not there
                return None
            record = again
        with self.locked():
            record = self._record(key)
            return look(record) if record else None

    def _version_in_place(self, record: Record) -> tuple[Record, Version] | None:
        place = data_place(record.key, shadow=record.shadow)
        try:
            with self._home.below(place.folders) as folder:
                status = folder.status(place.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        version = record.version(generation_of(status)) if status else None
        return (record, version) if version else None

    def _open_in_place(self, record: Record) -> tuple[Record, Version, int] | None:
        place = data_place(record.key, shadow=record.shadow)
        try:
            with self._home.below(place.folders) as folder:
                fd = folder.open_file(place.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if fd is None:
            return None
        version = record.version(generation_of(os.fstat(fd)))
        if version is None:
            os.close(fd)
            return None
        return record, version, fd

    def _record(self, key: str) -> Record | None:
        record = self._load(record_place(key_hash(key)))
        if record and record.key != key:
            raise damaged(key)
        return record

    def _load(self, place: Place) -> Record | None:
        try:
            with self._home.below(place.folders) as folder:
                fd = folder.open_file(place.name)
        except FileNotFoundError:
            return None
        if fd is None:
            return None
        try:
            line = read_all(fd)
        finally:
            os.close(fd)
        return decode(line) if line else None  # empty: a power cut took it, under durability "none"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other writers of this scope out, those of other processes too."""
        fd = self._home.lock_file(LOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)  # also gives the lock back

    def standing(self, key: str) -> Standing:
        """Return what is known of the key. Needs the lock. A damaged record counts as none, so that a put can mend it."""
        try:
            record = self._record(key)
        except BackendRejected:
            record = None
        found = self._version_in_place(record) if record else None
        return Standing(record, found[1] if found else None)

    def is_free(self, key: str) -> bool:
        """Say whether nothing stands in the way of the key's literal path. Needs the lock."""
        place = data_place(key, shadow=False)
        try:
            with self._home.below(place.folders) as folder:
                status = folder.status(place.name)
                return status is None or (S_ISDIR(status.st_mode) and folder.remove_empty(place.name))
        except FileNotFoundError:
            return True
        except NotADirectoryError:
            return False

    def publish(self, tmp: Folder, name: bytes, record: Record) -> None:
        """Make the file `name` of `tmp` the object's newest version. Needs the lock."""
        place = data_place(record.key, shadow=record.shadow)
        record_at = record_place(key_hash(record.key))
        replaces = len(record.versions) > 1
        with (
            self._home.below(place.folders, create=True) as folder,
            self._home.below(record_at.folders, create=True) as records,
        ):
            _write(tmp, record, records, record_at.name)
            if (
                replaces
            ):  # a power cut must not keep the new bytes and lose the record that knows them: the old are gone then
                records.flush()
            tmp.move(name, folder, place.name)
            if not replaces:  # nothing to lose yet, and two flushes in a row cost the disk little more than one
                records.flush()
            folder.flush()

    def adopt(self, key: str, described: Callable[["Found"], Version]) -> None:
        """Make the file that stands at the key's literal path an object. One that is an object stays as it is."""
        place, record_at = data_place(key, shadow=False), record_place(key_hash(key))
        with self.locked():
            if self.standing(key).version is not None:
                return
            with self._home.below(place.folders) as folder:
                fd = folder.open_file(place.name)
            if fd is None:
                return
            with os.fdopen(fd, "rb") as file:
                generation = generation_of(os.fstat(fd))
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if generation is None:
                return
            record = Record(key, False, (described(Found(generation, sha256)),))
            with self.tmp() as tmp, self._home.below(record_at.folders, create=True) as records:
                _write(tmp, record, records, record_at.name)
                records.flush()

    def withdraw(self, tmp: Folder, record: Record) -> None:
        """Remove the object: its bytes first, so that a crash leaves it whole or gone. Needs the lock."""
        place = data_place(record.key, shadow=record.shadow)
        name = tmp_name(record.key)
        with self._home.below(place.folders) as folder:
            folder.move(place.name, tmp, name)
            folder.flush()
        self.forget(record.key)
        tmp.remove(name)
        self._prune(place.folders)

    def forget(self, key: str) -> None:
        """Remove the record of an object that does not exist, if there is one. Needs the lock."""
        place = record_place(key_hash(key))
        try:
            with self._home.below(place.folders) as folder:
                folder.remove(place.name)
        except FileNotFoundError:
            return

    def _prune(self, folders: Sequence[bytes]) -> None:
        for depth in range(len(folders) - 1, 0, -1):  # never blobs/ or shadow/ themselves
            with self._home.below(folders[:depth]) as folder:
                if not folder.remove_empty(folders[depth]):
                    return

    def entries(self, folders: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
        """Yield (name, is_folder) of a folder, unsorted; nothing when it is not there or is a link."""
        try:
            folder = self._home.below(folders)
        except (FileNotFoundError, NotADirectoryError):
            return
        with folder:
            yield from folder.entries()

    def folds_names(self) -> bool:
        """Try out whether the file system takes two spellings of a name, by case or by Unicode form, for one."""
        name = f"probe-{secrets.token_hex(8)}-\u00e9"
        with self.tmp() as tmp:
            os.close(tmp.create_file(name.encode()))
            try:
                return any(tmp.status(twin.encode()) for twin in folded_twins(name))
            finally:
                tmp.remove(name.encode())

    def sweep(self, *, dry_run: bool = False) -> int:
        """Remove what dead writers left in tmp/, and records of objects that never came to be; return how many files.

        A dry run only counts them.
        """
        with self.locked(), self.tmp() as tmp:
            stale = [name for name, is_folder in list(tmp.entries()) if not is_folder and _is_stale(tmp, name)]
            for name in () if dry_run else stale:
                tmp.remove(name)
                self._forget_unborn(os.fsdecode(name).partition(".")[0])
            return len(stale)

    def _forget_unborn(self, digest: str) -> None:
        try:
            record = self._load(record_place(digest))
        except BackendRejected:
            return  # damaged: left for its owner to see
        if record and self._version_in_place(record) is None:
            self.forget(record.key)


def _write(tmp: Folder, record: Record, records: Folder, name: bytes) -> None:
    draft = tmp_name(record.key)
    try:
        fd = tmp.create_file(draft)
        try:
            write_all(fd, encode(record))
            tmp.flush_file(fd)
        finally:
            os.close(fd)
        tmp.move(draft, records, name)
    except OSError:
        tmp.remove(draft)
        raise


def _is_stale(tmp: Folder, name: bytes) -> bool:
    fd = tmp.open_file(name)
    if fd is None:
        return False
    try:
        if time.time() - os.fstat(fd).st_mtime < STALE_SECONDS:
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # a slow upload, but a living one
    finally:
        os.close(fd)
    return True


def tmp_name(key: str) -> bytes:
    """Return a new name in tmp/ that leads back to the key's record, should its writer die."""
    return f"{key_hash(key)}.{secrets.token_hex(8)}".encode()
