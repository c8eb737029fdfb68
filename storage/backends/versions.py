"""The versions that one driver gives: the time in microseconds, always above every version that it has given or seen.

So a writer that has read a document writes a later version, even where its clock is behind that of the one who wrote it.
"""

import threading
from datetime import datetime
from typing import Final

from storage.backends.forks import renew_after_fork
from storage.backends.service import version_at

_GREATEST: Final = 2**53 - 2
"""Nothing has a greater version, so what expects one is not going to be written."""


class Versions:
    """Shared by all threads of a driver."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def next(self, now: datetime, *, above: int = 0) -> int:
        """Return a version that this driver has never given, or one above `above`, the version that a caller expects.

        What a caller expects is only noted once the service has told it: else one who invents a version drives up all others'.
        """
        with self._lock:
            self._last = version_at(now, above=self._last)
            return max(self._last, min(above, _GREATEST) + 1)

    def saw(self, version: int) -> None:
        """Take note of a version that the service told."""
        if version > self._last:
            with self._lock:
                self._last = max(version, self._last)
