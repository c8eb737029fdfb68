"""A write whose answer was lost is looked for: it happens once, and its caller is told the truth or that nobody knows."""

import time
from collections.abc import Callable
from typing import TypeVar

from storage.backends.sending import ATTEMPTS, pause_after, sent
from storage.backends.service import WRITE_SECONDS, Unanswered
from storage.errors import BackendUnavailable

T = TypeVar("T")


def settled(call: Callable[[], T], found: Callable[[], T | None]) -> T:
    """Return what a write answers or, when its answer was lost, what `found` says of it.

    It is never sent twice: S3 compares bytes, so a condition would not keep a second one from undoing what others did since.
    Raises as the call does, and Unanswered where the write may have happened or not.
    """
    try:
        return sent(call)
    except Unanswered as lost:
        there = _looked_for(found)
        if there is None:
            raise Unanswered("S3 did not answer: this write may have happened or not.") from lost.__cause__
        return there


def repeated(call: Callable[[], T]) -> T:
    """Return what a call answers that changes nothing when it is sent again, such as that of a part.

    Raises BackendUnavailable when it was not answered in so many attempts, or when the next would start too late.
    """
    started = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return sent(call)
        except Unanswered as lost:
            if attempt == ATTEMPTS or time.monotonic() - started > WRITE_SECONDS:
                raise BackendUnavailable(lost.detail, fix=lost.fix) from lost.__cause__
        time.sleep(pause_after(attempt))
    raise AssertionError("the last attempt returns or raises")


def _looked_for(found: Callable[[], T | None]) -> T | None:
    try:
        return sent(found)
    except BackendUnavailable:
        return None
