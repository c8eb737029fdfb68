"""What requests used of each route's service: counted in memory (`storage.metering`), kept here in batches, summed when asked."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.db.models import Sum

from routing.health_models import RouteHealth, RouteUsage
from routing.models import Route
from storage.metering import LATENCY_SECONDS, Failure, Tally, route_meters

OPERATIONS: Final = "operations"
ERRORS: Final = "errors"
KEPT_DAYS: Final = 31
"""Usage of earlier days is forgotten."""

_LATENCY: Final = "latency_"
_flushing: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class RouteTotals:
    """What a route's requests used within some days, all processes together. Latencies are in milliseconds, or None."""

    operations: int
    errors: int
    used: Mapping[str, int]
    """By the measures of `storage.usage`."""
    p50: float | None
    p95: float | None
    p99: float | None


def flush_usage() -> None:
    """Keep what this process has counted since the last time: one statement for all routes.

    When the database refuses, the counts stay in memory for the next time, and its error is raised.
    """
    with _flushing:
        taken = route_meters.take()
        if not taken:
            return
        try:
            with transaction.atomic():
                _add(taken, datetime.now(UTC).date())
                _keep_failures({route_id: tally.failure for route_id, tally in taken.items() if tally.failure})
        except DatabaseFailure:
            route_meters.give_back(taken)
            raise


def forget_old_usage() -> None:
    """Remove the usage of days beyond `KEPT_DAYS`."""
    RouteUsage.objects.filter(day__lt=first_day(KEPT_DAYS)).delete()


def first_day(days: int) -> date:
    """Return the first of the last `days` days (UTC), today being the last."""
    return datetime.now(UTC).date() - timedelta(days=days - 1)


def usage_since(day: date, route_ids: Iterable[int]) -> dict[int, RouteTotals]:
    """Sum the usage of routes from a day on; a route without any is missing."""
    rows = RouteUsage.objects.filter(day__gte=day, route_id__in=list(route_ids)).order_by()
    amounts: dict[int, dict[str, int]] = {}
    for route_id, measure, amount in rows.values_list("route_id", "measure").annotate(Sum("amount")):
        amounts.setdefault(route_id, {})[measure] = amount
    return {route_id: _totals(of_route) for route_id, of_route in amounts.items()}


def _add(taken: Mapping[int, Tally], day: date) -> None:
    today = connection.ops.adapt_datefield_value(day)
    rows = [
        (route_id, today, measure, amount)
        for route_id in sorted(taken)  # processes that write the same rows in the same order never wait in a circle
        for measure, amount in sorted(_measures(taken[route_id]).items())
    ]
    table = connection.ops.quote_name(RouteUsage._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} (route_id, day, measure, amount) VALUES (%s, %s, %s, %s) "  # noqa: S608 - our own name
            f"ON CONFLICT (route_id, day, measure) DO UPDATE SET amount = {table}.amount + excluded.amount",
            rows,
        )


def _measures(tally: Tally) -> dict[str, int]:
    latency = {f"{_LATENCY}{place:02d}": count for place, count in tally.latency.items()}
    counted = {OPERATIONS: tally.operations, ERRORS: tally.errors, **tally.used, **latency}
    return {measure: amount for measure, amount in counted.items() if amount}


def _keep_failures(failures: Mapping[int, Failure]) -> None:
    for route_id in Route.objects.filter(pk__in=failures).values_list("pk", flat=True):
        failure = failures[route_id]
        values = {
            "failed_at": failure.at,
            "failed_operation": failure.operation,
            "failed_code": failure.error_code,
            "failed_error": failure.error,
        }
        if not RouteHealth.objects.filter(pk=route_id).update(**values):
            row = RouteHealth(route_id=route_id, next_probe_at=failure.at, **values)
            RouteHealth.objects.bulk_create([row], ignore_conflicts=True)


def _totals(amounts: Mapping[str, int]) -> RouteTotals:
    latency = Counter(
        {int(name.removeprefix(_LATENCY)): count for name, count in amounts.items() if name.startswith(_LATENCY)}
    )
    rest = {name: amount for name, amount in amounts.items() if not name.startswith(_LATENCY)}
    operations, errors = rest.pop(OPERATIONS, 0), rest.pop(ERRORS, 0)
    p50, p95, p99 = (percentile(latency, share) for share in (0.5, 0.95, 0.99))
    return RouteTotals(operations, errors, rest, p50, p95, p99)


def percentile(latency: Mapping[int, int], share: float) -> float | None:
    """Return the time in milliseconds within which a share of operations ended, from counts by place in the histogram.

    Within a place times are taken to lie evenly, so the answer is off by at most the place's width: a factor of 2 to 2.5.
    """
    wanted = share * sum(latency.values())
    before = 0
    for place in sorted(latency):
        count = latency[place]
        if before + count >= wanted:
            lower = LATENCY_SECONDS[place - 1] if place else 0.0
            upper = LATENCY_SECONDS[min(place, len(LATENCY_SECONDS) - 1)]
            return round((lower + (upper - lower) * (wanted - before) / count) * 1000, 3)
        before += count
    return None
