"""Folders held open by descriptor: every step is taken inside the last one, so no link is ever followed, not even one
planted while we walk."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from northstar.errors import NorthstarError
from storage.errors import BackendRejected, BackendUnavailable

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a planted pipe must not wait for its writer.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

_PASSING: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ENOLCK,
    }
)


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Turn an OSError into BackendUnavailable (it may pass: a full disk) or BackendRejected (it will not: permissions, links)."""
    try:
        yield
    except OSError as error:
        raise translation(error, subject) from error


def translation(error: OSError, subject: str) -> NorthstarError:
    """Return our error for one of the file system."""
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno in _PASSING:
        return BackendUnavailable(f"{subject}: {reason}.", fix="Free space or wait for the disk, then send it again.")
    return BackendRejected(
        f"{subject}: {reason}.", fix="Check the permissions below the route's base folder, and for links."
    )


class Generation(NamedTuple):
    """Tells one version of a file from the next: size in bytes, and modification time in nanoseconds."""

    size: int
    mtime_ns: int


def generation_of(status: os.stat_result) -> Generation | None:
    """Return the generation of a regular file; None for a folder, link, pipe or device."""
    return Generation(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


class Folder:
    """An open folder. `durable` says whether what is created in it is flushed to the disk. Close it, or use `with`."""

    __slots__ = ("_durable", "_fd")

    def __init__(self, fd: int, *, durable: bool) -> None:
        self._fd = fd
        self._durable = durable

    @classmethod
    def at(cls, path: Path, *, durable: bool) -> Self:
        """Open the root folder. Raises OSError when it is missing."""
        return cls(os.open(path, _FOLDER), durable=durable)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder, once."""
        os.close(self._fd)

    def below(self, names: Sequence[bytes], *, create: bool = False) -> "Folder":
        """Open the folder at the end of `names`, which never leads upwards.

        Raises FileNotFoundError, or NotADirectoryError for a file or link.
        """
        if {b".", b".."}.intersection(names):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        fd = os.dup(self._fd)
        try:
            for name in names:
                inner = self._made(fd, name) if create else _opened(fd, name)
                os.close(fd)
                fd = inner
        except BaseException:
            os.close(fd)
            raise
        return Folder(fd, durable=self._durable)

    def _made(self, fd: int, name: bytes) -> int:
        try:
            return _opened(fd, name)
        except FileNotFoundError:
            try:
                os.mkdir(name, dir_fd=fd)
            except FileExistsError:
                return _opened(fd, name)  # somebody else was faster
            if self._durable:
                os.fsync(fd)
            return _opened(fd, name)

    def open_file(self, name: bytes) -> int | None:
        """Open a regular file for reading; None when there is none."""
        try:
            fd = os.open(name, _READ, dir_fd=self._fd)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENAMETOOLONG}:
                return None  # nothing there, a link, or a socket
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return fd

    def create_file(self, name: bytes) -> int:
        """Create a file for writing that did not exist."""
        return os.open(name, _CREATE, 0o666, dir_fd=self._fd)

    def lock_file(self, name: bytes) -> int:
        """Open a file to take a lock on, created when missing."""
        return os.open(name, _LOCK, 0o666, dir_fd=self._fd)

    def status(self, name: bytes) -> os.stat_result | None:
        """Describe an entry without following it; None when nothing is there."""
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def entries(self) -> Iterator[tuple[bytes, bool]]:
        """Yield each file and each folder as (name, is_folder), unsorted; links and other things are left out."""
        with os.scandir(self._fd) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder or entry.is_file(follow_symlinks=False):
                    yield os.fsencode(entry.name), is_folder

    def move(self, name: bytes, target: "Folder", target_name: bytes) -> None:
        """Rename into another folder, replacing what is there in one step."""
        os.rename(name, target_name, src_dir_fd=self._fd, dst_dir_fd=target._fd)

    def remove(self, name: bytes) -> None:
        """Remove a file; none there is fine."""
        try:
            os.unlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            return

    def remove_empty(self, name: bytes) -> bool:
        """Remove a folder if nothing is in it, and return whether it is gone."""
        try:
            os.rmdir(name, dir_fd=self._fd)
        except OSError as error:
            return error.errno == errno.ENOENT
        return True

    def flush(self) -> None:
        """Make names created, moved or removed here durable."""
        if self._durable:
            os.fsync(self._fd)

    def flush_file(self, fd: int) -> None:
        """Make a file's bytes and times durable."""
        if self._durable:
            os.fsync(fd)


def _opened(fd: int, name: bytes) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=fd)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:  # how some systems call a link where a folder was asked for
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        raise


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however many calls it takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_all(fd: int) -> bytes:
    """Read a small file from its start."""
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0)
