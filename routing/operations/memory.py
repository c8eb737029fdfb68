"""Everything of one user: found behind every memory route of an environment, exported line by line, erased with a manifest."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.cache import cache

from northstar.context import RequestContext
from northstar.errors import NoRouteConfigured, NorthstarError
from northstar.instants import instant_text
from routing.resolve import ResolvedRoute, snapshot
from storage.keys import check_text
from storage.kinds.memory_export import records_of, sealed_line
from storage.kinds.memory_store import Erased, MemoryStore
from storage.opening import open_store

KIND: Final = "memory_store"
USER_ID_BYTES: Final = 512
FORMAT: Final = 1
LISTED_FOR: Final = timedelta(hours=1)
"""How long a listed session may take to begin before what is left of it counts as ended."""
SWEPT_EVERY: Final = timedelta(days=1)
_TURN: Final = "northstar.sweep.memory"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RouteErasure:
    """What was erased behind one route, and why not everything could be, if so."""

    route: ResolvedRoute
    rooms: list[Erased] = field(default_factory=list)
    error: NorthstarError | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an erasure removed, with every key. `complete`: nothing failed behind any route."""

    tenant_id: str
    env: str
    user_id: str
    erased_at: datetime
    routes: list[RouteErasure]

    @property
    def complete(self) -> bool:
        return all(route.error is None for route in self.routes)

    @property
    def totals(self) -> dict[str, int]:
        rooms = [room for route in self.routes for room in route.rooms]
        return {
            "sessions": sum(len(room.sessions) for room in rooms),
            "messages": sum(sum(room.sessions.values()) for room in rooms),
            "blackboards": sum(len(room.blackboards) for room in rooms),
        }


@dataclass(frozen=True, slots=True)
class MemorySweep:
    """How many ended sessions were swept behind one route, or why it could not be."""

    route: ResolvedRoute
    sessions: int = 0
    error: NorthstarError | None = None


def export_memory(context: RequestContext, user_id: str) -> Iterator[bytes]:
    """Return the lines of everything that the environment keeps of a user: a first one that says of whom, a last one with counts.

    The last line's `lines_sha256` is the SHA-256 of all lines before it; an export without it was cut off. Raises as
    `open_store`, before the first line.
    """
    check_text(user_id, what="user id", max_bytes=USER_ID_BYTES)
    return _lines(context, user_id, _stores(context))


def erase_memory(context: RequestContext, user_id: str) -> Manifest:
    """Erase everything that the environment keeps of a user, in every mode and project, and return what went.

    A route that fails, or that cannot be opened, holds up no other. What the user begins meanwhile may stay: erase again.
    Raises as `open_store` where there is no route.
    """
    check_text(user_id, what="user id", max_bytes=USER_ID_BYTES)
    routes = [_erased(route, store, user_id) for route, store in _opened(context)]
    manifest = Manifest(context.tenant_id, context.env, user_id, datetime.now(UTC), routes)
    logger.info("Memory of a user of %s/%s was erased: %s", context.tenant_id, context.env, manifest.totals)
    return manifest


