"""What route, context and guard add to a record's get and put: the table through the one door against its bare driver."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from unittest.mock import patch

from bench.harness import Plan, Result, Side, Size, compare, timed
from bench.home import CONTEXT, Home
from routing.resolve import resolve
from storage.documents import Ref
from storage.keys import Scope
from storage.opening import build_adapter, open_store

RECORDS: Final = 200
PLANS: Final = {Size.SMOKE: Plan(2, 10, 1), Size.QUICK: Plan(30, 40), Size.FULL: Plan(60, 500)}
RECORD: Final[dict[str, Any]] = {"name": "Acme Ltd", "city": "Aarhus", "employees": 1042, "rating": 4.5, "active": True}


def run(_home: Home, size: Size) -> list[Result]:
    adapter = build_adapter(resolve("tabular_store", CONTEXT), CONTEXT.mode)
    driver = adapter.driver
    partition = (*Scope.of(CONTEXT).parts, "bare")
    keys = _Keys()

    def get() -> None:
        open_store("tabular_store", CONTEXT).get("routed", keys.next())

    def bare_get() -> None:
        driver.get(Ref("tabular_store", partition, keys.next()))

    def put() -> None:
        open_store("tabular_store", CONTEXT).upsert("routed", keys.next(), RECORD)

    def bare_put() -> None:
        driver.put(Ref("tabular_store", partition, keys.next()), RECORD)

    for fill in (put, bare_put):
        for _ in range(RECORDS):
            fill()
    return [
        compare("record get", Side("open_store().get", timed(get)), Side("driver.get", timed(bare_get)), PLANS[size]),
        compare(
            "record put", Side("open_store().upsert", timed(put)), Side("driver.put", timed(bare_put)), PLANS[size]
        ),
        compare(
            "record get / unmetered",
            Side("open_store().get", timed(get)),
            Side("the same, nothing counted", _unmetered(timed(get))),
            PLANS[size],
        ),
    ]


def _unmetered(run_calls: Callable[[int], Sequence[float]]) -> Callable[[int], Sequence[float]]:
    """The same calls by a guard that counts nothing."""

    def run_uncounted(calls: int) -> Sequence[float]:
        with patch("storage.guard.record", _nothing):
            return run_calls(calls)

    return run_uncounted


def _nothing(**_facts: Any) -> None:
    return None


class _Keys:
    """Hands out the keys of the table in turn."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return f"customer-{self._count % RECORDS:04d}"
