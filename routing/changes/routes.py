"""Routes: create, replace, update, delete. A change of where the data lies is a switch, and says why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from northstar.errors import (
    AlreadyExists,
    BackendNotImplemented,
    FieldError,
    Forbidden,
    InvalidRequest,
    NotFound,
    VersionConflict,
)
from northstar.modes import LAB
from routing import audit
from routing.admission import Admitted, RouteDraft, admit, stored_secrets
from routing.audit import Cause, route_subject, route_summary
from routing.changes.outbox import announce
from routing.configs import parse_config, split_config
from routing.models import Route, SnapshotRevision, Tenant
from routing.sealing import is_current, reseal, route_scope, seal
from storage.config import BackendConfig

ROUTE_CREATED: Final = "ROUTE_CREATED"
ROUTE_UPDATED: Final = "ROUTE_UPDATED"
ROUTE_BACKEND_SWITCHED: Final = "ROUTE_BACKEND_SWITCHED"
ROUTE_DELETED: Final = "ROUTE_DELETED"
SECRETS_RESEALED: Final = "SECRETS_RESEALED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteUpdate:
    """What to change of a route; None leaves a field as it is. A config, when given, replaces the whole config."""

    backend_type: str | None = None
    config: Mapping[str, Any] | None = None
    tier: str | None = None
    cost_notes: str | None = None
    enabled: bool | None = None


def create_route(draft: RouteDraft, cause: Cause) -> Route:
    """Create a route.

    Raises AlreadyExists when its four-part key is taken, InvalidRequest for an unknown tenant, and as `routing.admission.admit`.
    """
    with transaction.atomic():
        state = audit.lock()
        tenant = _tenant(draft.tenant_id)
        admitted = admit(draft, tenant, None)
        if taken := _find(draft):
            raise AlreadyExists(
                f"Route {taken.pk} serves resource_kind={draft.resource_kind} there already, on "
                f"backend_type={taken.backend_type}.",
                fix="Change that route instead.",
            )
        return _insert(state, draft, admitted, tenant, cause)


def put_route(draft: RouteDraft, cause: Cause, *, expected_revision: int | None = None) -> tuple[Route, bool]:
    """Create the route, or replace the one with the same four-part key (a flip); say whether it was created.

    The same route again changes nothing. Raises as `create_route` and `update_route`.
    """
    with transaction.atomic():
        state = audit.lock()
        tenant = _tenant(draft.tenant_id)
        stored = _find(draft)
        _check_revision(stored, expected_revision)
        admitted = admit(draft, tenant, stored)
        if stored is None:
            return _insert(state, draft, admitted, tenant, cause), True
        return _replace(state, stored, draft, admitted, cause), False


def update_route(route_id: int, update: RouteUpdate, cause: Cause, *, expected_revision: int | None = None) -> Route:
    """Change some fields of a route; nothing to change is no change.

    Raises NotFound, VersionConflict (another revision than expected), InvalidRequest (a switch without a rationale outside
    lab), and as `routing.admission.admit`.
    """
    with transaction.atomic():
        state = audit.lock()
        stored = _get(route_id)
        _check_revision(stored, expected_revision)
        draft = _merged(stored, update)
        return _replace(state, stored, draft, admit(draft, stored.tenant, stored), cause)


def delete_route(route_id: int, cause: Cause, *, expected_revision: int | None = None) -> None:
    """Remove a route; the data behind it stays where it is. Raises NotFound or VersionConflict."""
    with transaction.atomic():
        state = audit.lock()
        route = _get(route_id)
        _check_revision(route, expected_revision)
        subject, before = route_subject(route), route_summary(route)
        route.delete()
        announce(audit.record(state, ROUTE_DELETED, subject, cause, before=before))


def reseal_routes(cause: Cause) -> int:
    """Seal all secrets with the current key of the ring, and return how many routes had another. Their revisions stay."""
    with transaction.atomic():
        state = audit.lock()
        outdated = [route for route in Route.objects.exclude(sealed_secrets="") if not is_current(route.sealed_secrets)]
        for route in outdated:
            route.sealed_secrets = reseal(route.sealed_secrets, _scope(route))
            route.save(update_fields=["sealed_secrets"])
        if outdated:
            after = {"routes": [route.pk for route in outdated]}
            audit.record(state, SECRETS_RESEALED, audit.Subject("routes"), cause, after=after)
    return len(outdated)


def _insert(state: SnapshotRevision, draft: RouteDraft, admitted: Admitted, tenant: Tenant, cause: Cause) -> Route:
    now = datetime.now(UTC)
    route = Route(
        resource_kind=draft.resource_kind,
        tenant=tenant,
        env=draft.env,
        project_id=draft.project_id,
        switch_rationale=cause.rationale,
        created_at=now,
        created_by=cause.actor,
    )
    _write(route, draft, admitted, cause, now)
    announce(audit.record(state, ROUTE_CREATED, route_subject(route), cause, after=route_summary(route)))
    return route


def _replace(state: SnapshotRevision, route: Route, draft: RouteDraft, admitted: Admitted, cause: Cause) -> Route:
    old = _stored_config(route)
    if _is_same(route, draft, admitted, old):
        return route
    now = datetime.now(UTC)
    before = route_summary(route)
    switched = _is_switch(route, admitted, old)
    if switched:
        _check_switch(route, cause)
        route.previous_backend_type = route.backend_type
        route.switch_rationale = cause.rationale
        route.last_switch_time = now
    route.revision += 1
    _write(route, draft, admitted, cause, now)
    action = ROUTE_BACKEND_SWITCHED if switched else ROUTE_UPDATED
    announce(audit.record(state, action, route_subject(route), cause, before=before, after=route_summary(route)))
    return route


def _write(route: Route, draft: RouteDraft, admitted: Admitted, cause: Cause, now: datetime) -> None:
    split = split_config(admitted.config)
    route.backend_type = admitted.backend_type
    route.config = split.public
    route.sealed_secrets = seal(split.secrets, _scope(route))
    route.tier, route.cost_notes, route.enabled = draft.tier, draft.cost_notes, draft.enabled
    route.updated_at, route.updated_by = now, cause.actor
    route.save()


def _is_same(route: Route, draft: RouteDraft, admitted: Admitted, old: BackendConfig | None) -> bool:
    kept = (route.backend_type, route.tier, route.cost_notes, route.enabled)
    asked = (admitted.backend_type, draft.tier, draft.cost_notes, draft.enabled)
    return kept == asked and admitted.config == old


def _is_switch(route: Route, admitted: Admitted, old: BackendConfig | None) -> bool:
    if admitted.backend_type != route.backend_type or old is None:
        return True
    return admitted.config.location() != old.location()


def _stored_config(route: Route) -> BackendConfig | None:
    """The config as stored, or None when it is not valid any more: then nobody can say that the data stays where it is."""
    try:
        return parse_config(route.resource_kind, route.backend_type, {**route.config, **stored_secrets(route)})
    except (InvalidRequest, BackendNotImplemented):
        return None


def _merged(route: Route, update: RouteUpdate) -> RouteDraft:
    draft = RouteDraft(
        resource_kind=route.resource_kind,
        tenant_id=route.tenant_id,
        env=route.env,
        project_id=route.project_id,
        backend_type=route.backend_type,
        config=route.config,
        tier=route.tier,
        cost_notes=route.cost_notes,
        enabled=route.enabled,
    )
    given = {name: getattr(update, name) for name in RouteUpdate.__slots__}
    return replace(draft, **{name: value for name, value in given.items() if value is not None})


def _check_revision(route: Route | None, expected: int | None) -> None:
    if expected is None:
        return
    if route is None:
        raise VersionConflict(f"There is no such route; revision {expected} was expected.")
    if route.revision != expected:
        raise VersionConflict(
            f"Route {route.pk} is at revision {route.revision}, not {expected}.",
            fix="Read it again, then repeat the change.",
        )


def _check_switch(route: Route, cause: Cause) -> None:
    if not cause.may_switch:
        raise Forbidden(
            f"This would switch resource_kind={route.resource_kind} away from backend_type={route.backend_type}.",
            fix="Use an API key with the scope routes:switch.",
        )
    if cause.rationale or route.tenant.effective_mode == LAB:
        return
    detail = "A switch needs a rationale outside of mode lab."
    raise InvalidRequest(
        f"{detail} (resource_kind={route.resource_kind}, backend_type={route.backend_type})",
        fix="Say in switch_rationale why the data moves.",
        errors=[FieldError("switch_rationale", "required", detail)],
    )


def _tenant(tenant_id: str) -> Tenant:
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        detail = f"There is no tenant {tenant_id!a}."
        raise InvalidRequest(detail, fix="Create it first.", errors=[FieldError("tenant_id", "unknown", detail)])
    return tenant


def _find(draft: RouteDraft) -> Route | None:
    return (
        Route.objects.select_related("tenant")
        .filter(resource_kind=draft.resource_kind, tenant=draft.tenant_id, env=draft.env, project_id=draft.project_id)
        .first()
    )


def _get(route_id: int) -> Route:
    route = Route.objects.select_related("tenant").filter(pk=route_id).first()
    if route is None:
        raise NotFound(f"There is no route {route_id}.")
    return route


def _scope(route: Route) -> bytes:
    return route_scope(route.resource_kind, route.tenant_id, route.env, route.project_id)
