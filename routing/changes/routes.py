"""Routes: create, replace, update, delete. A change of where the data lies is a switch, and says why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from northstar.errors import AlreadyExists, FieldError, InvalidRequest, NotFound, VersionConflict
from routing import audit
from routing.admission import Admitted, RouteDraft, admit
from routing.audit import Cause, route_subject, route_summary
from routing.changes.effects import Effect, check_right, check_switch, fill
from routing.changes.locks import Place, pass_locks
from routing.changes.outbox import announce
from routing.models import Route, SnapshotRevision, Tenant
from routing.sealing import is_current, reseal, route_scope

ROUTE_CREATED: Final = "ROUTE_CREATED"
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

    Raises AlreadyExists when its four-part key is taken, InvalidRequest for an unknown tenant, Forbidden (it takes a project
    from the tenant's route, without the right to switch), StrategyLocked, and as `routing.admission.admit`.
    """
    with transaction.atomic():
        state = audit.lock()
        tenant = get_tenant(draft.tenant_id)
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
        tenant = get_tenant(draft.tenant_id)
        stored = _find(draft)
        check_revision(stored, expected_revision)
        admitted = admit(draft, tenant, stored)
        if stored is None:
            return _insert(state, draft, admitted, tenant, cause), True
        return replace_route(state, Effect.of(stored, draft, admitted), cause), False


def update_route(route_id: int, update: RouteUpdate, cause: Cause, *, expected_revision: int | None = None) -> Route:
    """Change some fields of a route; nothing to change is no change.

    Raises NotFound, VersionConflict (another revision than expected), Forbidden (a switch, or enabling or disabling, without
    the right to switch), InvalidRequest (a switch without a rationale outside lab), StrategyLocked, and as
    `routing.admission.admit`.
    """
    with transaction.atomic():
        state = audit.lock()
        stored = get_route(route_id)
        check_revision(stored, expected_revision)
        draft = merged(stored, update)
        return replace_route(state, Effect.of(stored, draft, admit(draft, stored.tenant, stored)), cause)


def delete_route(route_id: int, cause: Cause, *, expected_revision: int | None = None) -> None:
    """Remove a route; the data behind it stays where it is.

    Raises NotFound, VersionConflict, Forbidden (no right to switch) or StrategyLocked.
    """
    with transaction.atomic():
        state = audit.lock()
        route = get_route(route_id)
        check_revision(route, expected_revision)
        # To delete and create again is to switch.
        check_right(cause, f"Deleting the route of resource_kind={route.resource_kind} takes its data out of reach.")
        pass_locks(state, Place.of(route), cause, reroutes=True)
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
    place = Place(tenant.pk, draft.env, draft.resource_kind, draft.project_id)
    if draft.enabled and _has_fallback(place):
        told = f"Project {place.project_id} is served by its tenant's route of resource_kind={place.resource_kind}"
        check_right(cause, f"{told}: a route of its own takes its data out of reach.")
    pass_locks(state, place, cause, reroutes=True)
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
    fill(route, draft, admitted, cause, now)
    route.save()
    announce(audit.record(state, ROUTE_CREATED, route_subject(route), cause, after=route_summary(route)))
    return route


def replace_route(state: SnapshotRevision, effect: Effect, cause: Cause) -> Route:
    """Carry out the effect in the caller's transaction; none is no change. Raises StrategyLocked and as `check_switch`."""
    route, action = effect.route, effect.action
    if action is None:
        return route
    if effect.may_move:
        pass_locks(state, Place.of(route), cause, reroutes=effect.reroutes)
    if effect.reroutes:
        check_right(
            cause, f"Enabling or disabling the route of resource_kind={route.resource_kind} moves its requests."
        )
    if effect.switches:
        check_switch(route, cause)
    before = route_summary(route)
    effect.apply(cause, datetime.now(UTC))
    route.save()
    announce(audit.record(state, action, route_subject(route), cause, before=before, after=route_summary(route)))
    return route


def merged(route: Route, update: RouteUpdate) -> RouteDraft:
    """Return the whole route as the update would leave it."""
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


def check_revision(route: Route | None, expected: int | None) -> None:
    """Refuse another revision than expected. Raises VersionConflict."""
    if expected is None:
        return
    if route is None:
        raise VersionConflict(f"There is no such route; revision {expected} was expected.")
    if route.revision != expected:
        raise VersionConflict(
            f"Route {route.pk} is at revision {route.revision}, not {expected}.",
            fix="Read it again, then repeat the change.",
        )


def get_tenant(tenant_id: str) -> Tenant:
    """Return a tenant. Raises InvalidRequest when there is none."""
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


def _has_fallback(place: Place) -> bool:
    """Whether requests of a place's project are served by the tenant's route while the project has none."""
    rows = Route.objects.filter(tenant=place.tenant_id, env=place.env, resource_kind=place.resource_kind)
    return place.project_id is not None and rows.filter(project_id=None, enabled=True).exists()


def get_route(route_id: int) -> Route:
    """Return a route with its tenant. Raises NotFound."""
    route = Route.objects.select_related("tenant").filter(pk=route_id).first()
    if route is None:
        raise NotFound(f"There is no route {route_id}.")
    return route


def _scope(route: Route) -> bytes:
    return route_scope(route.resource_kind, route.tenant_id, route.env, route.project_id)
