"""What the control plane's rows say in the routing registry: everything needed to make them again, but for local ids.

Secrets stay what they are in the database: references, or texts sealed under the key ring, never clear.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from northstar.inputs import checked
from routing.audit import timestamp
from routing.changes.lock_reach import is_active
from routing.changes.routes import SECRETS_RESEALED
from routing.models import Route, RouteChange, StrategyLock, SurfaceAlias, Tenant
from storage.kinds.routing_registry_store import ALIASES, KEY_MARK, LOCKS, ROUTES, TENANTS, Entry, route_name

ALIAS_MARK: Final = "alias:"
LOCK_MARK: Final = "lock:"
"""Begin the subjects of changes of surface aliases and locks."""

Subject = tuple[str, Any]
"""A section and what tells its rows apart: a tenant's id, an alias, a route's four-part key, a lock's local id."""


class _Data(BaseModel):
    """Nothing is left out and nothing unknown: what an entry says is either understood as a whole or refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TenantData(_Data):
    """What a tenant says."""

    tenant_id: str
    name: str
    mode: str


class AliasData(_Data):
    """What a surface alias says."""

    alias: str
    canonical: str


class RouteData(_Data):
    """What a route says: every field but its local id."""

    resource_kind: str
    tenant_id: str
    env: str
    project_id: str | None
    backend_type: str
    config: dict[str, Any]
    sealed_secrets: str = Field(repr=False)
    tier: str
    cost_notes: str
    previous_backend_type: str
    switch_rationale: str
    last_switch_time: datetime | None
    revision: int = Field(ge=1)
    enabled: bool
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """The four-part key."""
        return (self.resource_kind, self.tenant_id, self.env, self.project_id)


class LockData(_Data):
    """What an active lock says. Its place and `created_at` are its name."""

    tenant_id: str
    env: str
    resource_kind: str
    project_id: str | None
    owner: str
    reason: str
    until: datetime | None
    created_at: datetime
    holds_ingest: bool = False


def data_of(model: type["Data"], row: Any) -> dict[str, Any]:
    """Return what a row says, as it is mirrored."""
    return {name: getattr(row, name) for name in model.model_fields}


def read_entry(entry: Entry) -> "Data":
    """Return what an entry says. Raises InvalidRequest for one that was damaged, or written by another version."""
    return checked(_MODELS[entry.section], dict(entry.data or {}), f"registry entry {entry.name}")


def subjects_of(change: RouteChange) -> Iterator[Subject]:
    """Yield which rows a change may have touched."""
    if change.tenant_id:
        yield TENANTS, change.tenant_id
    if change.resource_kind:
        yield ROUTES, (change.resource_kind, change.tenant_id, change.env, change.project_id)
    if change.subject.startswith(ALIAS_MARK):
        yield ALIASES, change.subject.removeprefix(ALIAS_MARK)
    if change.subject.startswith(LOCK_MARK):
        yield LOCKS, int(change.subject.removeprefix(LOCK_MARK))
    if change.action == SECRETS_RESEALED and change.after:
        yield from _route_keys(Route.objects.filter(pk__in=change.after["routes"]))


def all_subjects() -> Iterator[Subject]:
    """Yield every row there is, in the order in which they can be restored."""
    yield from ((TENANTS, key) for key in Tenant.objects.order_by("pk").values_list("pk", flat=True))
    yield from ((ALIASES, key) for key in SurfaceAlias.objects.values_list("alias", flat=True))
    yield from _route_keys(Route.objects.order_by("pk"))
    yield from ((LOCKS, key) for key in StrategyLock.objects.order_by("pk").values_list("pk", flat=True))


def count_subjects() -> int:
    """How many `all_subjects` yields."""
    return sum(model.objects.count() for model in (Tenant, SurfaceAlias, Route, StrategyLock))


def entry_of(subject: Subject, number: int) -> Entry | None:
    """Return what a row says now, or that it is gone; None for a lock that nobody knows any more.

    Call it where nothing can change, with the newest audit row's number.
    """
    section, key = subject
    return _READERS[section](key, number)


def _route_keys(routes: Any) -> Iterator[Subject]:
    keys = routes.values_list("resource_kind", "tenant_id", "env", "project_id")
    yield from ((ROUTES, key) for key in keys)


def _tenant(tenant_id: str, number: int) -> Entry:
    row = Tenant.objects.filter(pk=tenant_id).first()
    return Entry(TENANTS, tenant_id, number, None if row is None else data_of(TenantData, row))


def _alias(alias: str, number: int) -> Entry:
    row = SurfaceAlias.objects.filter(alias=alias).first()
    return Entry(ALIASES, alias, number, None if row is None else data_of(AliasData, row))


def _route(key: tuple[str, str, str, str | None], number: int) -> Entry:
    kind, tenant, env, project = key
    row = Route.objects.filter(resource_kind=kind, tenant=tenant, env=env, project_id=project).first()
    return Entry(ROUTES, route_name(*key), number, None if row is None else data_of(RouteData, row))


def _lock(lock_id: int, number: int) -> Entry | None:
    row = StrategyLock.objects.filter(pk=lock_id).first()
    if row is None:
        return None
    place = (row.tenant_id, row.env, row.resource_kind, row.project_id or "")
    name = KEY_MARK.join([*place, str(timestamp(row.created_at))])
    return Entry(LOCKS, name, number, data_of(LockData, row) if is_active(row) else None)


Data = TenantData | AliasData | RouteData | LockData
_MODELS: Final[Mapping[str, type[Data]]] = {
    ALIASES: AliasData,
    LOCKS: LockData,
    ROUTES: RouteData,
    TENANTS: TenantData,
}
_READERS: Final[Mapping[str, Callable[[Any, int], Entry | None]]] = {
    ALIASES: _alias,
    LOCKS: _lock,
    ROUTES: _route,
    TENANTS: _tenant,
}
