"""What the control plane's rows say in the routing registry: everything needed to make them again, but for local ids.

Secrets stay what they are in the database: references, or texts sealed under the key ring, never clear.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from routing.models import Route, RouteChange, SurfaceAlias, Tenant
from storage.kinds.routing_registry_store import ALIASES, ROUTES, TENANTS, Entry, route_name

ROUTE_FIELDS: Final = (
    "resource_kind",
    "tenant_id",
    "env",
    "project_id",
    "backend_type",
    "config",
    "sealed_secrets",
    "tier",
    "cost_notes",
    "previous_backend_type",
    "switch_rationale",
    "last_switch_time",
    "revision",
    "enabled",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
)
ALIAS_MARK: Final = "alias:"
"""Begins the subject of a change of a surface alias."""

Subject = tuple[str, Any]
"""A section and what tells its rows apart: a four-part key, a tenant's id, an alias."""


def route_data(route: Route) -> dict[str, Any]:
    """Return what a route says."""
    return {name: getattr(route, name) for name in ROUTE_FIELDS}


def subjects_of(change: RouteChange) -> Iterator[Subject]:
    """Yield which rows a change may have touched."""
    if change.tenant_id:
        yield TENANTS, change.tenant_id
    if change.resource_kind:
        yield ROUTES, (change.resource_kind, change.tenant_id, change.env, change.project_id)
    if change.subject.startswith(ALIAS_MARK):
        yield ALIASES, change.subject.removeprefix(ALIAS_MARK)
    resealed = (change.after or {}).get("routes", [])
    for route in Route.objects.filter(pk__in=resealed):
        yield ROUTES, (route.resource_kind, route.tenant_id, route.env, route.project_id)


def entry_of(subject: Subject, number: int) -> Entry:
    """Return what a row says now; that it is gone, if it is. Call it where nothing can change, with the newest row's number."""
    section, key = subject
    return _READERS[section](key, number)


def all_subjects() -> Iterator[Subject]:
    """Yield every row there is, tenants first."""
    yield from ((TENANTS, key) for key in Tenant.objects.order_by("pk").values_list("pk", flat=True).iterator())
    yield from ((ALIASES, key) for key in SurfaceAlias.objects.values_list("alias", flat=True).iterator())
    keys = Route.objects.order_by("pk").values_list("resource_kind", "tenant_id", "env", "project_id")
    yield from ((ROUTES, key) for key in keys.iterator())


def _route(key: tuple[str, str, str, str | None], number: int) -> Entry:
    kind, tenant, env, project = key
    row = Route.objects.filter(resource_kind=kind, tenant=tenant, env=env, project_id=project).first()
    return Entry(ROUTES, route_name(*key), number, None if row is None else route_data(row))


def _tenant(tenant_id: str, number: int) -> Entry:
    row = Tenant.objects.filter(pk=tenant_id).first()
    data = None if row is None else {"tenant_id": row.pk, "name": row.name, "mode": row.mode}
    return Entry(TENANTS, tenant_id, number, data)


def _alias(alias: str, number: int) -> Entry:
    row = SurfaceAlias.objects.filter(alias=alias).first()
    return Entry(ALIASES, alias, number, None if row is None else {"canonical": row.canonical})


_READERS: Final[Mapping[str, Callable[[Any, int], Entry]]] = {ALIASES: _alias, ROUTES: _route, TENANTS: _tenant}
