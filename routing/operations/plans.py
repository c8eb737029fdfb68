"""What each step of an import or a pull does, or would do: known for certain, because a dry run is the real thing taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from northstar.errors import NorthstarError
from routing import audit
from routing.changes.effects import ROUTE_BACKEND_SWITCHED
from routing.differences import differences
from routing.models import RouteChange
from routing.operations.switching import NOT_TOLD, Difference
from storage.config import MASK

CREATE: Final = "create"
UPDATE: Final = "update"
SWITCH: Final = "switch"
UNCHANGED: Final = "unchanged"
REFUSED: Final = "refused"
ACTIONS: Final = (CREATE, UPDATE, SWITCH, UNCHANGED, REFUSED)


@dataclass(frozen=True, slots=True)
class Step:
    """One row: what becomes of it. Refused: `error_code`, `detail` and `fix` say why, and nothing of it is written.

    `notes` say what has to be done besides. No field holds a secret.
    """

    action: str
    what: str
    name: str
    backend_type: str = ""
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    error_code: str = ""
    detail: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What a step is about: its sort, its name for people, and for a route its backend."""

    what: str
    name: str
    backend_type: str = ""


def take_step(thing: Thing, work: Callable[[], Any], *, dry_run: bool, notes: tuple[str, ...] = ()) -> Step:
    """Do the work in one transaction and say what it did; a dry run takes it back. What it refuses is a refused step."""
    try:
        with transaction.atomic():
            before = audit.lock().audit_rows
            work()
            change = RouteChange.objects.filter(id__gt=before).order_by("id").last()
            transaction.set_rollback(dry_run)
    except NorthstarError as error:
        return refused(thing, error)
    if change is None:
        return Step(UNCHANGED, thing.what, thing.name, thing.backend_type, notes=notes)
    return Step(_action(change), thing.what, thing.name, thing.backend_type, _told(change), notes)


def refused(thing: Thing, error: NorthstarError) -> Step:
    """Return the step of something that cannot be done."""
    return Step(
        REFUSED,
        thing.what,
        thing.name,
        thing.backend_type,
        error_code=error.code,
        detail=error.told(),
        fix=error.fix,
    )


def route_name(resource_kind: str, tenant_id: str, env: str, project_id: str | None) -> str:
    """Return a route's name for people."""
    return f"{resource_kind} in {tenant_id}/{env}" + (f"/{project_id}" if project_id else "")


def _action(change: RouteChange) -> str:
    if change.action == ROUTE_BACKEND_SWITCHED:
        return SWITCH
    return CREATE if change.before is None else UPDATE


def _told(change: RouteChange) -> tuple[Difference, ...]:
    if change.before is None:
        return ()
    found = [one for one in differences(change.before, change.after) if one[0] not in NOT_TOLD]
    return tuple(Difference(*one) for one in found or [("secrets", MASK, "other values")])
