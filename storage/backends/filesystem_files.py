"""The open files of one partition: its folder, the lock that processes share, the log and the index."""

import fcntl
import os
import time
from typing import Final

from storage.backends.filesystem_index import Index, IndexDamaged, remove_index
from storage.backends.filesystem_log import LogFile
from storage.backends.filesystem_paths import COMPACTED, LOCK, LOG, Location, open_file
from storage.errors import BackendUnavailable

LOCK_SECONDS: Final = 10.0
"""Another process that holds the lock for longer hangs; then a write is refused and may be tried again."""
FIRST_PAUSE_SECONDS: Final = 0.0001
LONGEST_PAUSE_SECONDS: Final = 0.001

_LOG_FLAGS: Final = os.O_RDWR | os.O_APPEND


class PartitionFiles:
    """What is open of one partition. Closed when the last user lets go of it, so no reader ever meets a closed file."""

    log: LogFile
    index: Index

    def __init__(self, location: Location, folder: int, *, durable: bool) -> None:
        """Take over the folder's descriptor and open the lock. Log and index follow in `open`, under that lock."""
        self._location = location
        self._durable = durable
        self._folder = folder
        self._lock = -1
        self._lock = open_file(location.name + LOCK, folder, os.O_RDWR | os.O_CREAT, path=location.shown)

    def __del__(self) -> None:
        self.release_descriptors()

    def release_descriptors(self) -> None:
        """Close the folder and the lock (which frees it, unless a parent process holds it too)."""
        for descriptor in (self._lock, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._lock = self._folder = -1

    def lock(self, *, wait: bool) -> bool:
        """Take the lock that all processes share, and return whether that worked. Raises BackendUnavailable after 10 s."""
        deadline = time.monotonic() + LOCK_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    return False
            else:
                return True
            if time.monotonic() > deadline:
                raise BackendUnavailable(f"Another process has locked {self._location.shown} for {LOCK_SECONDS:.0f} s.")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def unlock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def removed(self) -> bool:
        """Whether somebody removed the folder or the lock: then other processes lock another file."""
        return os.fstat(self._lock).st_nlink == 0

    def open(self, *, create: bool, renew_index: bool) -> bool:
        """Open the log that stands there now, and the index, under the lock. False when there is no log and none is wanted."""
        if not self._open_log(create=create):
            return False
        if renew_index or not hasattr(self, "index"):
            self._open_index(renew=renew_index)
        return True

    def _open_log(self, *, create: bool) -> bool:
        name = self._location.name + LOG
        if hasattr(self, "log") and self._stands_there(name):
            return True
        try:
            descriptor = open_file(name, self._folder, _LOG_FLAGS, path=self._location.shown)
        except FileNotFoundError:
            if not create:
                return False
            descriptor = open_file(name, self._folder, _LOG_FLAGS | os.O_CREAT, path=self._location.shown)
            self._sync_folder()
        self.remove_leftover()
        self.log = LogFile(descriptor, self._location.shown, durable=self._durable)
        return True

    def _stands_there(self, name: str) -> bool:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_ino == self.log.inode
        except FileNotFoundError:
            return False

    def _open_index(self, *, renew: bool) -> None:
        path = self._location.index_path
        self._location.refuse_linked_index(durable=self._durable)
        if (
            renew or not path.exists() or path.stat().st_size == 0
        ):  # then what SQLite left beside it is of no use either
            remove_index(path)
        try:
            self.index = Index(path)
        except IndexDamaged:
            remove_index(path)
            self.index = Index(path)

    def create_compacted(self) -> LogFile:
        """Open a new log beside the old one. Raises BackendUnavailable."""
        self.remove_leftover()
        name = self._location.name + COMPACTED
        descriptor = open_file(
            name, self._folder, _LOG_FLAGS | os.O_CREAT | os.O_EXCL, path=self._location.shown.with_name(name)
        )
        return LogFile(descriptor, self._location.shown, durable=self._durable)

    def replace_log(self, target: LogFile) -> None:
        """Let the compacted log take the old one's place, durably. Raises OSError."""
        os.rename(
            self._location.name + COMPACTED,
            self._location.name + LOG,
            src_dir_fd=self._folder,
            dst_dir_fd=self._folder,
        )
        self._sync_folder()
        self.log = target

    def remove_leftover(self) -> None:
        """Remove what a crashed compaction left behind. Only under the lock."""
        try:
            os.unlink(self._location.name + COMPACTED, dir_fd=self._folder)
        except FileNotFoundError:
            return

    def _sync_folder(self) -> None:
        if self._durable:
            os.fsync(self._folder)


def open_files(location: Location, *, create: bool, durable: bool) -> PartitionFiles | None:
    """Open a partition's folder and lock, or return None when there is no log and none is to be created."""
    folder = location.open_folder(create=create, durable=durable)
    if folder is None:
        return None
    if not create:
        try:
            os.stat(location.name + LOG, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.close(folder)
            return None
    return PartitionFiles(location, folder, durable=durable)
