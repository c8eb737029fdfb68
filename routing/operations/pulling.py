"""Rows come back from the routing registry: into an empty database all of them, into any other what it has lost."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from northstar.errors import AlreadyExists, Conflict, InvalidRequest, NorthstarError
from routing.audit import Cause
from routing.changes import create_tenant, put_route, set_alias, update_tenant
from routing.changes.effects import ROUTE_BACKEND_SWITCHED, ROUTE_UPDATED
from routing.changes.restoring import draft_of, restore_lock, restore_route
from routing.changes.routes import ROUTE_CREATED, ROUTE_DELETED
from routing.entries import AliasData, Data, LockData, RouteData, TenantData, data_of, read_entry
from routing.models import Route, RouteChange, StrategyLock, SurfaceAlias, Tenant
from routing.operations.plans import REFUSED, Step, Thing, refused, route_name, take_step
from routing.operations.pushing import push_registry
from routing.operations.registry import go_on_after, is_ours
from storage.kinds.routing_registry_store import SECTIONS, TENANTS, Entry, RoutingRegistryStore

OF_ROUTES: Final = (ROUTE_CREATED, ROUTE_UPDATED, ROUTE_BACKEND_SWITCHED, ROUTE_DELETED)
"""What the trail calls changes of routes themselves."""


class EmptyRegistry(InvalidRequest):
    """The registry has nothing to give back: probably it is another place that was meant."""


def pull_registry(registry: RoutingRegistryStore, cause: Cause, *, dry_run: bool) -> Iterator[Step]:
    """Bring back what the registry holds and this database does not, and yield a step for each entry.

    Where the registry mirrors this very database, only what was lost behind the trail's back comes back: a row that the trail has
    changed later than the registry knows stays as it is. Otherwise the registry is right about everything that it holds, the
    trail goes on after the one that is lost, and what only this database has is mirrored at the end. Rows that the registry does
    not have are left alone. May be run again after any failure. Raises EmptyRegistry, and what the registry's backend raises.
    """
    trail = registry.trail()
    if trail is None:
        raise EmptyRegistry("This routing registry is empty.", fix="Check backend and config: is it the right place?")
    ours = is_ours(trail)
    if not ours and not dry_run:
        go_on_after(registry, trail, cause)
    begin = trail.resumed.number if ours and trail.resumed else 0
    pull = _Pull(registry, cause, ours=ours, begin=begin, dry_run=dry_run)
    yield from pull.steps()
    if pull.foreign and not dry_run:
        for _ in push_registry(registry, cause):
            pass


class _Pull:
    """One pull: what every step of it needs to know.

    `begin` is the row after which this database's trail went on: an entry that is no newer is of the database that was lost,
    which an earlier pull broke off before.
    """

    def __init__(self, registry: RoutingRegistryStore, cause: Cause, *, ours: bool, begin: int, dry_run: bool) -> None:
        self.foreign = not ours
        """Whether anything is of another database than this one."""
        self._registry = registry
        self._cause = cause
        self._ours = ours
        self._begin = begin
        self._dry_run = dry_run
        self._tenants: dict[str, TenantData] = {}
        self._left_out: set[tuple[str, str]] = set()

    def steps(self) -> Iterator[Step]:
        for section in SECTIONS:
            for entry in self._registry.load_all(section):
                yield self._step(entry)

    def _step(self, entry: Entry) -> Step:
        self.foreign |= not self._is_own(entry.number)
        try:
            data = read_entry(entry)
        except NorthstarError as error:
            return refused(Thing(entry.section.removesuffix("s"), entry.name), error)
        if entry.section == TENANTS and isinstance(data, TenantData):
            self._tenants[data.tenant_id] = data
        thing, work = self._work(data, entry.number)
        step = take_step(thing, work, dry_run=self._dry_run)
        if step.action == REFUSED and isinstance(data, RouteData):
            self._left_out.add((data.tenant_id, data.env))
        return step

    def _work(self, data: Data, number: int) -> tuple[Thing, Callable[[], Any]]:
        match data:
            case TenantData():
                return Thing("tenant", data.tenant_id), partial(self._tenant, data, number)
            case AliasData():
                return Thing("alias", data.alias), partial(self._alias, data, number)
            case RouteData():
                thing = Thing("route", route_name(*data.key), data.backend_type)
                return thing, partial(self._route, data, number)
            case LockData():
                name = f"{data.resource_kind or 'all kinds'} in {data.tenant_id}/{data.env}"
                return Thing("lock", f"{name}, of {data.owner}"), partial(self._lock, data)

    def _tenant(self, data: TenantData, number: int) -> None:
        stored = Tenant.objects.filter(pk=data.tenant_id).first()
        if stored is None:
            create_tenant(data.tenant_id, data.name, data.mode, self._cause)
        elif data_of(TenantData, stored) == data.model_dump() or self._is_own(number):
            return
        elif not self._changed_since(number, subject=f"tenant:{data.tenant_id}"):
            update_tenant(data.tenant_id, self._cause, name=data.name, mode=data.mode)

    def _alias(self, data: AliasData, number: int) -> None:
        stored = SurfaceAlias.objects.filter(alias=data.alias).first()
        if not self._changed_since(number, subject=f"alias:{data.alias}") and (
            stored is None or not self._is_own(number)
        ):
            set_alias(data.alias, data.canonical, self._cause)

    def _route(self, data: RouteData, number: int) -> None:
        kind, tenant, env, project = data.key
        key = {"resource_kind": kind, "tenant_id": tenant, "env": env, "project_id": project}
        stored = Route.objects.filter(**key).first()
        if stored is not None and data_of(RouteData, stored) == data.model_dump():
            return
        if self._changed_since(number, action__in=OF_ROUTES, **key):
            return
        if stored is not None:
            put_route(draft_of(data), self._cause)
            return
        self._let_tenant_be(tenant)
        restore_route(data, self._cause)

    def _lock(self, data: LockData) -> None:
        """A lock comes back when every route of its environment did: it would keep the next pull from bringing the others."""
        known = StrategyLock.objects.filter(tenant=data.tenant_id, env=data.env, created_at=data.created_at)
        if not known.exists():
            if (data.tenant_id, data.env) in self._left_out:
                raise Conflict("A route that it covers was refused.", fix="Mend that first, then pull again.")
            self._let_tenant_be(data.tenant_id)
            restore_lock(data, self._cause)

    def _let_tenant_be(self, tenant_id: str) -> None:
        """In a dry run the tenant's own step was taken back: take it again, to be taken back with this one."""
        tenant = self._tenants.get(tenant_id)
        if self._dry_run and tenant:
            with suppress(AlreadyExists):
                create_tenant(tenant.tenant_id, tenant.name, tenant.mode, self._cause)

    def _changed_since(self, number: int, **rows: Any) -> bool:
        """Whether this database's own trail is ahead of what the registry says of these rows."""
        return self._ours and RouteChange.objects.filter(id__gt=max(number, self._begin), **rows).exists()

    def _is_own(self, number: int) -> bool:
        """Whether an entry of this number was mirrored by this very database."""
        return self._ours and number > self._begin
