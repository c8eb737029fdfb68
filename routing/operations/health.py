"""The last probe of each route: due at intervals, made by one process at a time, kept in one row per route."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from northstar.errors import NotFound, RateLimited
from routing.health_models import RouteHealth
from routing.models import Route
from routing.operations.probing import PROBE_SECONDS, PendingProbe, ProbeReport, begin_probe, probe_route

USUAL_SECONDS: Final = 300.0
"""Between probes by the command, where NORTHSTAR_PROBE_SECONDS is 0 and no server probes."""
LONGEST_PAUSE: Final = 8
"""Times the interval: the pause after a failure doubles up to it."""
LEASE: Final = timedelta(seconds=PROBE_SECONDS * 2)
"""After this time another process may probe: the one that wanted to has died."""
AT_ONCE: Final = 8
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Probed:
    """A route's probe."""

    route: Route
    report: ProbeReport


def probe_and_record(route_id: int) -> ProbeReport:
    """Probe a route now, whenever it was probed last, and keep the result. Raises as `probe_route`."""
    report = probe_route(route_id)
    record_probe(route_id, report)
    return report


def probe_due_routes(*, everything: bool = False) -> list[Probed]:
    """Probe the enabled routes whose time has come, or all of them, and keep the results.

    Due is a route that was never probed, was changed since, or whose pause is over. What another process probes is left to it.
    """
    due = [route for route in _due(everything=everything) if _claim(route, everything=everything)]
    probed = []
    for first in range(0, len(due), AT_ONCE):
        batch = due[first : first + AT_ONCE]
        under_way = [(route, pending) for route in batch if (pending := _begun(route))]
        for route, pending in under_way:
            probed.append(Probed(route, pending.report(PROBE_SECONDS)))
            record_probe(route.pk, probed[-1].report)
    return probed


def record_probe(route_id: int, report: ProbeReport) -> None:
    """Keep a probe's result; of a route that was deleted meanwhile, nothing."""
    try:
        with transaction.atomic():
            if not Route.objects.filter(pk=route_id).exists():
                return
            _make_row(route_id)
            row = RouteHealth.objects.select_for_update().get(pk=route_id)
            row.ok, row.probed_at, row.probed_revision = report.ok, report.at, report.revision
            row.steps = [list(step) for step in report.steps]
            row.error_code, row.error, row.fix = report.error_code, report.error, report.fix
            row.failures = 0 if report.ok else row.failures + 1
            row.next_probe_at = report.at + pause_after(row.failures)
            row.save()
    except IntegrityError:  # deleted in this very moment
        if Route.objects.filter(pk=route_id).exists():
            raise


def pause_after(failures: int) -> timedelta:
    """Return the time until the next probe after so many failures in a row: it doubles with each, up to eight times."""
    usual = settings.NORTHSTAR_PROBE_SECONDS or USUAL_SECONDS
    return timedelta(seconds=usual * min(LONGEST_PAUSE, 2 ** max(0, min(failures, 10) - 1)))


def _due(*, everything: bool) -> list[Route]:
    routes = Route.objects.filter(enabled=True).select_related("health").order_by("pk")
    if not everything:
        past = Q(health__next_probe_at__lte=datetime.now(UTC))
        routes = routes.filter(Q(health=None) | past | ~Q(health__probed_revision=F("revision")))
    return list(routes)


def _claim(route: Route, *, everything: bool) -> bool:
    """Whether this process alone may probe the route now."""
    now = datetime.now(UTC)
    try:
        with transaction.atomic():
            if not hasattr(route, "health"):
                _make_row(route.pk)
            rows = RouteHealth.objects.filter(pk=route.pk)
            if not everything:
                rows = rows.filter(Q(next_probe_at__lte=now) | ~Q(probed_revision=route.revision))
            return bool(rows.update(next_probe_at=now + LEASE, probed_revision=route.revision))
    except IntegrityError:  # it was deleted meanwhile
        return False


def _make_row(route_id: int) -> None:
    row = RouteHealth(route_id=route_id, next_probe_at=_LONG_AGO)
    RouteHealth.objects.bulk_create([row], ignore_conflicts=True)


def _begun(route: Route) -> PendingProbe | None:
    try:
        return begin_probe(route.pk)
    except (NotFound, RateLimited):  # deleted meanwhile; or too much hangs, and its lease will run out
        return None
