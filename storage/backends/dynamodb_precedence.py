"""Who goes first on a busy document: a commit that was outrun has read before it writes, so native writes would always win.

Those of this process then wait for it, a moment at most. Other processes do not know of it.
"""

import threading
import time
from collections.abc import Iterable
from typing import Final

from storage.backends.forks import renew_after_fork
from storage.backends.service import Place

LONGEST_WAIT_SECONDS: Final = 0.3
"""More than the longest pause of compare-and-set with the read and the commit after it."""
MOST_KEYS: Final = 1024


class Precedence:
    """The documents whose commit was outrun a moment ago."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start empty: the commits of the parent's threads do not go on here."""
        self._lock = threading.Lock()
        self._outrun: dict[tuple[Place, str], tuple[float, threading.Event]] = {}

    def ask(self, place: Place, keys: Iterable[str]) -> None:
        """Let the commit of these documents, which was outrun, go first when it is tried again."""
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        with self._lock:
            if len(self._outrun) > MOST_KEYS:
                now = time.monotonic()
                self._outrun = {name: one for name, one in self._outrun.items() if one[0] > now}
            for key in keys:
                _, done = self._outrun.get((place, key)) or (0.0, threading.Event())
                self._outrun[place, key] = (deadline, done)

    def done(self, place: Place, keys: Iterable[str]) -> None:
        """Let the others go on."""
        if self._outrun:
            with self._lock:
                for key in keys:
                    _, done = self._outrun.pop((place, key), (0.0, threading.Event()))
                    done.set()

    def give(self, place: Place, key: str) -> None:
        """Wait until no commit of this document asks to go first, or its time is over."""
        asked = self._outrun.get((place, key))
        if asked:
            deadline, done = asked
            done.wait(max(0.0, deadline - time.monotonic()))
