"""The back office's first page: what an operator must know at once, one query for each box."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from routing.changes.lock_reach import is_active, perhaps_active
from routing.charts import Bar, Column, bars, columns
from routing.health_models import RouteHealth, ServerProcess
from routing.models import ApiKey, Route, RouteChange, SnapshotRevision, StrategyLock
from routing.operations.processes import server_processes
from routing.operations.relay_state import REGISTRY, Destination, relay_state
from storage.registry import BACKENDS, KINDS

SHOWN: Final = 6
"""Rows of a box; its title leads to all of them."""
DAYS: Final = 14
EXPIRES_SOON: Final = timedelta(days=14)
SWITCHED: Final = "ROUTE_BACKEND_SWITCHED"

Person = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True)
class Routes:
    """How many routes there are, and on which backends."""

    total: int
    disabled: int
    bars: list[Bar]
    backends: list[str]


@dataclass(frozen=True, slots=True)
class Relay:
    """What the relay still owes: `held` are the destinations, the longest wait first, `registry` is the mirror of the routes."""

    waiting: int
    since: datetime | None
    held: list[Destination]
    registry: Destination


@dataclass(frozen=True, slots=True)
class Activity:
    """Changes of the last days; `marked` in a column are switches."""

    total: int
    switches: int
    columns: list[Column]


@dataclass(frozen=True, slots=True)
class Health:
    """What the last probes of the enabled routes saw, in numbers."""

    working: int
    failing: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Process:
    """A server process, and by how many changes its routes are behind."""

    process: ServerProcess
    behind: int


@dataclass(frozen=True, slots=True)
class Locks:
    """What may not move now."""

    total: int
    locks: list[StrategyLock]


@dataclass(frozen=True, slots=True)
class Expiring:
    """Keys that expire soon, the soonest first."""

    total: int
    keys: list[ApiKey]


def routes() -> Routes:
    """Count the routes by kind and backend."""
    counted = Route.objects.order_by().values("resource_kind", "backend_type")
    rows = list(counted.annotate(number=Count("id"), disabled=Count("id", filter=Q(enabled=False))))
    by_kind: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for row in sorted(rows, key=lambda row: _place(row["backend_type"])):
        by_kind.setdefault(row["resource_kind"], {})[row["backend_type"]] = row["number"]
    used = sorted({row["backend_type"] for row in rows}, key=_place)
    total, disabled = sum(row["number"] for row in rows), sum(row["disabled"] for row in rows)
    return Routes(total, disabled, bars(by_kind), used)


def relay() -> Relay:
    """Read what waits for streams and for the registry."""
    states = relay_state()
    held = sorted((one for one in states if one.oldest), key=Destination.lag, reverse=True)
    registry = next(one for one in states if one.kind == REGISTRY)
    events = sum(one.waiting for one in states if one.kind != REGISTRY)
    return Relay(events, held[0].oldest if held else None, held[:SHOWN], registry)


def activity(now: datetime) -> Activity:
    """Count the changes of the last 14 days, day by day in UTC."""
    first = now.date() - timedelta(days=DAYS - 1)
    recent = RouteChange.objects.order_by().filter(at__date__gte=first)
    counted = recent.annotate(day=TruncDate("at")).values("day")
    marked, others = defaultdict[date, int](int), defaultdict[date, int](int)
    for row in counted.annotate(number=Count("id"), switches=Count("id", filter=Q(action=SWITCHED))):
        marked[row["day"]] = row["switches"]
        others[row["day"]] = row["number"] - row["switches"]
    days = [first + timedelta(days=number) for number in range(DAYS)]
    drawn = columns([(day, marked[day], others[day]) for day in days])
    return Activity(sum(marked.values()) + sum(others.values()), sum(marked.values()), drawn)


def expiring_keys(now: datetime) -> Expiring:
    """Find the keys that are still good and end within 14 days."""
    soon = ApiKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lt=now + EXPIRES_SOON)
    keys = list(soon.order_by("expires_at"))
    return Expiring(len(keys), keys[:SHOWN])


def health() -> Health:
    """Count what the last probes saw."""
    enabled = Route.objects.filter(enabled=True).order_by()
    return Health(
        **enabled.aggregate(
            working=Count("id", filter=Q(health__ok=True)),
            failing=Count("id", filter=Q(health__ok=False)),
            unknown=Count("id", filter=Q(health__ok=None)),
        )
    )


def failing() -> list[RouteHealth]:
    """Read the failing routes, the most stubborn first."""
    rows = RouteHealth.objects.filter(route__enabled=True, ok=False).select_related("route")
    return list(rows.order_by("-failures", "route_id")[:SHOWN])


def locks() -> Locks:
    """Read the active locks, the newest first."""
    active = [row for row in StrategyLock.objects.filter(perhaps_active()) if is_active(row)]
    return Locks(len(active), active[:SHOWN])


def processes() -> list[Process]:
    """Read which server processes there are, and which of them are behind the current revision."""
    current = SnapshotRevision.objects.values_list("revision", flat=True).first() or 0
    return [Process(process, current - process.revision) for process in server_processes()]


def figures(person: Person) -> dict[str, object]:
    """Return the boxes that this person may see, by name; a box that is not in it costs no query."""
    now = datetime.now(UTC)
    boxes = {
        "routes": ("routing.view_route", routes),
        "health": ("routing.view_route", health),
        "failing": ("routing.view_route", failing),
        "processes": ("routing.view_route", processes),
        "locks": ("routing.view_strategylock", locks),
        "relay": ("routing.view_outboxentry", relay),
        "activity": ("routing.view_routechange", lambda: activity(now)),
        "changes": ("routing.view_routechange", lambda: list(RouteChange.objects.order_by("-id")[:SHOWN])),
        "expiring": ("routing.view_apikey", lambda: expiring_keys(now)),
    }
    allowed = person.has_perm if isinstance(person, PermissionsMixin | AnonymousUser) else lambda _name: False
    return {name: figure() for name, (permission, figure) in boxes.items() if allowed(permission)}


def _place(backend_type: str) -> tuple[int, str]:
    known = list(BACKENDS)
    return (known.index(backend_type) if backend_type in known else len(known), backend_type)
