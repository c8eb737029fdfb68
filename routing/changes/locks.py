"""Strategy locks: while one is active, what it covers stays where it is.

A lock forbids, in its reach: a switch; any change of the config but new values of secrets that it has; creating, deleting,
enabling and disabling a route. It allows tier, cost notes and rotated secrets. Where anything is unclear, it is locked.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from django.db import transaction

from northstar.errors import FieldError, InvalidRequest, NotFound, StrategyLocked
from routing import audit
from routing.audit import Cause, Subject, timestamp
from routing.changes.lock_reach import Place, active_locks, is_active, lock_summary, route_id_of
from routing.changes.outbox import announce
from routing.models import Route, SnapshotRevision, StrategyLock, Tenant
from routing.patterns import ENV_PATTERN

__all__ = [
    "Place",
    "active_locks",
    "check_locks",
    "is_active",
    "lock_env",
    "lock_route",
    "lock_subject",
    "lock_summary",
    "pass_locks",
    "unlock",
    "unlock_env",
    "unlock_route",
]

ROUTE_LOCKED: Final = "ROUTE_LOCKED"
ROUTE_UNLOCKED: Final = "ROUTE_UNLOCKED"
ROUTE_LOCK_OVERRIDDEN: Final = "ROUTE_LOCK_OVERRIDDEN"

REASON_LENGTH: Final = 2000
INGESTING_KIND: Final = "analytics_store"
"""The one kind whose locks may hold new data back."""


def lock_route(
    route_id: int, *, reason: str, until: datetime | None, cause: Cause, holds_ingest: bool = False
) -> StrategyLock:
    """Lock one route; `until` None locks it until somebody releases it. The actor of the cause is the owner.

    `holds_ingest` also refuses new analytics records, which only a lock on an analytics_store's route can.
    Raises NotFound, or InvalidRequest (no reason, an end that has passed, a hold on another kind).
    """
    with transaction.atomic():
        state = audit.lock()
        return _lock(state, Place.of(_route(route_id)), reason, until, cause, holds_ingest=holds_ingest)


def lock_env(
    tenant_id: str, env: str, *, reason: str, until: datetime | None, cause: Cause, holds_ingest: bool = False
) -> StrategyLock:
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
        return _lock(state, Place(tenant_id, env, ""), reason, until, cause, holds_ingest=holds_ingest)


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
        _release(state, [row], cause)
    return row


def unlock_route(route_id: int, cause: Cause) -> list[StrategyLock]:
    """Release all locks on a route itself, or none of them. Raises as `unlock`, and NotFound where there is none."""
    with transaction.atomic():
        state = audit.lock()
        return _release_all(state, Place.of(_route(route_id)), cause, f"Route {route_id}")


def unlock_env(tenant_id: str, env: str, cause: Cause) -> list[StrategyLock]:
    """Release all locks on a tenant's environment as a whole, or none of them. Raises as `unlock_route`."""
    with transaction.atomic():
        state = audit.lock()
        return _release_all(state, Place(tenant_id, env, ""), cause, f"{tenant_id}/{env}")


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


def _lock(
    state: SnapshotRevision, place: Place, reason: str, until: datetime | None, cause: Cause, *, holds_ingest: bool
) -> StrategyLock:
    now = datetime.now(UTC)
    _check(reason, until, now)
    if holds_ingest and place.resource_kind not in {"", INGESTING_KIND}:
        detail = f"A lock on a route of {place.resource_kind} cannot hold ingestion: records go to {INGESTING_KIND}."
        _refuse([FieldError("holds_ingest", "kind", detail)])
    row = StrategyLock.objects.create(
        tenant_id=place.tenant_id,
        env=place.env,
        resource_kind=place.resource_kind,
        project_id=place.project_id,
        owner=cause.actor,
        reason=reason.strip(),
        until=until,
        holds_ingest=holds_ingest,
        created_at=now,
    )
    announce(audit.record(state, ROUTE_LOCKED, lock_subject(row), _because(cause, reason), after=lock_summary(row)))
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


def _overrides(cause: Cause) -> bool:
    return cause.may_override and bool(cause.rationale.strip())


def _record_override(state: SnapshotRevision, locks: Sequence[StrategyLock], cause: Cause) -> None:
    for row in locks:
        summary = lock_summary(row)
        announce(audit.record(state, ROUTE_LOCK_OVERRIDDEN, lock_subject(row), cause, before=summary, after=summary))


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


def _release_all(state: SnapshotRevision, place: Place, cause: Cause, what: str) -> list[StrategyLock]:
    own = StrategyLock.objects.filter(tenant_id=place.tenant_id, env=place.env, resource_kind=place.resource_kind)
    if place.resource_kind:
        own = own.filter(project_id=place.project_id)
    rows = [row for row in own if is_active(row)]
    if not rows:
        raise NotFound(f"{what} has no active lock of its own.", fix="GET /api/v1/routing/locks lists those there are.")
    _release(state, rows, cause)
    return rows


def _release(state: SnapshotRevision, rows: Sequence[StrategyLock], cause: Cause) -> None:
    """End active locks, those of others by overriding them. Raises StrategyLocked."""
    foreign = [row for row in rows if row.owner != cause.actor]
    if foreign and not _overrides(cause):
        raise _locked(foreign, cause, "Only its owner releases it")
    _record_override(state, foreign, cause)
    for row in rows:
        before = lock_summary(row)
        _end(row, cause)
        announce(audit.record(state, ROUTE_UNLOCKED, lock_subject(row), cause, before=before, after=lock_summary(row)))


def _end(row: StrategyLock, cause: Cause) -> None:
    """Write the end so that nobody doubts it, even that of a lock whose times made no sense."""
    now = datetime.now(UTC)
    begun: datetime | None = row.created_at
    row.created_at = now if begun is None else min(begun, now)
    row.released_at, row.released_by = now, cause.actor
    row.save(update_fields=["created_at", "released_at", "released_by"])


def _route(route_id: int) -> Route:
    route = Route.objects.filter(pk=route_id).first()
    if route is None:
        raise NotFound(f"There is no route {route_id}.")
    return route


def lock_subject(row: StrategyLock) -> Subject:
    """Return a lock as the subject of a change."""
    return Subject(
        name=f"lock:{row.pk}",
        tenant_id=row.tenant_id,
        env=row.env,
        project_id=row.project_id,
        resource_kind=row.resource_kind,
        route_id=route_id_of(row),
    )
