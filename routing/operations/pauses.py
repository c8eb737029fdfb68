"""How long the relay waits after a failure: ever longer, never longer than a minute."""

from datetime import timedelta
from typing import Final

FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=1)


def pause_after(attempts: int) -> timedelta:
    """Return the pause after so many attempts in a row that failed."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(attempts - 1, 16)))
