"""Bring a route back to an earlier revision, as the audit trail remembers it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db import transaction

from northstar.errors import BackendNotImplemented, Conflict, FieldError, InvalidConfig, InvalidRequest, NotFound
from routing import audit
from routing.admission import admit, complete_config
from routing.audit import Cause, row_hash
from routing.changes.effects import Effect, check_switch, stored_config
from routing.changes.routes import RouteUpdate, check_revision, get_route, merged, replace_route
from routing.configs import config_class, parse_config
from routing.models import Route, RouteChange
from storage.config import MASK


def roll_back(
    route_id: int,
    revision: int,
    cause: Cause,
    *,
    secrets: Mapping[str, Any] | None = None,
    expected_revision: int | None = None,
) -> Route:
    """Make a route what it was at an earlier revision, under the rules of any change; the result is a new revision.

    Backend, config, tier, cost notes and whether it is enabled come back. Secrets are never in the trail: those that are
    sealed now are kept where the place is the same, all others must be given in `secrets`. Raises NotFound (route or
    revision), InvalidConfig naming each secret that is missing, Conflict (the trail's row was changed), VersionConflict,
    StrategyLocked, and as `routing.changes.switch_backend`.
    """
    with transaction.atomic():
        state = audit.lock()
        stored = get_route(route_id)
        check_revision(stored, expected_revision)
        draft = merged(stored, update_to(stored, revision, secrets or {}))
        effect = Effect.of(stored, draft, admit(draft, stored.tenant, stored))
        check_switch(stored, cause)
        return replace_route(state, effect, rollback_cause(cause, revision))


def rollback_cause(cause: Cause, revision: int) -> Cause:
    """Say in the rationale that the change is a rollback, and to what."""
    return replace(cause, rationale=f"Rollback to revision {revision}. {cause.rationale}".strip())


def update_to(route: Route, revision: int, secrets: Mapping[str, Any]) -> RouteUpdate:
    """Return the change that makes a route what it was at a revision. Raises as `roll_back`."""
    then = state_at(route, revision)
    return RouteUpdate(
        backend_type=then["backend_type"],
        config=_config(route, then, secrets),
        tier=then["tier"],
        cost_notes=then["cost_notes"],
        enabled=then["enabled"],
    )


def state_at(route: Route, revision: int) -> dict[str, Any]:
    """Return what a route said at an earlier revision, secrets as `****`. Raises NotFound, Conflict for a changed row."""
    if not 1 <= revision < route.revision:
        raise NotFound(
            f"Route {route.pk} has no earlier revision {revision}: it is at revision {route.revision}.",
            fix="Choose one from the route's history.",
        )
    rows = RouteChange.objects.filter(
        route_id=route.pk,
        resource_kind=route.resource_kind,
        tenant_id=route.tenant_id,
        env=route.env,
        project_id=route.project_id,
        after__revision=revision,
    )
    row = rows.first()
    if row is None or row.after is None:
        raise NotFound(f"The audit trail does not have revision {revision} of route {route.pk}.")
    if row_hash(row) != row.hash:
        raise Conflict(
            f"The audit row of revision {revision} of route {route.pk} was changed: nothing is restored from it.",
            fix="Run `python manage.py doctor`, then set the route by hand.",
        )
    state: dict[str, Any] = row.after
    return state


def _config(route: Route, then: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The config of then, with the secrets given; a secret of now stands in only at the same place."""
    kind, backend_type = route.resource_kind, then["backend_type"]
    names = config_class(kind, backend_type).secret_fields()
    _check_names(secrets, names, backend_type)
    added = names & route.config.keys() if route.backend_type == backend_type else frozenset()
    config = {**dict.fromkeys(added), **then["config"], **secrets}  # what is left out would be kept
    lost = sorted(name for name in names if config.get(name) == MASK)
    if not lost or _same_place(route, backend_type, config):
        return config
    errors = [
        FieldError(
            f"config.{name}", "missing", "Give it again: the trail does not keep secrets, and the place differs."
        )
        for name in lost
    ]
    raise InvalidConfig(
        f"Revision {then['revision']} of route {route.pk} needs secrets that are not stored any more: {', '.join(lost)}.",
        fix="Give them again in `secrets`.",
        errors=errors,
    )


def _check_names(secrets: Mapping[str, Any], names: frozenset[str], backend_type: str) -> None:
    unknown = [FieldError(f"secrets.{name}", "unknown", "There is no such secret.") for name in set(secrets) - names]
    if unknown:
        raise InvalidRequest(
            f"These are no secrets of backend_type={backend_type}.",
            fix=f"Its secrets are: {', '.join(sorted(names)) or 'none'}.",
            errors=unknown,
        )


def _same_place(route: Route, backend_type: str, config: Mapping[str, Any]) -> bool:
    now = stored_config(route)
    if now is None or route.backend_type != backend_type:
        return False
    try:
        complete = complete_config(route.resource_kind, backend_type, config, route)
        return parse_config(route.resource_kind, backend_type, complete).location() == now.location()
    except (InvalidRequest, BackendNotImplemented):
        return False
