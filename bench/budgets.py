"""Budgets: a usage with its row, its counter and its limit, against one SQL statement that only moves a counter within a limit.

The statement is durable too: SQLite in WAL mode, synchronous FULL, a commit each.
"""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, Final
from unittest.mock import patch

from analytics.budgets.counting import Usage, record_usage, record_usages
from analytics.budgets.places import Place
from analytics.budgets.policies import Terms
from analytics.budgets.setting import Target, set_policy
from bench.appends import WRITERS, together, writers
from bench.harness import Plan, Result, Side, Size, at_least, compare, timed
from bench.home import CONTEXT, Home

LIMIT: Final = 10**9
BATCH: Final = {Size.SMOKE: 50, Size.QUICK: 1000, Size.FULL: 1000}
ALONE: Final = {Size.SMOKE: Plan(2, 5, 1), Size.QUICK: Plan(30, 20), Size.FULL: Plan(60, 200)}
SHARED: Final = {
    Size.SMOKE: Plan(2, WRITERS * 2, 1),
    Size.QUICK: Plan(20, WRITERS * 4),
    Size.FULL: Plan(60, WRITERS * 30),
}
BATCHES: Final = {Size.SMOKE: Plan(1, 1, 1), Size.QUICK: Plan(10, 1), Size.FULL: Plan(30, 2)}

AIM: Final = 0.9
"""One usage: at least this share of the statement's rate."""
BATCH_AIM: Final = 20.0
"""A thousand usages of one counter that come together."""


def run(home: Home, size: Size) -> list[Result]:
    set_policy(CONTEXT, Target("openai", "tokens", "tenant"), Terms(hard_limit=LIMIT))
    numbers, together_at_once = count(), BATCH[size]
    with _statement(home.folder / "one-statement.sqlite3") as increment, writers() as pool:

        def usage() -> None:
            record_usage(CONTEXT, "openai", "tokens", 1)

        def batch() -> None:
            number = next(numbers)
            record_usages(CONTEXT, "openai", "tokens", [Usage(1, f"{number}/{one}") for one in range(together_at_once)])

        def increments() -> None:
            for _ in range(together_at_once):
                increment()

        trips = f"{_round_trips(usage)} round trip"
        alone = _compared("budget usage, 1 caller", usage, increment, ALONE[size])
        shared = _shared(pool, usage, increment, SHARED[size])
        many = _compared("budget usage, a batch", batch, increments, BATCHES[size])
    return [
        replace(alone, bar=at_least(alone, AIM), notes=(trips,)),
        replace(shared, bar=at_least(shared, AIM), notes=(trips,)),
        replace(
            many,
            bar=at_least(many, BATCH_AIM),
            notes=(f"{_round_trips(batch)} round trip for {together_at_once} usages",),
        ),
    ]


def _compared(name: str, ours: Callable[[], object], base: Callable[[], object], plan: Plan) -> Result:
    return compare(
        name, Side("record_usage", timed(ours)), Side("UPDATE within a limit", timed(base)), plan, faster=True
    )


def _shared(
    pool: ThreadPoolExecutor, usage: Callable[[], object], increment: Callable[[], object], plan: Plan
) -> Result:
    return compare(
        f"budget usage, {WRITERS} callers",
        Side("record_usage", lambda calls: together(pool, usage, calls)),
        Side("UPDATE within a limit", lambda calls: together(pool, increment, calls)),
        plan,
        faster=True,
    )


def _round_trips(job: Callable[[], object]) -> int:
    """How often a job that is warm asks the store."""
    job()
    trips = 0

    def counted(name: str) -> Callable[..., Any]:
        call = getattr(Place, name)

        def asked(*given: Any, **more: Any) -> Any:
            nonlocal trips
            trips += 1
            return call(*given, **more)

        return asked

    with ExitStack() as stack:
        for name in ("get", "get_many", "page", "write"):
            stack.enter_context(patch.object(Place, name, counted(name)))
        job()
    return trips


@contextmanager
def _statement(path: Path) -> Iterator[Callable[[], None]]:
    """The baseline: one connection, since SQLite has one writer at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE counter (name TEXT PRIMARY KEY, used INTEGER NOT NULL)")
    connection.execute("INSERT INTO counter VALUES ('k', 0)")
    lock = Lock()

    def increment() -> None:
        with lock:
            changed = connection.execute(
                "UPDATE counter SET used = used + 1 WHERE name = 'k' AND used + 1 <= ?", [LIMIT * 10**6]
            )
            assert changed.rowcount == 1

    try:
        yield increment
    finally:
        connection.close()
