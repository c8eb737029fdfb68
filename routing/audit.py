"""The audit trail: every change is one row, tied by its hash to the row before, in the transaction of the change."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from northstar.errors import FieldError, InvalidRequest
from northstar.instants import instant_text
from routing.models import Route, RouteChange, SnapshotRevision
from routing.signals import route_changed
from routing.snapshot import cache

HASHED: Final = (
    "change_id",
    "at",
    "actor",
    "action",
    "subject",
    "route_id",
    "resource_kind",
    "tenant_id",
    "env",
    "project_id",
    "before",
    "after",
    "rationale",
    "request_id",
    "previous_hash",
)
"""The fields that a row's hash covers."""
RATIONALE_CHARACTERS: Final = 10_100
"""What the API takes, and the words that a rollback adds."""
_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types that are canonical as they are; a look at them spares most values a call."""
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


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


def lock() -> SnapshotRevision:
    """Order this transaction after every other change, and return the revision row. Call it before reading what you change."""
    state, _ = SnapshotRevision.objects.select_for_update().get_or_create(pk=SnapshotRevision.ROW)
    return state


def current() -> SnapshotRevision:
    """Return the revision row as it is now, without ordering anything after it."""
    return SnapshotRevision.objects.filter(pk=SnapshotRevision.ROW).first() or SnapshotRevision()


def record(
    state: SnapshotRevision,
    action: str,
    subject: Subject,
    cause: Cause,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    moves_snapshot: bool = True,
    change_id: UUID | None = None,
) -> RouteChange:
    """Append one row and move the snapshot revision on, in the caller's transaction. `before` and `after` hold no secret.

    `state` is what `lock` returned. Ids count the rows of the trail: they are hashed in that order, and no id is left out. A row
    that changes nothing that a snapshot holds leaves the revision where it is, and wakes nobody. `change_id` is for a change that
    was made elsewhere and is told here, so that it can be told twice. Raises InvalidRequest for a rationale that is too long for
    the change's event.
    """
    _check_rationale(cause.rationale)
    change = RouteChange(
        pk=state.audit_rows + 1,
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
    if change_id is not None:
        change.change_id = change_id
    change.hash = row_hash(change)
    change.save(force_insert=True)
    state.revision += 1 if moves_snapshot else 0
    state.audit_rows = change.pk
    state.audit_head = change.hash
    state.save()
    if moves_snapshot:
        transaction.on_commit(partial(_announce, change))
    return change


def _check_rationale(rationale: str) -> None:
    if len(rationale) > RATIONALE_CHARACTERS:
        detail = f"The rationale has {len(rationale)} characters; 10000 are allowed."
        raise InvalidRequest(detail, fix="Shorten it.", errors=[FieldError("switch_rationale", "too_long", detail)])


def _announce(change: RouteChange) -> None:
    cache.invalidate()
    route_changed.send(sender=RouteChange, change=change)


def row_hash(change: RouteChange) -> str:
    """SHA-256 (hex) over the previous row's hash and every field of this row but its id, as canonical JSON."""
    return hash_of(tuple(getattr(change, name) for name in HASHED))


def hash_of(values: tuple[Any, ...]) -> str:
    """Return a row's hash from its values of the fields `HASHED`."""
    content = dict(zip(HASHED, values, strict=True))
    content["change_id"] = str(content["change_id"])
    content["at"] = content["at"].astimezone(UTC).isoformat(timespec="microseconds")
    for name in ("before", "after"):
        content[name] = _canonical(content[name])
    return sha256(_CANONICAL.encode(content).encode()).hexdigest()


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
    kind = type(value)
    if kind is dict:
        return {key: item if type(item) in _PLAIN else _canonical(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in _PLAIN else _canonical(item) for item in value]
    return int(value) if kind is float and value.is_integer() else value
