"""A client's rule with its fallback to GLOBAL: cold against two gets one after the other, warm against a look into Redis.

How often the backend is asked is exact: once for a cold read, never for a warm one, once for 1,000 cold readers.
"""

import json
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import redis

from bench.harness import Bar, Plan, Result, Side, Size, at_least, at_most, compare, timed
from bench.home import CONTEXT, Home
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.documents import Ref
from storage.guard import ServedBy
from storage.keys import Scope
from storage.kinds.rules_layout import CALCULATIONS
from storage.kinds.rules_rows import CalculationRule, Figure
from storage.kinds.rules_store import RulesStore
from storage.opening import Adapter, adapter_for, store_over
from tests.stack import servers

COLD: Final = {Size.SMOKE: Plan(2, 5, 1), Size.QUICK: Plan(30, 30), Size.FULL: Plan(60, 200)}
WARM: Final = {Size.SMOKE: Plan(2, 20, 1), Size.QUICK: Plan(40, 500), Size.FULL: Plan(100, 2000)}
READERS: Final = {Size.SMOKE: 20, Size.QUICK: 1000, Size.FULL: 1000}
COLD_RATIO: Final = 0.55
WARM_RATIO: Final = 40
WARM_SECONDS: Final = 2e-6


class Counted:
    """A driver that counts the reads of its backend."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if name not in {"get", "get_many", "scan"}:
            return found

        def called(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return found(*arguments, **options)

        return called


def run(_home: Home, size: Size) -> list[Result]:
    with ExitStack() as stack:
        server = stack.enter_context(servers.ministack())
        keys = {"access_key_id": f"{secrets.randbelow(10**12):012}", "secret_access_key": "bench"}
        config = DynamoDBConfig.model_validate(
            {"region": "us-east-1", "endpoint": server.url, "table_per_collection": True, **keys}
        )
        adapter = adapter_for("rules_store", "dynamodb", config, mode=CONTEXT.mode)
        stack.callback(adapter.driver.close)
        adapter.driver.prepare()
        figures = {"rate": Figure(value=Decimal("0.50"), unit="rate")}
        _store(adapter.driver).publish([CalculationRule(rule_id="match", figures=figures)], reason="bench")
        return [_cold(adapter.driver, size), _warm(adapter.driver, size)]


def _store(driver: Any) -> RulesStore:
    """Return the store as a process has it that knows nothing yet, if the driver is a new one."""
    lent = Adapter.__new__(Adapter)  # it closes nothing: the driver is another's
    lent.driver, lent.secrets = driver, ()
    return store_over("rules_store", CONTEXT, lent, ServedBy(1, 1, "dynamodb"))  # type: ignore[no-any-return]


def _cold(driver: Any, size: Size) -> Result:
    """Each read as a process's first; the other side reads the client's row, then GLOBAL's."""
    scope = Scope.of(CONTEXT).parts
    refs = [Ref(CALCULATIONS, (*scope, "CLIENT", owner), "RULE#match") for owner in ("a", "GLOBAL")]

    def ours() -> None:
        _store(Counted(driver)).get_calculation_rule("a", "match")

    def two_gets() -> None:
        for ref in refs:
            driver.get(ref)

    base = Side("get, get", timed(two_gets))
    result = compare("rule, cold / two gets", Side("get_calculation_rule", timed(ours)), base, COLD[size])
    counted = Counted(driver)
    store = _store(counted)
    with ThreadPoolExecutor(READERS[size]) as pool:
        list(pool.map(lambda _: store.get_calculation_rule("a", "match"), range(READERS[size])))
    calls, bar = sum(counted.calls.values()), at_most(result, COLD_RATIO)
    note = f"{READERS[size]} cold readers: {calls} backend call(s)"
    return replace(result, bar=Bar(f"{bar.text}, 1 call", bar.met and calls == 1), notes=(note,))


def _warm(driver: Any, size: Size) -> Result:
    counted = Counted(driver)
    store = _store(counted)
    store.get_calculation_rule("a", "match")

    def ours(calls: int) -> list[float]:
        for _ in range(calls):
            store.get_calculation_rule("a", "match")
        return []

    with ExitStack() as stack:
        server = stack.enter_context(servers.valkey())
        client = stack.enter_context(redis.Redis(port=server.port))
        client.set("rule", json.dumps({"rate": "0.50"}))
        base = Side("Redis GET", _repeated(lambda: client.get("rule")))
        result = compare("rule, warm / Redis", Side("get_calculation_rule", ours), base, WARM[size], faster=True)
    bar = at_least(result, WARM_RATIO)
    met = bar.met and result.ours.median <= WARM_SECONDS
    note = f"backend calls of all warm reads: {sum(counted.calls.values()) - 1} (one per poll interval at most)"
    return replace(result, bar=Bar(f"{bar.text}, ≤ 2 µs", met), notes=(note,))


def _repeated(call: Callable[[], object]) -> Callable[[int], list[float]]:
    def run_calls(calls: int) -> list[float]:
        for _ in range(calls):
            call()
        return []

    return run_calls
