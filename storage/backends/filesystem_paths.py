"""Where a partition lies on disk, and how its folder is reached without ever following a link.

A partition is one file, `{root}/{collection}/{part}/…/{last part}.jsonl`, each name escaped, with `.lock` and `.index` beside it.
`escape` makes neither dots nor `%+`, so the suffixes meet no other name and a folder that ends in `%+` is always a continued one.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from storage.documents import Partition
from storage.errors import BackendRejected, BackendUnavailable
from storage.keys import escape

NAME_BYTES: Final = 200
"""Longer names are continued in a folder below: file systems allow 255 bytes, and the suffixes need some."""
CONTINUED: Final = "%+"
SQLITE_PATH_BYTES: Final = 480
"""SQLite opens no path over 512 bytes, and its own suffixes need some. Longer ones have their index in one folder of the root."""
INDEX_FOLDER: Final = "%+index"

LOG, LOCK, INDEX, COMPACTED = ".jsonl", ".lock", ".index", ".compact"
INDEX_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK_ERRORS: Final = frozenset({errno.ELOOP, errno.ENOTDIR})


@dataclass(frozen=True, slots=True)
class Location:
    """The place of one partition: the root (without links), the folders below it, and the name of its files without suffix."""

    root: Path
    folders: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, root: Path, collection: str, partition: Partition) -> "Location":
        names = [piece for part in (collection, *partition) for piece in _pieces(escape(part))]
        return cls(root, tuple(names[:-1]), names[-1])

    @property
    def shown(self) -> Path:
        """The log's path below the root: all that a message may tell of this machine."""
        return Path(*self.folders, self.name + LOG)

    @property
    def index_path(self) -> Path:
        beside = self.root.joinpath(*self.folders, self.name + INDEX)
        if len(os.fsencode(beside)) <= SQLITE_PATH_BYTES:
            return beside
        digest = hashlib.sha256("/".join((*self.folders, self.name)).encode()).hexdigest()
        return self.root / INDEX_FOLDER / (digest + INDEX)

    def open_folder(self, *, create: bool, durable: bool) -> int | None:
        """Return a descriptor of the partition's folder, or None when it is missing and not to be created."""
        if create:
            make_root(self.root)
        return _walk(self.root, self.folders, create=create, durable=durable)

    def refuse_linked_index(self, *, durable: bool) -> None:
        """Refuse an index that a planted link would lead elsewhere; SQLite itself follows links."""
        path = self.index_path
        folder = _walk(self.root, path.relative_to(self.root).parts[:-1], create=True, durable=durable)
        assert folder is not None
        try:
            for suffix in INDEX_SUFFIXES:
                _refuse_link(path.name + suffix, folder)
        finally:
            os.close(folder)


def _pieces(name: str) -> list[str]:
    room = NAME_BYTES - len(CONTINUED)
    pieces = []
    while len(name) > NAME_BYTES:
        pieces.append(name[:room] + CONTINUED)
        name = name[room:]
    return [*pieces, name]


def make_root(root: Path) -> None:
    """Create the root folder, durably. Raises BackendRejected or BackendUnavailable when that is not possible."""
    missing = list(takewhile(lambda folder: not folder.exists(), (root, *root.parents)))
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o750, exist_ok=True)
            parent = os.open(folder.parent, _FOLDER_FLAGS)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)
    except OSError as error:
        raise refused(error, Path(root.name)) from error


def open_file(name: str, folder: int, flags: int, *, path: Path) -> int:
    """Open a regular file of a folder, following no link. Raises FileNotFoundError, BackendRejected or BackendUnavailable."""
    try:
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o640, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refused(error, path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BackendRejected(f"{path} is no regular file.", fix="Remove it.")
    return descriptor


def refused(error: OSError, path: Path) -> BackendRejected | BackendUnavailable:
    """Say in our words that the file system refused: for good (a link, no permission) or for now."""
    if error.errno in _LINK_ERRORS:
        return BackendRejected(f"{path} is a link or no folder; links are never followed.", fix="Remove it.")
    if isinstance(error, PermissionError):
        return BackendRejected(f"No permission for {path}.", fix="Give it to the user that Northstar runs as.")
    return BackendUnavailable(
        f"The file system refused: {error.strerror or error} ({path}).", fix="Look at its free space and its health."
    )


def sync_file(descriptor: int) -> None:
    """Make a file's content durable, with the cheapest call that this system has for it."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _walk(root: Path, names: tuple[str, ...], *, create: bool, durable: bool) -> int | None:
    """Open folder after folder, each relative to the one before, so that no link on the way is ever followed."""
    folder: int | None = None
    path = Path(root.name)
    try:
        folder = os.open(root, _FOLDER_FLAGS)
        for name in names:
            path /= name
            inner = _enter(folder, name, create=create, durable=durable)
            os.close(folder)
            folder = inner
    except OSError as error:
        if folder is not None:
            os.close(folder)
        if isinstance(error, FileNotFoundError) and not create:
            return None
        raise refused(error, path) from error
    return folder


def _enter(folder: int, name: str, *, create: bool, durable: bool) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    try:
        os.mkdir(name, 0o750, dir_fd=folder)
    except FileExistsError:  # another thread or process was faster
        pass
    else:
        if durable:
            os.fsync(folder)
    return os.open(name, _FOLDER_FLAGS, dir_fd=folder)


def _refuse_link(name: str, folder: int) -> None:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise BackendRejected(f"The index {name} is no regular file.", fix="Remove it.")