def manifest_answer(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest as an answer shows it."""
    return {
        "tenant_id": manifest.tenant_id,
        "env": manifest.env,
        "user_id": manifest.user_id,
        "erased_at": instant_text(manifest.erased_at),
        "complete": manifest.complete,
        "totals": manifest.totals,
        "routes": [_route_answer(route) for route in manifest.routes],
    }


def sweep_memory(*, dry_run: bool = False) -> Iterator[MemorySweep]:
    """Remove what expired or half ended sessions have left, behind each enabled memory route. One failure holds up no other."""
    now = snapshot()
    before = datetime.now(UTC) - LISTED_FOR
    for route in sorted(now.routes.values(), key=lambda route: route.id):
        if route.resource_kind == KIND:
            context = RequestContext(route.tenant_id, route.env, now.modes[route.tenant_id], route.project_id)
            try:
                yield MemorySweep(route, open_store(KIND, context).sweep(listed_before=before, dry_run=dry_run))
            except NorthstarError as error:
                yield MemorySweep(route, error=error)


def sweep_memory_in_turn() -> None:
    """Sweep behind all routes, unless another process that shares the cache does so today."""
    if not cache.add(_TURN, True, timeout=SWEPT_EVERY.total_seconds() / 2):
        return
    for one in sweep_memory():
        if one.error:
            logger.warning("Route %s was not swept: %s: %s", one.route.id, one.error.code, one.error.detail)
        elif one.sessions:
            logger.info("Route %s: what %s ended sessions had left was swept.", one.route.id, one.sessions)


def _stores(context: RequestContext) -> list[MemoryStore]:
    """Open the memory behind each enabled route, once per place. Raises as `open_store`."""
    stores: list[MemoryStore] = []
    for route, store in _opened(context):
        if isinstance(store, MemoryStore):
            stores.append(store)
        elif route.enabled:
            raise store
    return stores


def _opened(context: RequestContext) -> Iterator[tuple[ResolvedRoute, MemoryStore | NorthstarError]]:
    """Open the memory behind the tenant's route and each of its projects', once per place; or say why it cannot be.

    Raises as `open_store` where no route is enabled.
    """
    environment = (KIND, context.tenant_id, context.env)
    routes = [route for (*where, _), route in snapshot().all_routes().items() if tuple(where) == environment]
    if not any(route.enabled for route in routes):
        open_store(KIND, context)
    seen = set[str]()
    for route in sorted(routes, key=lambda route: route.id):
        store = _open(replace(context, project_id=route.project_id), route)
        place = str(route.id) if isinstance(store, NorthstarError) else store.served_by.place
        if place not in seen:
            seen.add(place)
            yield route, store


def _open(context: RequestContext, route: ResolvedRoute) -> MemoryStore | NorthstarError:
    if not route.enabled:
        return NoRouteConfigured(
            f"Route {route.id} is disabled: what lies there was not looked at.",
            fix="Enable it, or delete it, and retry.",
        )
    try:
        store: MemoryStore = open_store(KIND, context)
    except NorthstarError as error:
        return error
    return store


def _lines(context: RequestContext, user_id: str, stores: list[MemoryStore]) -> Iterator[bytes]:
    digest, counts = hashlib.sha256(), Counter[str]()
    of = {"tenant_id": context.tenant_id, "env": context.env, "user_id": user_id}
    first = {"record": "export", "format": FORMAT, **of, "exported_at": instant_text(datetime.now(UTC))}
    yield _counted(first, digest)
    for store in stores:
        for record in records_of(store, user_id):
            counts[record["record"]] += 1
            yield _counted(record, digest)
    totals = {"sessions": counts["session"], "messages": counts["message"], "blackboards": counts["blackboard"]}
    yield sealed_line({"record": "end", **totals, "lines_sha256": digest.hexdigest()})


def _counted(record: dict[str, Any], digest: Any) -> bytes:
    line = sealed_line(record)
    digest.update(line)
    return line


def _erased(route: ResolvedRoute, store: MemoryStore | NorthstarError, user_id: str) -> RouteErasure:
    if isinstance(store, NorthstarError):
        return RouteErasure(route, error=store)
    rooms: list[Erased] = []
    try:
        rooms.extend(store.erase(user_id))
    except NorthstarError as error:
        return RouteErasure(route, rooms, error)
    return RouteErasure(route, rooms)


def _route_answer(route: RouteErasure) -> dict[str, Any]:
    return {
        "route_id": route.route.id,
        "revision": route.route.revision,
        "backend_type": route.route.backend_type,
        "error_code": route.error.code if route.error else None,
        "detail": route.error.detail if route.error else None,
        "rooms": [
            {
                "mode": erased.room.mode,
                "project_id": erased.room.project_id,
                "sessions": [{"session_id": name, "messages": count} for name, count in erased.sessions.items()],
                "blackboards": erased.blackboards,
            }
            for erased in route.rooms
        ],
    }
