"""Ratios, not times: two sides run in alternating rounds, and what counts is the median of the per-round ratios.

Times of a shared machine mean nothing from one minute to the next. Two rounds that follow each other meet the same neighbours,
so their ratio stands; the order within a pair alternates, so that neither side always runs second.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Final

PERCENT_99: Final = 0.99


class Size(Enum):
    """How much is measured: a tiny form that only shows that it runs, two minutes, or as long as steady figures need."""

    SMOKE = "smoke"
    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` alternating pairs of `calls` operations a side, after `warm_up` rounds that are thrown away."""

    rounds: int
    calls: int
    warm_up: int = 2


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two things compared.

    `run(calls)` does that many operations and returns the seconds that single operations took; empty where one operation is
    too short to be timed alone. `cpu()` is the CPU time used so far, in seconds, by the process that does the work.
    """

    name: str
    run: Callable[[int], Sequence[float]]
    cpu: Callable[[], float] = time.process_time


@dataclass(frozen=True, slots=True)
class Figures:
    """What one side took, in seconds per operation. `p50` and `p99` are of single operations, None where these were not timed.

    `median` is the median over the rounds of wall time divided by operations; `cpu` the mean over the whole run.
    """

    name: str
    median: float
    cpu: float
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that the design asks for. `text` is how it is printed, `met` whether this run reached it."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table. `faster` says what `ratio` is: base time over our time, else our time over base time."""

    name: str
    ratio: Spread
    faster: bool
    ours: Figures
    base: Figures
    plan: Plan
    bar: Bar | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class _Tally:
    """What one side has used so far, round by round."""

    side: Side
    rounds: list[float] = field(default_factory=list)
    singles: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def play(self, calls: int) -> None:
        cpu, started = self.side.cpu(), time.perf_counter()
        singles = self.side.run(calls)
        self.rounds.append((time.perf_counter() - started) / calls)
        self.cpu += self.side.cpu() - cpu
        self.singles.extend(singles)

    def figures(self, calls: int) -> Figures:
        cpu = self.cpu / (len(self.rounds) * calls)
        median = statistics.median(self.rounds)
        if not self.singles:
            return Figures(self.side.name, median, cpu)
        return Figures(self.side.name, median, cpu, percentile(self.singles, 0.5), percentile(self.singles, PERCENT_99))


def compare(name: str, ours: Side, base: Side, plan: Plan, *, faster: bool = False) -> Result:
    """Run both sides in alternating rounds and return the row, without a bar."""
    with _steady():
        for _ in range(plan.warm_up):
            ours.run(plan.calls)
            base.run(plan.calls)
        mine, theirs = _Tally(ours), _Tally(base)
        for number in range(plan.rounds):
            for tally in (mine, theirs) if number % 2 == 0 else (theirs, mine):
                tally.play(plan.calls)
    pairs = (theirs.rounds, mine.rounds) if faster else (mine.rounds, theirs.rounds)
    ratios = [above / below for above, below in zip(*pairs, strict=True)]
    return Result(name, spread(ratios), faster, mine.figures(plan.calls), theirs.figures(plan.calls), plan)


def at_most(result: Result, most: float) -> Bar:
    """Return the bar of a ratio that should be low."""
    return Bar(f"≤ {most:g}x the time", result.ratio.median <= most)


def at_most_cpu(result: Result, most: float) -> Bar:
    """Return the bar of a ratio of the CPU times, which should be low."""
    ratio = result.ours.cpu / result.base.cpu if result.base.cpu else 0.0
    return Bar(f"≤ {most:g}x the CPU ({ratio:.2f}x)", ratio <= most)


def at_least(result: Result, least: float) -> Bar:
    """Return the bar of a ratio that should be high."""
    return Bar(f"≥ {least:g}x faster", result.ratio.median >= least)


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles; of one value, that value thrice."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def timed(call: Callable[[], object]) -> Callable[[int], list[float]]:
    """Return a `Side.run` that repeats `call` and times each one, for operations of many microseconds."""
    return partial(timed_calls, call)


def timed_calls(call: Callable[[], object], calls: int) -> list[float]:
    """Return the seconds that each of `calls` calls took."""
    clock, seconds = time.perf_counter, []
    for _ in range(calls):
        started = clock()
        call()
        seconds.append(clock() - started)
    return seconds


def short_calls(call: Callable[[], object], calls: int) -> list[float]:
    """As `timed_calls`, for calls of nanoseconds: what reading the clock takes is measured and left out."""
    clock, empty = time.perf_counter, []
    for _ in range(calls):
        started = clock()
        empty.append(clock() - started)
    floor = statistics.median(empty)
    return [max(0.0, seconds - floor) for seconds in timed_calls(call, calls)]


@contextmanager
def _steady() -> Iterator[None]:
    """Keep what exists out of the garbage collector's way; what the two sides make is collected as ever."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
