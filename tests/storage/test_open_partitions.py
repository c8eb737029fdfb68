"""The collector may close a driver in the middle of another's read: in the same thread, at any allocation."""

import threading
from typing import Any

from storage.backends.filesystem_cache import OpenPartitions

OWNER, GONE = object(), object()
NAME = ("tabular_store", ("t",))
SECONDS = 20


class Opened:
    """Stands for a partition: it only counts how often it was let go."""

    released = 0

    def release(self) -> None:
        self.released += 1


def test_a_driver_that_is_collected_while_another_opens_a_partition_locks_nothing():
    cache: Any = OpenPartitions()
    left_over = Opened()
    cache.get(GONE, NAME, lambda: left_over)

    def create() -> Opened:
        cache.drop(GONE)  # as a finalizer does
        return Opened()

    thread = threading.Thread(target=lambda: cache.get(OWNER, NAME, create), daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert left_over.released == 1
