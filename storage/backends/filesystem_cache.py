"""The open partitions of this process: few enough for the limit of open files, shared by all drivers."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from storage.backends.filesystem_partition import Partition
from storage.documents import Partition as Names

MOST_OPEN: Final = 64
"""Each holds up to eight descriptors: folder, lock, log, and the index with what SQLite opens beside it."""

Name = tuple[str, Names]
"""Collection and partition."""


class OpenPartitions:
    """Keeps the partitions used last. One that is dropped closes when its last user is done with it."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._lock = _new_lock()
        self._open: OrderedDict[tuple[object, Name], Partition] = OrderedDict()
        self._inherited: list[Partition] = []

    def get(self, owner: object, name: Name, create: Callable[[], Partition]) -> Partition:
        """Return the owner's partition of this name."""
        dropped: Partition | None = None
        with self._lock:
            partition = self._open.get((owner, name))
            if partition is None:
                partition = self._open[owner, name] = create()
                if len(self._open) > self._most:
                    _, dropped = self._open.popitem(last=False)
            else:
                self._open.move_to_end((owner, name))
        if dropped:  # outside the lock: closing an index may take a while
            dropped.release()
        return partition

    def drop(self, owner: object) -> None:
        """Forget everything of this owner."""
        with self._lock:
            dropped = [self._open.pop(key) for key in list(self._open) if key[0] is owner]
        for partition in dropped:
            partition.release()

    def after_fork(self) -> None:
        """Start empty in a child process. The parent's SQLite connections are kept: closing them here would harm it."""
        self._lock = _new_lock()
        self._inherited.extend(self._open.values())
        self._open = OrderedDict()
        for partition in self._inherited:
            partition.release_after_fork()


def _new_lock() -> threading.RLock:
    """One that a thread may take twice: the collector closes drivers that nobody uses any more wherever it comes by."""
    return threading.RLock()


open_partitions: Final = OpenPartitions()
os.register_at_fork(after_in_child=open_partitions.after_fork)
