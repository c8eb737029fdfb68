"""The server's clock: tests may move it on, and no two commits ever share a microsecond."""

import time


class Clock:
    """Moments as microseconds after 1970 in UTC, as Firestore's versions are."""

    def __init__(self) -> None:
        self._ahead = 0
        self.last_commit = 0

    def now(self) -> int:
        """Return the present, which never lies before the last commit."""
        return max(time.time_ns() // 1000 + self._ahead, self.last_commit)

    def tick(self) -> int:
        """Return the moment of a new commit, later than that of every commit before."""
        self.last_commit = max(self.now(), self.last_commit + 1)
        return self.last_commit

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead += int(seconds * 1_000_000)
