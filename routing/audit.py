"""The audit trail: every change is one row, tied by its hash to the row before, in the transaction of the change."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any

from django.db import transaction

from northstar.instants import instant_text
from routing.models import Route, RouteChange, SnapshotRevision
from routing.signals import route_changed
from routing.snapshot import cache


@dataclass(frozen=True, slots=True)
class Cause:
    """Who makes a change and why. `actor` is `key:<id>`, `user:<name>` or `command:<name>`."""

    actor: str
    request_id: str = ""
    rationale: str = ""
    may_switch: bool = True
    """Whether the change may move data to another place; writing routes alone is a lesser right."""
    may_override: bool = False
    """Whether the actor may pass a strategy lock and asks to. Nobody passes one by accident: it also takes a rationale."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a change is about. The routing key's parts are empty where they do not apply."""

    name: str
    tenant_id: str = ""
    env: str = ""
    project_id: str | None = None
    resource_kind: str = ""
    route_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """Whether the chain holds. `first_broken` is the id of the first row that does not fit; None when all do."""

    ok: bool
    rows: int
    first_broken: int | None
    reason: str


def lock() -> SnapshotRevision:
    """Order this transaction after every other change, and return the revision row. Call it before reading what you change."""
    state, _ = SnapshotRevision.objects.select_for_update().get_or_create(pk=SnapshotRevision.ROW)
    return state


def record(
    state: SnapshotRevision,
    action: str,
    subject: Subject,
    cause: Cause,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    moves_snapshot: bool = True,
) -> RouteChange:
    """Append one row and move the snapshot revision on, in the caller's transaction. `before` and `after` hold no secret.

    `state` is what `lock` returned. Rows are hashed in the order of their ids. A row that changes nothing that a snapshot
    holds leaves the revision where it is, and wakes nobody.
    """
    change = RouteChange(
        at=datetime.now(UTC),
        actor=cause.actor,
        action=action,
        subject=subject.name,
        route_id=subject.route_id,
        resource_kind=subject.resource_kind,
        tenant_id=subject.tenant_id,
        env=subject.env,
        project_id=subject.project_id,
        before=before,
        after=after,
        rationale=cause.rationale,
        request_id=cause.request_id,
        previous_hash=state.audit_head,
    )
    change.hash = row_hash(change)
    change.save(force_insert=True)
    state.revision += 1 if moves_snapshot else 0
    state.audit_rows += 1
    state.audit_head = change.hash
    state.save()
    if moves_snapshot:
        transaction.on_commit(partial(_announce, change))
    return change


def _announce(change: RouteChange) -> None:
    cache.invalidate()
    route_changed.send(sender=RouteChange, change=change)


def row_hash(change: RouteChange) -> str:
    """SHA-256 (hex) over the previous row's hash and every field of this row but its id, as canonical JSON."""
    content = {
        "change_id": str(change.change_id),
        "at": change.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": change.actor,
        "action": change.action,
        "subject": change.subject,
        "route_id": change.route_id,
        "resource_kind": change.resource_kind,
        "tenant_id": change.tenant_id,
        "env": change.env,
        "project_id": change.project_id,
        "before": _canonical(change.before),
        "after": _canonical(change.after),
        "rationale": change.rationale,
        "request_id": change.request_id,
        "previous_hash": change.previous_hash,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


def verify_chain() -> ChainStatus:
    """Read the whole trail and say whether any row was edited, removed, added or moved, or cut off its end.

    Changes may go on meanwhile: rows that they append are checked too.
    """
    expected = _state()
    head, rows = "", 0
    for change in RouteChange.objects.order_by("id").iterator(chunk_size=2000):
        rows += 1
        if change.previous_hash != head:
            return ChainStatus(
                False, rows, change.pk, "It does not follow the row before: a row was removed, added or moved."
            )
        if row_hash(change) != change.hash:
            return ChainStatus(False, rows, change.pk, "Its content does not fit its hash: it was edited.")
        head = change.hash
        if rows == expected.audit_rows and head != expected.audit_head:
            return ChainStatus(False, rows, change.pk, "It is not the row recorded as the last one.")
    if rows < expected.audit_rows:
        return ChainStatus(False, rows, None, f"Rows are missing at the end: {expected.audit_rows} were recorded.")
    if rows > _state().audit_rows:
        return ChainStatus(False, rows, None, f"Rows were added at the end: {expected.audit_rows} were recorded.")
    return ChainStatus(True, rows, None, "Every row follows the one before.")


def _state() -> SnapshotRevision:
    return SnapshotRevision.objects.filter(pk=SnapshotRevision.ROW).first() or SnapshotRevision()


def route_subject(route: Route) -> Subject:
    """Return a route as the subject of a change."""
    return Subject(
        name=f"route:{route.pk}",
        tenant_id=route.tenant_id,
        env=route.env,
        project_id=route.project_id,
        resource_kind=route.resource_kind,
        route_id=route.pk,
    )


def route_summary(route: Route) -> dict[str, Any]:
    """Return what a route says, secrets as `****`, for `before`, `after`, events and answers."""
    return {
        "id": route.pk,
        "resource_kind": route.resource_kind,
        "tenant_id": route.tenant_id,
        "env": route.env,
        "project_id": route.project_id,
        "backend_type": route.backend_type,
        "config": route.config,
        "tier": route.tier,
        "cost_notes": route.cost_notes,
        "previous_backend_type": route.previous_backend_type or None,
        "switch_rationale": route.switch_rationale,
        "last_switch_time": timestamp(route.last_switch_time),
        "revision": route.revision,
        "enabled": route.enabled,
        "created_at": timestamp(route.created_at),
        "created_by": route.created_by,
        "updated_at": timestamp(route.updated_at),
        "updated_by": route.updated_by,
    }


def timestamp(value: datetime | None) -> str | None:
    """Return a time as UTC ISO 8601 with microseconds and Z."""
    return None if value is None else instant_text(value)


def _canonical(value: Any) -> Any:
    """JSON columns may give back 1 for 1.0: numbers of one value must hash alike."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value
