"""What every kind that appends by compare-and-set shares: one appender per process and place, and the patience with others."""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from northstar.errors import NorthstarError

ATTEMPTS: Final = 512
"""Lost races with other processes before the caller hears Conflict: with the pauses about five seconds. Another process that
appends without a pause wins most races; on a loaded machine 64 were lost in a row (seen once in the crash test)."""
AT_ONCE: Final = 8
"""Lost races after which the next try comes without a pause. Who has just lost knows that the winner has finished, so no moment
is better: with two busy processes on one file the longest append took 0.3 s, and 3 s with a pause after each loss (measured)."""
LOST_ANSWERS: Final = 2
"""Writes without an answer that are tried again; each try first looks whether the one before has landed after all."""
FIRST_PAUSE_SECONDS: Final = 0.001
LONGEST_PAUSE_SECONDS: Final = 0.02
LOST_ANSWER_PAUSE_SECONDS: Final = 0.1
HINT_SECONDS: Final = 1.0
"""How long what was last written is believed without a read. A conflict ends that at once."""
KEPT_PER_DRIVER: Final = 1024
"""Places per driver whose callers are coalesced; the longest unused is forgotten. Two appenders of one place only conflict."""


class Sized(Protocol):
    """What one caller appends."""

    @property
    def count(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def alone(self) -> bool:
        """Whether it must not share a write with others."""
        ...


R = TypeVar("R")
S = TypeVar("S", bound=Sized)
T = TypeVar("T")


def in_chunks(
    batches: Sequence[S],
    write: Callable[[list[S]], list[R | Exception]],
    *,
    most: int,
    most_bytes: int,
    failed: Callable[[], None],
) -> list[R | Exception]:
    """Write batches by as few atomic writes as take them; one outcome for each, a failed write its error for all that it held."""
    outcomes: list[R | Exception] = []
    for chunk in chunks(batches, most=most, most_bytes=most_bytes):
        try:
            outcomes += write(chunk)
        except NorthstarError as error:
            failed()
            outcomes += [error] * len(chunk)
    return outcomes


def chunks(batches: Sequence[S], *, most: int, most_bytes: int) -> Iterator[list[S]]:
    """Yield whole batches in order, as many together as one atomic write takes."""
    chunk: list[S] = []
    count = size = 0
    for batch in batches:
        shared = chunk and not batch.alone and not chunk[-1].alone
        if chunk and (not shared or count + batch.count > most or size + batch.size > most_bytes):
            yield chunk
            chunk, count, size = [], 0, 0
        chunk.append(batch)
        count, size = count + batch.count, size + batch.size
    if chunk:
        yield chunk


def pause_after_race(attempt: int) -> None:
    """Wait after the lost race of this number, from 0: not at all at first, then longer and longer, with jitter."""
    if attempt >= AT_ONCE:
        pause(min(FIRST_PAUSE_SECONDS * 2 ** (attempt - AT_ONCE), LONGEST_PAUSE_SECONDS))


def pause(longest: float) -> None:
    """Wait for any time up to `longest` seconds."""
    time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret


class PerDriver(Generic[T]):
    """Things that live as long as a driver does, one per name: a flipped route starts afresh."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._kept: WeakKeyDictionary[object, OrderedDict[tuple[str, ...], T]] = WeakKeyDictionary()
        self._lookup = threading.Lock()

    def get(self, driver: object, name: tuple[str, ...]) -> T:
        """Return the driver's thing of this name, a new one where there is none."""
        with self._lookup:
            things = self._kept.setdefault(driver, OrderedDict())
            if name not in things:
                things[name] = self._make()
            things.move_to_end(name)
            if len(things) > KEPT_PER_DRIVER:
                things.popitem(last=False)
            return things[name]

    def names(self, driver: object) -> list[tuple[str, ...]]:
        """The names that are kept for a driver, the longest unused first."""
        with self._lookup:
            return list(self._kept.get(driver, ()))
