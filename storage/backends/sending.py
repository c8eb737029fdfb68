"""Sends a write again while it has certainly not happened: refused, throttled, or never sent. Never one that may have."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from storage.backends.service import WRITE_SECONDS, Unanswered
from storage.errors import BackendUnavailable, Throttled

ATTEMPTS: Final = 3
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 0.5

T = TypeVar("T")


def sent(call: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
    """Return the call's result. The pauses are what the service asks for, or short and growing, with jitter.

    Raises Unanswered at once, and the last BackendUnavailable after so many attempts or when the next would start too late.
    """
    started = time.monotonic()
    for attempt in range(1, attempts):
        try:
            return call()
        except Unanswered:
            raise
        except BackendUnavailable as error:
            pause = pause_after(attempt, asked=error.pause_seconds if isinstance(error, Throttled) else 0.0)
            if time.monotonic() + pause - started > WRITE_SECONDS:
                raise
        time.sleep(pause)
    return call()


def pause_after(attempt: int, *, asked: float = 0.0) -> float:
    """Return how many seconds to wait after an attempt that failed: what the service asks for, and a growing jitter."""
    return asked + random.uniform(0, min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS))  # noqa: S311
