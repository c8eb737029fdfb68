"""open_store(kind, context): the one door to every tenant's data."""

import json
import threading
import weakref
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from northstar.context import NO_SURFACE, RequestContext
from routing.policy import refuse_embedded
from routing.resolve import ResolvedRoute, driver_config, resolve
from storage.blob_guard import GuardedBlobs
from storage.config import BackendConfig, reveal
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.registry import (
    BACKENDS,
    DOCUMENTS,
    EMBEDDED,
    KINDS,
    PROJECT,
    SURFACE,
    Kind,
    backends_for,
    driver_class,
    load,
)


class Adapter:
    """A driver built for one revision of one route. The driver is closed when nobody uses the adapter any more.

    `place` tells where its data lie: the same for all configs that lead there, whatever their credentials.
    """

    def __init__(self, driver: Any, secrets: tuple[str, ...], place: str = "") -> None:
        self.driver = driver
        self.secrets = secrets
        self.place = place
        weakref.finalize(self, driver.close)


@dataclass(frozen=True, slots=True)
class _Current:
    revision: int
    mode: str
    adapter: Adapter


_adapters: Final[dict[int, _Current]] = {}
_building: Final = threading.Lock()


def open_store(kind: str, context: RequestContext) -> Any:
    """Return the kind's store over the backend that the route names, inside the context's scope.

    Raises NoRouteConfigured, UnsupportedBackend, BackendNotImplemented, ForbiddenBackendClass or InvalidConfig; there is no
    fallback. The store stays on the route revision that it was opened with: open one per request.
    """
    return open_route(resolve(kind, context), context)


def open_route(route: ResolvedRoute, context: RequestContext) -> Any:
    """Return the store over a route that was resolved for this context. Raises as `open_store`."""
    adapter = adapter_of(route, context.mode)
    served_by = ServedBy(route.id, route.revision, route.backend_type, adapter.place)
    return store_over(route.resource_kind, context, adapter, served_by)


def store_over(kind: str, context: RequestContext, adapter: Adapter, served_by: ServedBy) -> Any:
    """Return the kind's store over an adapter that somebody built for it, inside the context's scope."""
    definition = KINDS[kind]
    guarded = GuardedDocuments if definition.primitive == DOCUMENTS else GuardedBlobs
    store = guarded(
        adapter.driver,
        scope=_scope(definition, context),
        served_by=served_by,
        kind=kind,
        secrets=adapter.secrets,
        lease=adapter,
    )
    return load(definition.path)(store, context)


def _scope(kind: Kind, context: RequestContext) -> Scope:
    project = context.project_id if PROJECT in kind.parted_by else None
    surface = context.surface_id if SURFACE in kind.parted_by else NO_SURFACE
    return Scope(context.tenant_id, context.env, project, surface)


def close_adapters() -> None:
    """Forget every cached adapter: those in use close after their last use."""
    with _building:
        _adapters.clear()


def adapter_of(route: ResolvedRoute, mode: str) -> Adapter:
    """Return the adapter of a route's revision: one per process. Raises as `open_store`."""
    current = _adapters.get(route.id)
    if current and current.revision == route.revision and current.mode == mode:
        return current.adapter
    with _building:
        current = _adapters.get(route.id)
        if current and current.revision == route.revision and current.mode == mode:
            return current.adapter
        adapter = build_adapter(route, mode)
        if current is None or current.revision <= route.revision:  # a late reader of an old snapshot replaces nothing
            _adapters[route.id] = _Current(route.revision, mode, adapter)
        return adapter


def build_adapter(route: ResolvedRoute, mode: str) -> Adapter:
    """Build a driver of its own for a route, uncached. Raises as `open_store`."""
    driver = _allowed_driver(route.resource_kind, route.backend_type, mode)
    return _built(
        route.resource_kind, driver, route.backend_type, driver_config(route), mode=mode, epoch=route.revision
    )


def adapter_for(resource_kind: str, backend_type: str, config: BackendConfig, *, mode: str) -> Adapter:
    """Build a driver of its own for a config that is no route's yet. Raises as `open_store`."""
    driver = _allowed_driver(resource_kind, backend_type, mode)
    return _built(resource_kind, driver, backend_type, config, mode=mode, epoch=0)


def _allowed_driver(resource_kind: str, backend_type: str, mode: str) -> Any:
    driver = driver_class(resource_kind, backend_type)
    if BACKENDS[backend_type].backend_class == EMBEDDED:
        refuse_embedded(backend_type, mode, backends_for(resource_kind, mode))
    return driver


def _built(
    resource_kind: str, driver: Any, backend_type: str, config: BackendConfig, *, mode: str, epoch: int
) -> Adapter:
    secrets = tuple(reveal(getattr(config, name)) for name in sorted(config.secret_fields()) if getattr(config, name))
    collections = KINDS[resource_kind].collections
    kept = {"collections": collections} if collections else {}
    return Adapter(driver(config, mode=mode, epoch=epoch, **kept), secrets, place_of(backend_type, config))


def place_of(backend_type: str, config: BackendConfig) -> str:
    """Return a short name of the place that a config leads to: a hash of the backend and of what says where the data lie."""
    said = json.dumps([backend_type, config.location()], sort_keys=True)
    return sha256(said.encode()).hexdigest()[:16]
