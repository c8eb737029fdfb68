"""What strategy locks reach: which of them are active, and what they cover. Nothing here changes one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q

from routing.audit import timestamp
from routing.models import Route, StrategyLock

CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""How far the clocks of two machines may be apart: a lock holds this much longer than it says."""


@dataclass(frozen=True, slots=True)
class Place:
    """A route's four-part key: what a lock covers is a place, whether a route stands there or not."""

    tenant_id: str
    env: str
    resource_kind: str
    project_id: str | None = None

    @classmethod
    def of(cls, route: Route) -> "Place":
        """Return where a route stands."""
        return cls(route.tenant_id, route.env, route.resource_kind, route.project_id)


def active_locks(place: Place, *, reroutes: bool = False) -> list[StrategyLock]:
    """Return the locks that forbid a change at the place now, the newest first. `reroutes` as for `pass_locks`."""
    rows = StrategyLock.objects.filter(tenant_id=place.tenant_id, env=place.env)
    return [row for row in rows if _covers(row, place, reroutes=reroutes) and is_active(row)]


def is_active(row: StrategyLock) -> bool:
    """Whether a lock forbids anything now. One whose times make no sense does."""
    now = datetime.now(UTC)
    begun: datetime | None = row.created_at  # SQLite gives None for a text that is no time
    if begun is None:
        return True
    if row.released_at is not None:
        return not begun <= row.released_at <= now + CLOCK_TOLERANCE
    return row.until is None or row.until <= begun or now <= row.until + CLOCK_TOLERANCE


def perhaps_active() -> Q:
    """Return a filter that leaves out locks that are certainly over, for lists: `is_active` has the last word."""
    now = datetime.now(UTC)
    over = Q(released_at__gte=F("created_at"), released_at__lte=now)
    ran_out = Q(released_at=None, until__gt=F("created_at"), until__lt=now - CLOCK_TOLERANCE)
    return ~(over | ran_out)


def locked_places(places: Iterable[Place]) -> set[Place]:
    """Return which of these places a lock covers now; one query for all of them."""
    wanted = set(places)
    rows = StrategyLock.objects.filter(perhaps_active(), tenant_id__in={place.tenant_id for place in wanted})
    active = [row for row in rows if is_active(row)]
    return {
        place
        for place in wanted
        for row in active
        if (row.tenant_id, row.env) == (place.tenant_id, place.env) and _covers(row, place, reroutes=False)
    }


def lock_summary(row: StrategyLock) -> dict[str, Any]:
    """Return what a lock says, for `before`, `after`, events and answers. `route_id` is None where it covers all routes."""
    return {
        "id": row.pk,
        "route_id": route_id_of(row),
        "resource_kind": row.resource_kind or None,
        "tenant_id": row.tenant_id,
        "env": row.env,
        "project_id": row.project_id,
        "owner": row.owner,
        "reason": row.reason,
        "until": timestamp(row.until),
        "holds_ingest": row.holds_ingest,
        "created_at": timestamp(row.created_at),
        "released_at": timestamp(row.released_at),
        "released_by": row.released_by or None,
        "active": is_active(row),
    }


def _covers(row: StrategyLock, place: Place, *, reroutes: bool) -> bool:
    """Whether a lock of the place's tenant and environment reaches it. A project without a kind names nothing: it locks all."""
    if not row.resource_kind:
        return True
    if row.resource_kind != place.resource_kind:
        return False
    return row.project_id == place.project_id or (reroutes and row.project_id is None)


def route_id_of(row: StrategyLock) -> int | None:
    """Return the route that stands where a lock on one is; None where it covers all, or none stands there now."""
    if not row.resource_kind:
        return None
    same = {
        "tenant_id": row.tenant_id,
        "env": row.env,
        "resource_kind": row.resource_kind,
        "project_id": row.project_id,
    }
    return Route.objects.filter(**same).values_list("pk", flat=True).first()
