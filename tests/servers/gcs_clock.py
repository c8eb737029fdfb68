"""The server's clock: tests may move it, and yet generations only ever grow."""

import time
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """Moments are microseconds after 1970 in UTC."""

    def __init__(self) -> None:
        self._ahead = 0
        self._last_generation = 0

    def set_offset(self, seconds: float) -> None:
        """Run so far ahead of (or behind) the machine's clock."""
        self._ahead = int(seconds * 1_000_000)

    def now(self) -> int:
        return time.time_ns() // 1000 + self._ahead

    def new_generation(self) -> int:
        """Return a number greater than every one before; like the service's, it looks like a moment."""
        self._last_generation = max(self.now(), self._last_generation + 1)
        return self._last_generation


def rfc3339(moment: int) -> str:
    """Write a moment as the JSON API does, to the millisecond."""
    whole = datetime.fromtimestamp(moment / 1_000_000, UTC)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(moment: int) -> str:
    """Write a moment as HTTP headers do."""
    return formatdate(moment / 1_000_000, usegmt=True)
