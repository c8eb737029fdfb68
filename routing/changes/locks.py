"""Strategy locks: while one is active, what it covers stays where it is.

A lock forbids, in its reach: a switch; any change of the config but new values of secrets that it has; creating, deleting,
enabling and disabling a route. It allows tier, cost notes and rotated secrets. Where anything is unclear, it is locked.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction

from northstar.errors import FieldError, InvalidRequest, NotFound, StrategyLocked
from routing import audit
from routing.audit import Cause, Subject, timestamp
from routing.changes.outbox import announce
from routing.models import Route, SnapshotRevision, StrategyLock, Tenant
from routing.patterns import ENV_PATTERN

ROUTE_LOCKED: Final = "ROUTE_LOCKED"
ROUTE_UNLOCKED: Final = "ROUTE_UNLOCKED"
ROUTE_LOCK_OVERRIDDEN: Final = "ROUTE_LOCK_OVERRIDDEN"

CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""How far the clocks of two machines may be apart: a lock holds this much longer than it says."""
REASON_LENGTH: Final = 2000


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


def lock_route(route_id: int, *, reason: str, until: datetime | None, cause: Cause) -> StrategyLock:
    """Lock one route; `until` None locks it until somebody releases it. The actor of the cause is the owner.

    Raises NotFound, or InvalidRequest (no reason, an end that has passed).
    """
    with transaction.atomic():
        state = audit.lock()
        route = Route.objects.filter(pk=route_id).first()
        if route is None:
            raise NotFound(f"There is no route {route_id}.")
        return _lock(state, Place.of(route), reason, until, cause)


def lock_env(tenant_id: str, env: str, *, reason: str, until: datetime | None, cause: Cause) -> StrategyLock:
    """Lock all routes of a tenant's environment, those to come too; otherwise as `lock_route`.

    Raises InvalidRequest (unknown tenant, bad environment, no reason, an end that has passed).
    """
    with transaction.atomic():
        state = audit.lock()
        errors = []
        if not Tenant.objects.filter(pk=tenant_id).exists():
            errors.append(FieldError("tenant_id", "unknown", f"There is no tenant {tenant_id!a}."))
        if not re.fullmatch(ENV_PATTERN, env):
            errors.append(FieldError("env", "pattern", "Use 1 to 31 lower-case letters, digits or dashes."))
        _refuse(errors)
        return _lock(state, Place(tenant_id, env, ""), reason, until, cause)


def unlock(lock_id: int, cause: Cause) -> StrategyLock:
    """Release a lock; one that is not active any more stays as it is.

    The owner may, and whoever overrides: `cause.may_override` and a rationale, audited as an override. Raises NotFound, or
    StrategyLocked for anybody else.
    """
    with transaction.atomic():
        state = audit.lock()
        row = StrategyLock.objects.filter(pk=lock_id).first()
        if row is None:
            raise NotFound(f"There is no lock {lock_id}.")
        if not is_active(row):
            return row
        before = lock_summary(row)
        if row.owner != cause.actor:
            if not _overrides(cause):
                raise _locked([row], cause, "Only its owner releases it")
            _record_override(state, [row], cause)
        _release(row, cause)
        announce(audit.record(state, ROUTE_UNLOCKED, _subject(row), cause, before=before, after=lock_summary(row)))
    return row


def pass_locks(state: SnapshotRevision, place: Place, cause: Cause, *, reroutes: bool) -> None:
    """Let a change pass the locks on its place: there is no active one, or the cause overrides them, which is audited.

    Every way to move data asks here, inside its transaction. `state` is what `audit.lock` returned. `reroutes` says that a
    route appears, disappears, is enabled or disabled: that also moves requests between a project and its tenant's route, so
    the lock on the tenant's route counts too. Raises StrategyLocked, naming owner, reason and end.
    """
    _record_override(state, check_locks(place, cause, reroutes=reroutes), cause)


def check_locks(place: Place, cause: Cause, *, reroutes: bool) -> list[StrategyLock]:
    """Return the locks that the cause overrides; nothing is written. Raises StrategyLocked for locks that it does not."""
    locks = active_locks(place, reroutes=reroutes)
    if locks and not _overrides(cause):
        raise _locked(locks, cause, "Nothing in its reach may change where data lies")
    return locks


def active_locks(place: Place, *, reroutes: bool = False) -> list[StrategyLock]:
    """Return the locks that forbid a change at the place now, the newest first. `reroutes` as for `pass_locks`."""
    rows = StrategyLock.objects.filter(tenant_id=place.tenant_id, env=place.env)
    return [row for row in rows if _covers(row, place, reroutes=reroutes) and is_active(row)]


def active_locks_of(places: Collection[Place]) -> dict[Place, list[StrategyLock]]:
    """Return for each place what `active_locks` does, with one query for all of them."""
    tenants, envs = {place.tenant_id for place in places}, {place.env for place in places}
    rows = [row for row in StrategyLock.objects.filter(tenant_id__in=tenants, env__in=envs) if is_active(row)]
    there = {
        place: [row for row in rows if (row.tenant_id, row.env) == (place.tenant_id, place.env)] for place in places
    }
    return {place: [row for row in rows if _covers(row, place, reroutes=False)] for place, rows in there.items()}


