"""Warm route resolution: a dict read with its rules around it, against a bare dict, Django's cache in memory, and the ORM."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Final

from django.core.cache.backends.locmem import LocMemCache

from bench.harness import (
    PERCENT_99,
    Bar,
    Figures,
    Plan,
    Result,
    Side,
    Size,
    at_least,
    compare,
    percentile,
    short_calls,
    timed,
)
from bench.home import CONTEXT, Home
from routing.models import Route
from routing.resolve import resolve

KIND: Final = "object_store"
MOST_SECONDS: Final = 1e-6
"""Issue 2: warm resolution costs under 1 µs."""

DICT: Final = {Size.SMOKE: Plan(3, 100), Size.QUICK: Plan(60, 20_000), Size.FULL: Plan(200, 50_000)}
CACHE: Final = {Size.SMOKE: Plan(3, 50), Size.QUICK: Plan(60, 5_000), Size.FULL: Plan(200, 20_000)}
ORM: Final = {Size.SMOKE: Plan(3, 5), Size.QUICK: Plan(40, 100), Size.FULL: Plan(100, 500)}
SINGLES: Final = {Size.SMOKE: 200, Size.QUICK: 200_000, Size.FULL: 1_000_000}


def run(_home: Home, size: Size) -> list[Result]:
    route = resolve(KIND, CONTEXT)
    ours = Side("routing.resolve", _resolving)
    plain = {(KIND, CONTEXT.tenant_id, CONTEXT.env): route}
    return [
        _with_singles(
            compare("resolve / dict", ours, Side("three-key tuple dict", _looking_up(plain)), DICT[size]), size
        ),
        _barred(
            compare("resolve / LocMem", ours, Side("LocMemCache.get", _caching(route)), CACHE[size], faster=True), 10
        ),
        _barred(compare("resolve / ORM", ours, Side("Route.objects.get", timed(_query)), ORM[size], faster=True), 300),
    ]


def _resolving(calls: int) -> Sequence[float]:
    for _ in repeat(None, calls):
        resolve(KIND, CONTEXT)
    return ()


def _looking_up(routes: Mapping[tuple[str, str, str], object]) -> Callable[[int], Sequence[float]]:
    def run_calls(calls: int) -> Sequence[float]:
        context = CONTEXT
        for _ in repeat(None, calls):
            routes.get((KIND, context.tenant_id, context.env))
        return ()

    return run_calls


def _caching(route: object) -> Callable[[int], Sequence[float]]:
    cache = LocMemCache("bench", {})
    cache.set(f"route:{KIND}:{CONTEXT.tenant_id}:{CONTEXT.env}", route)

    def run_calls(calls: int) -> Sequence[float]:
        for _ in repeat(None, calls):
            cache.get(f"route:{KIND}:{CONTEXT.tenant_id}:{CONTEXT.env}")
        return ()

    return run_calls


def _query() -> Route:
    return Route.objects.get(
        resource_kind=KIND, tenant_id=CONTEXT.tenant_id, env=CONTEXT.env, project_id=None, enabled=True
    )


def _with_singles(result: Result, size: Size) -> Result:
    """Add what single calls take: a look-up that meets the freshness check is one of them."""
    plain = {(KIND, CONTEXT.tenant_id, CONTEXT.env): None}
    ours = _percentiles(result.ours, lambda: resolve(KIND, CONTEXT), size)
    base = _percentiles(result.base, lambda: plain.get((KIND, CONTEXT.tenant_id, CONTEXT.env)), size)
    met = ours.p99 is not None and ours.p99 < MOST_SECONDS
    return replace(result, ours=ours, base=base, bar=Bar("p99 < 1 µs", met))


def _percentiles(figures: Figures, call: Callable[[], object], size: Size) -> Figures:
    seconds = short_calls(call, SINGLES[size])
    return replace(figures, p50=percentile(seconds, 0.5), p99=percentile(seconds, PERCENT_99))


def _barred(result: Result, least: float) -> Result:
    return replace(result, bar=at_least(result, least))
