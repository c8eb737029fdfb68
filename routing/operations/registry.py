"""Where the routing registry is, and whether what it mirrors is this database."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from northstar.context import RequestContext
from northstar.errors import Conflict
from northstar.modes import SYSTEM_TENANT
from routing import audit
from routing.audit import Cause
from routing.changes.trail import is_resumed, resume_trail
from routing.configs import known_backend, parse_config
from routing.models import RouteChange, Tenant
from routing.resolve import snapshot
from storage.guard import ServedBy
from storage.kinds.routing_registry_store import Anchor, Resumption, RoutingRegistryStore, Trail
from storage.opening import adapter_for, open_store, store_over

REGISTRY: Final = "routing_registry_store"
SYSTEM_ENV: Final = "dev"
"""The environment of `t_system` in which the registry's route is looked for."""


class ForeignTrail(Conflict):
    """The registry mirrors another audit trail than this database's: nothing is written over it until somebody decides."""

    retryable = False
    usual_fix = (
        "`manage.py routes pull --dry-run` shows what it holds. `routes pull` takes that over; "
        "`routes push --take-over` lets this database win."
    )


def open_registry() -> RoutingRegistryStore:
    """Open the registry that the route of `t_system` names. Raises as `open_store`."""
    return _typed(open_store(REGISTRY, _context(snapshot().modes.get(SYSTEM_TENANT, ""))))


def registry_at(backend_type: str, config: Mapping[str, Any]) -> RoutingRegistryStore:
    """Open a registry where somebody says that it is: for an empty database, which has no route to tell.

    Raises UnsupportedBackend, BackendNotImplemented, ForbiddenBackendClass, InvalidConfig or ForbiddenEndpoint, as a save does.
    """
    known_backend(REGISTRY, backend_type)
    name, context = backend_type.lower(), _context(Tenant(tenant_id=SYSTEM_TENANT).effective_mode)
    adapter = adapter_for(REGISTRY, name, parse_config(REGISTRY, name, config), mode=context.mode)
    return _typed(store_over(REGISTRY, context, adapter, ServedBy(0, 0, name)))


def is_ours(trail: Trail) -> bool:
    """Whether a registry's trail is this database's: what was mirrored last is a row here, or the trail went on after it."""
    if trail.resumed and trail.resumed.number >= trail.newest.number:
        return is_resumed(trail.resumed)
    return RouteChange.objects.filter(pk=trail.newest.number, hash=trail.newest.hash).exists()


def check_ours(trail: Trail) -> None:
    """Raise ForeignTrail for a registry that mirrors another trail."""
    if is_ours(trail):
        return
    raise ForeignTrail(
        f"The routing registry mirrors another audit trail: its newest anchor, of row {trail.newest.number}, does not fit here. "
        "This database was emptied, restored or tampered with, or another deployment mirrors to the same place."
    )


def go_on_after(registry: RoutingRegistryStore, trail: Trail, cause: Cause) -> Trail:
    """Let this database's trail go on after the registry's, so that what it writes from now on is newer than what is there.

    The registry is told first: a resumption that it does not know is a forgery. Raises Conflict when either changed meanwhile.
    """
    state = audit.current()
    kept = Anchor(state.audit_rows, state.audit_head) if state.audit_rows else None
    resumption = Resumption(max(trail.mirrored, state.audit_rows), kept, datetime.now(UTC))
    told = registry.keep_trail(replace(trail, resumed=resumption))
    resume_trail(resumption, cause)
    return told


def _context(mode: str) -> RequestContext:
    return RequestContext(tenant_id=SYSTEM_TENANT, env=SYSTEM_ENV, mode=mode, actor="system:registry")


def _typed(store: Any) -> RoutingRegistryStore:
    assert isinstance(store, RoutingRegistryStore)
    return store