def is_active(row: StrategyLock) -> bool:
    """Whether a lock forbids anything now. One whose times make no sense does."""
    now = datetime.now(UTC)
    begun: datetime | None = row.created_at  # SQLite gives None for a text that is no time
    if begun is None:
        return True
    if row.released_at is not None:
        return not begun <= row.released_at <= now + CLOCK_TOLERANCE
    return row.until is None or row.until <= begun or now <= row.until + CLOCK_TOLERANCE


def lock_summary(row: StrategyLock) -> dict[str, Any]:
    """Return what a lock says, for `before`, `after`, events and answers. `route_id` is None where it covers all routes."""
    return {
        "id": row.pk,
        "route_id": _route_id(row),
        "resource_kind": row.resource_kind or None,
        "tenant_id": row.tenant_id,
        "env": row.env,
        "project_id": row.project_id,
        "owner": row.owner,
        "reason": row.reason,
        "until": timestamp(row.until),
        "created_at": timestamp(row.created_at),
        "released_at": timestamp(row.released_at),
        "released_by": row.released_by or None,
        "active": is_active(row),
    }


def _lock(state: SnapshotRevision, place: Place, reason: str, until: datetime | None, cause: Cause) -> StrategyLock:
    now = datetime.now(UTC)
    _check(reason, until, now)
    row = StrategyLock.objects.create(
        tenant_id=place.tenant_id,
        env=place.env,
        resource_kind=place.resource_kind,
        project_id=place.project_id,
        owner=cause.actor,
        reason=reason.strip(),
        until=until,
        created_at=now,
    )
    announce(audit.record(state, ROUTE_LOCKED, _subject(row), _because(cause, reason), after=lock_summary(row)))
    return row


def _check(reason: str, until: datetime | None, now: datetime) -> None:
    errors = []
    if not 1 <= len(reason.strip()) <= REASON_LENGTH:
        errors.append(
            FieldError("reason", "required", f"Say why nothing may move, in 1 to {REASON_LENGTH} characters.")
        )
    if until is not None and (until.utcoffset() is None or until <= now):
        errors.append(FieldError("until", "past", "Give an end in the future, with its offset; or none."))
    _refuse(errors)


def _refuse(errors: Sequence[FieldError]) -> None:
    if errors:
        raise InvalidRequest("The lock is not valid.", fix="Correct the fields in `errors`.", errors=errors)


def _because(cause: Cause, reason: str) -> Cause:
    return replace(cause, rationale=cause.rationale or reason.strip())


def _covers(row: StrategyLock, place: Place, *, reroutes: bool) -> bool:
    """Whether a lock of the place's tenant and environment reaches it. A project without a kind names nothing: it locks all."""
    if not row.resource_kind:
        return True
    if row.resource_kind != place.resource_kind:
        return False
    return row.project_id == place.project_id or (reroutes and row.project_id is None)


def _overrides(cause: Cause) -> bool:
    return cause.may_override and bool(cause.rationale.strip())


def _record_override(state: SnapshotRevision, locks: Sequence[StrategyLock], cause: Cause) -> None:
    for row in locks:
        summary = lock_summary(row)
        announce(audit.record(state, ROUTE_LOCK_OVERRIDDEN, _subject(row), cause, before=summary, after=summary))


def _locked(locks: Sequence[StrategyLock], cause: Cause, rule: str) -> StrategyLocked:
    first = locks[0]
    end = f"until {timestamp(first.until)}" if first.until else "without an end"
    more = f" {len(locks) - 1} more locks forbid it too." if len(locks) > 1 else ""
    detail = f"{rule}: lock {first.pk} of {first.owner} holds {end}. Reason: {first.reason}.{more}"
    told = [lock_summary(row) for row in locks]
    if not cause.may_override:
        return StrategyLocked(detail, locks=told)
    missing = FieldError("switch_rationale", "required", "Overriding a lock needs a rationale.")
    return StrategyLocked(
        detail, fix="Say in switch_rationale why the lock is overridden.", errors=[missing], locks=told
    )


def _release(row: StrategyLock, cause: Cause) -> None:
    """End a lock so that nobody doubts it, even one whose times made no sense."""
    now = datetime.now(UTC)
    begun: datetime | None = row.created_at
    row.created_at = now if begun is None else min(begun, now)
    row.released_at, row.released_by = now, cause.actor
    row.save(update_fields=["created_at", "released_at", "released_by"])


def _subject(row: StrategyLock) -> Subject:
    return Subject(
        name=f"lock:{row.pk}",
        tenant_id=row.tenant_id,
        env=row.env,
        project_id=row.project_id,
        resource_kind=row.resource_kind,
        route_id=_route_id(row),
    )


def _route_id(row: StrategyLock) -> int | None:
    if not row.resource_kind:
        return None
    same = {
        "tenant_id": row.tenant_id,
        "env": row.env,
        "resource_kind": row.resource_kind,
        "project_id": row.project_id,
    }
    return Route.objects.filter(**same).values_list("pk", flat=True).first()
