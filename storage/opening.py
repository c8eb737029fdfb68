"""open_store(kind, context): the one door to every tenant's data."""

import threading
import weakref
from dataclasses import dataclass, replace
from typing import Any, Final

from northstar.context import NO_SURFACE, RequestContext
from routing.policy import refuse_embedded
from routing.resolve import ResolvedRoute, driver_config, resolve
from storage.blob_guard import GuardedBlobs
from storage.config import BackendConfig, reveal
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.registry import BACKENDS, DOCUMENTS, EMBEDDED, KINDS, backends_for, driver_class, load


class Adapter:
    """A driver built for one revision of one route. The driver is closed when nobody uses the adapter any more."""

    def __init__(self, driver: Any, secrets: tuple[str, ...]) -> None:
        self.driver = driver
        self.secrets = secrets
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
    route = resolve(kind, context)
    served_by = ServedBy(route.id, route.revision, route.backend_type)
    return store_over(kind, context, _adapter(route, context.mode), served_by)


def store_over(kind: str, context: RequestContext, adapter: Adapter, served_by: ServedBy) -> Any:
    """Return the kind's store over an adapter that somebody built for it, inside the context's scope."""
    definition = KINDS[kind]
    guarded = GuardedDocuments if definition.primitive == DOCUMENTS else GuardedBlobs
    store = guarded(
        adapter.driver,
        scope=Scope.of(context if definition.by_surface else replace(context, surface_id=NO_SURFACE)),
        served_by=served_by,
        kind=kind,
        secrets=adapter.secrets,
        lease=adapter,
    )
    return load(definition.path)(store, context)


def close_adapters() -> None:
    """Forget every cached adapter: those in use close after their last use."""
    with _building:
        _adapters.clear()


def _adapter(route: ResolvedRoute, mode: str) -> Adapter:
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
    return _built(route.resource_kind, driver, driver_config(route), mode, route.revision)


def adapter_for(resource_kind: str, backend_type: str, config: BackendConfig, *, mode: str) -> Adapter:
    """Build a driver of its own for a config that is no route's yet. Raises as `open_store`."""
    return _built(resource_kind, _allowed_driver(resource_kind, backend_type, mode), config, mode, 0)


def _allowed_driver(resource_kind: str, backend_type: str, mode: str) -> Any:
    driver = driver_class(resource_kind, backend_type)
    if BACKENDS[backend_type].backend_class == EMBEDDED:
        refuse_embedded(backend_type, mode, backends_for(resource_kind, mode))
    return driver


def _built(resource_kind: str, driver: Any, config: BackendConfig, mode: str, epoch: int) -> Adapter:
    secrets = tuple(reveal(getattr(config, name)) for name in sorted(config.secret_fields()) if getattr(config, name))
    collections = KINDS[resource_kind].collections
    kept = {"collections": collections} if collections else {}
    return Adapter(driver(config, mode=mode, epoch=epoch, **kept), secrets)
