"""Which route? One immutable snapshot of all routes per process answers with a dict read: no query, no lock.

Freshness is checked on the way: at most every NORTHSTAR_SNAPSHOT_POLL_SECONDS one thread reads one integer, and loads the
routes again when it moved; the others go on with the snapshot they have.
"""

from dataclasses import dataclass
from time import monotonic

from northstar.context import RequestContext
from northstar.errors import ForbiddenBackendClass, NoRouteConfigured, NorthstarError
from routing.configs import known_backend, parse_config
from routing.policy import refuse_embedded
from routing.sealing import route_scope, unseal
from routing.snapshot import ResolvedRoute, RouteKey, Snapshot, cache, key_of
from storage.config import BackendConfig
from storage.registry import backends_for, kind_named

__all__ = ["Candidate", "Explanation", "ResolvedRoute", "driver_config", "explain", "invalidate", "resolve", "snapshot"]


def resolve(kind: str, context: RequestContext) -> ResolvedRoute:
    """Return the route of the context's project, else of its tenant, in exactly its environment. There is no other fallback.

    Raises InvalidRequest (unknown kind), NoRouteConfigured, UnsupportedBackend, ForbiddenBackendClass, or BackendUnavailable
    when the routes could never be loaded.
    """
    if monotonic() >= cache.next_check:
        cache.refresh()
    now = cache.snapshot
    routes = now.routes
    project = context.project_id
    route = routes.get((kind, context.tenant_id, context.env, project))
    if route is None and project is not None:
        route = routes.get((kind, context.tenant_id, context.env, None))
    if route is None or context.mode not in route.modes:
        raise _refusal(kind, context, route, now)
    return route


def snapshot() -> Snapshot:
    """Return the current snapshot, fresh within the poll interval: routes, modes of tenants, surface aliases."""
    if monotonic() >= cache.next_check:
        cache.refresh()
    return cache.snapshot


def invalidate() -> None:
    """Make the next look-up of this process load everything again: its own changes are visible to it at once."""
    cache.invalidate()


def driver_config(route: ResolvedRoute) -> BackendConfig:
    """Return the route's typed config with its secrets in clear, for the driver only.

    Raises InvalidConfig or ForbiddenEndpoint when the stored config does not fit (any more), UnsupportedBackend,
    BackendNotImplemented.
    """
    scope = route_scope(route.resource_kind, route.tenant_id, route.env, route.project_id)
    return parse_config(
        route.resource_kind, route.backend_type, {**route.config, **unseal(route.sealed_secrets, scope)}
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route that a look-up considered. `verdict` is chosen, missing, disabled, shadowed, refused or elsewhere."""

    project_id: str | None
    env: str
    verdict: str
    reason: str
    route: ResolvedRoute | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a look-up gives what it gives; `error` is what `resolve` raises instead, if it does."""

    resource_kind: str
    context: RequestContext
    snapshot_revision: int
    chosen: ResolvedRoute | None
    candidates: tuple[Candidate, ...]
    error: NorthstarError | None


def explain(kind: str, context: RequestContext) -> Explanation:
    """Say which route `resolve` chooses, and of every other route of the tenant for this kind why it is not that one.

    Raises InvalidRequest for an unknown kind.
    """
    now = snapshot()
    keys = [key_of(kind, context, project) for project in dict.fromkeys((context.project_id, None))]
    first = next((now.routes[key] for key in keys if key in now.routes), None)
    error = None
    if first is None or context.mode not in first.modes:
        error = _refusal(kind, context, first, now)
    candidates = [_candidate(key, now, first, error) for key in keys]
    candidates += [
        Candidate(route.project_id, route.env, "elsewhere", "It serves another environment or project.", route)
        for key, route in sorted(now.all_routes().items(), key=lambda item: item[1].id)
        if key not in keys and route.resource_kind == kind and route.tenant_id == context.tenant_id
    ]
    return Explanation(kind, context, now.revision, None if error else first, tuple(candidates), error)


def _candidate(key: RouteKey, now: Snapshot, first: ResolvedRoute | None, error: NorthstarError | None) -> Candidate:
    _, _, env, project = key
    route = now.routes.get(key)
    if route is None and (disabled := now.disabled.get(key)):
        return Candidate(project, env, "disabled", "It matches, but it is disabled.", disabled)
    if route is None:
        return Candidate(project, env, "missing", "There is no such route.")
    if route is not first:
        return Candidate(project, env, "shadowed", "A route of the project comes first.", route)
    if error is not None:
        return Candidate(project, env, "refused", error.detail, route)
    return Candidate(project, env, "chosen", "It is the most specific enabled route.", route)


def _refusal(kind: str, context: RequestContext, route: ResolvedRoute | None, now: Snapshot) -> NorthstarError:
    kind_named(kind)
    if route is None:
        return _no_route(kind, context, now)
    try:
        known_backend(kind, route.backend_type)
        allowed = backends_for(kind, context.mode)
        refuse_embedded(route.backend_type, context.mode, allowed, resource_kind=kind)
    except NorthstarError as refusal:
        return refusal
    return ForbiddenBackendClass(
        f"backend_type={route.backend_type} for resource_kind={kind} is not allowed: tenant {route.tenant_id} "
        f"is not in mode {context.mode}.",
        fix=f"Use one of: {', '.join(allowed)}.",
    )


def _no_route(kind: str, context: RequestContext, now: Snapshot) -> NoRouteConfigured:
    detail = f"No route configured for {kind} in {context.tenant_id}/{context.env}."
    if context.project_id is not None:
        detail += f" Neither project {context.project_id} nor the tenant has one."
    for project in dict.fromkeys((context.project_id, None)):
        if disabled := now.disabled.get(key_of(kind, context, project)):
            detail += f" Route {disabled.id} (backend_type={disabled.backend_type}) matches but is disabled."
    return NoRouteConfigured(
        f"{detail} Create it with POST /api/v1/routing/routes.",
        fix="Create or enable it in the admin at /admin/routing/route/add/, or with POST /api/v1/routing/routes.",
    )
