"""The snapshot of all routes that a process holds, and how it is kept fresh."""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection

from northstar.context import RequestContext
from northstar.modes import LAB, MODES
from routing.models import Route, SnapshotRevision, StrategyLock, SurfaceAlias, Tenant
from storage.errors import BackendUnavailable
from storage.registry import BACKENDS, EMBEDDED

logger = logging.getLogger(__name__)

OUTAGE_POLLS: Final = 20
"""How many times rarer a database that is away is asked: whoever asks waits for it, and is a request."""

RouteKey = tuple[str, str, str, str | None]
"""resource kind, tenant, env, project."""

CONSISTENT_READS: Final = 3
"""How often a load starts again because a change was committed in its middle; then the next check corrects it."""


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """A route as resolution sees it. `config` holds no secret; `modes` are the modes in which it may be opened."""

    id: int
    revision: int
    resource_kind: str
    tenant_id: str
    env: str
    project_id: str | None
    backend_type: str
    config: Mapping[str, Any]
    sealed_secrets: str = field(repr=False)
    tier: str
    enabled: bool
    modes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a look-up needs, as of one revision."""

    revision: int
    routes: Mapping[RouteKey, ResolvedRoute]
    disabled: Mapping[RouteKey, ResolvedRoute]
    modes: Mapping[str, str]
    """Effective mode by tenant id."""
    aliases: Mapping[str, str]
    """Canonical surface id by alias."""
    holds: Mapping[tuple[str, str], tuple[StrategyLock, ...]] = field(default_factory=dict)
    """Locks that hold ingestion and are not released, by tenant and environment: each says whether it holds now, and where."""

    def all_routes(self) -> dict[RouteKey, ResolvedRoute]:
        """Return enabled and disabled routes together."""
        return {**self.disabled, **self.routes}


EMPTY: Final = Snapshot(-1, {}, {}, {}, {})


def key_of(kind: str, context: RequestContext, project: str | None) -> RouteKey:
    """Return the four-part key of a kind in the context's tenant and environment."""
    return (kind, context.tenant_id, context.env, project)


class SnapshotCache:
    """Holds the current snapshot. Reading it takes no lock; only the thread that refreshes it does."""

    def __init__(self) -> None:
        self.snapshot = EMPTY
        self.next_check = 0.0
        self.checked_at = 0.0
        self.since = datetime.now(UTC)
        """When this process came to know the snapshot's revision."""
        self._stale = True
        self._replacing = (
            False  # a snapshot that is known to be stale: nobody may go on with it while it is loaded anew
        )
        self._outage = False
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def invalidate(self) -> None:
        """Have the next reader load everything again and wait for it."""
        self._stale = True
        self.next_check = 0.0

    def look_again(self) -> None:
        """Load what changed, now; requests go on with what there is meanwhile. Raises BackendUnavailable as `refresh`."""
        with self._lock:
            self._check()

    def age(self) -> float:
        """Seconds since the snapshot was last known to be current."""
        return monotonic() - self.checked_at

    def refresh(self) -> None:
        """Load what changed. Unless the snapshot is known to be stale, a thread that comes second does not wait.

        Raises BackendUnavailable when there is no snapshot to go on with.
        """
        if not self._lock.acquire(blocking=self._stale or self._replacing):
            return
        try:
            if self._stale or monotonic() >= self.next_check:
                self._check()
        finally:
            self._lock.release()

    def _check(self) -> None:
        stale = self._replacing = self._stale
        self._stale = False
        borrowed = connection.connection is not None
        try:
            if stale or _revision() != self.snapshot.revision:
                self._replace(load())
        except DatabaseFailure as error:
            self._keep(stale, error)
            return
        finally:
            self._replacing = False
            if not borrowed and not connection.in_atomic_block:
                connection.close()  # a thread outside of requests would keep it for ever
        self.checked_at = monotonic()
        self.next_check = self.checked_at + settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS
        if self._stale:  # a change was committed while we were loading
            self.next_check = 0.0
        if self._outage:
            self._outage = False
            logger.info("The control-plane database answers again.")

    def _replace(self, loaded: Snapshot) -> None:
        if loaded.revision != self.snapshot.revision:
            self.since = datetime.now(UTC)
        self.snapshot = loaded

    def _keep(self, stale: bool, error: DatabaseFailure) -> None:
        self._stale = stale
        if self.snapshot is EMPTY:
            raise BackendUnavailable(
                "The routes could not be loaded: the control-plane database does not answer.",
                fix="Check DATABASE_URL and run `python manage.py migrate`.",
            ) from error
        self.next_check = monotonic() + OUTAGE_POLLS * settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        if not self._outage:
            self._outage = True
            logger.warning("The control-plane database does not answer; routes stay as they are: %s", error)

    def _after_fork(self) -> None:
        self._stale, self._replacing = self._stale or self._replacing, False
        self._lock = threading.Lock()


def load() -> Snapshot:
    """Read all routes, tenants and aliases, as of one revision."""
    for _ in range(CONSISTENT_READS):
        loaded = _read(_revision())
        if loaded.revision == _revision():
            break
    return loaded


def _revision() -> int:
    revision = SnapshotRevision.objects.filter(pk=SnapshotRevision.ROW).values_list("revision", flat=True).first()
    return revision or 0


def _read(revision: int) -> Snapshot:
    rows = list(Route.objects.all())  # before the tenants: a route committed in between would lack its tenant
    modes = {tenant.tenant_id: tenant.effective_mode for tenant in Tenant.objects.all()}
    enabled: dict[RouteKey, ResolvedRoute] = {}
    disabled: dict[RouteKey, ResolvedRoute] = {}
    for row in rows:
        route = resolved(row, modes[row.tenant_id])
        key = (route.resource_kind, route.tenant_id, route.env, route.project_id)
        (enabled if route.enabled else disabled)[key] = route
    aliases = dict(SurfaceAlias.objects.values_list("alias", "canonical"))
    return Snapshot(revision, enabled, disabled, modes, aliases, _holds())


def _holds() -> dict[tuple[str, str], tuple[StrategyLock, ...]]:
    holds: dict[tuple[str, str], tuple[StrategyLock, ...]] = {}
    for row in StrategyLock.objects.filter(holds_ingest=True, released_at=None):
        place = (row.tenant_id, row.env)
        holds[place] = (*holds.get(place, ()), row)
    return holds


def resolved(row: Route, mode: str) -> ResolvedRoute:
    """Return a route, stored or not, as resolution sees it; `mode` is its tenant's effective one."""
    return ResolvedRoute(
        id=row.pk,
        revision=row.revision,
        resource_kind=row.resource_kind,
        tenant_id=row.tenant_id,
        env=row.env,
        project_id=row.project_id,
        backend_type=row.backend_type,
        config=row.config,
        sealed_secrets=row.sealed_secrets,
        tier=row.tier,
        enabled=row.enabled,
        modes=_modes(row.backend_type, mode),
    )


def _modes(backend_type: str, tenant_mode: str) -> frozenset[str]:
    """When a route may be opened: never on an unknown backend; on an embedded one in `lab` alone, and of a lab tenant."""
    backend = BACKENDS.get(backend_type)
    if backend is None:
        return frozenset()
    if backend.backend_class == EMBEDDED:
        return frozenset({LAB} & {tenant_mode})
    return frozenset(MODES)


cache: Final = SnapshotCache()
