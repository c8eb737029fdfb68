"""What was stored before a route was switched is opened where it lies: the audit trail says where, the present says who may.

Whoever keeps a `ServedBy` with its data (`whereabouts`) can open the store again that wrote them, after any number of switches.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from northstar.context import RequestContext
from northstar.errors import BackendNotImplemented, InvalidConfig, InvalidRequest
from routing.audit import row_hash
from routing.configs import keep_secrets, parse_config
from routing.models import RouteChange
from routing.resolve import ResolvedRoute, driver_config, resolve, snapshot
from routing.sealing import route_scope, unseal
from storage.config import MASK, BackendConfig
from storage.errors import BackendRejected
from storage.guard import ServedBy
from storage.opening import Adapter, adapter_for, adapter_of, open_route, place_of, store_over

KEPT: Final = 64
KEPT_SECONDS: Final = 60.0
"""How long the driver of an earlier place is used before its config and its secrets are looked at again."""

_TEXT: Final = re.compile(
    r"(?P<backend>[a-z0-9_]{1,32}):(?P<place>[0-9a-f]{16})@(?P<route>\d{1,18})\.(?P<revision>\d{1,18})"
)


@dataclass(frozen=True, slots=True)
class _Kept:
    adapter: Adapter
    today: int
    """The revision of the context's route, whose secrets may stand in."""
    until: float


_earlier: Final[OrderedDict[tuple[str, ...], _Kept]] = OrderedDict()
_keeping: Final = threading.Lock()


def whereabouts(served_by: ServedBy) -> str:
    """Return a text that `read_whereabouts` understands: backend, place, and the route's revision that leads there."""
    return f"{served_by.backend_type}:{served_by.place}@{served_by.route_id}.{served_by.revision}"


def read_whereabouts(text: str) -> ServedBy | None:
    """Return what `whereabouts` wrote, or None for any other text. It grants nothing: `reopen` decides."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    return ServedBy(int(found["route"]), int(found["revision"]), found["backend"], found["place"])


def reopen(kind: str, context: RequestContext, where: ServedBy) -> Any:
    """Return the kind's store, inside the context's scope, over the place where `where` says that it once was.

    The context's own route must be there, enabled and allowed in its mode. Where it leads to the same place, it serves, with the
    credentials of today. Else the revision's row of the audit trail says where, for routes of this tenant and environment alone;
    the guard, the lists of allowed endpoints and roots, and references to secrets count as they are now. Secrets given in clear
    went with their revision: those of the context's route stand in, where it leads into the same service; else an enabled route
    of this tenant and environment must lead to the place.
    Raises as `open_store`; BackendRejected when nothing leads there any more.
    """
    route = resolve(kind, context)
    if adapter_of(route, context.mode).place == where.place:
        return open_route(route, context)
    adapter = _kept(route, context, where) or _from_trail(route, context, where)
    if adapter is not None:
        return store_over(kind, context, adapter, where)
    other = _leading_there(kind, context, where)
    if other is None:
        raise _out_of_reach(where)
    return open_route(other, context)


def close_earlier() -> None:
    """Forget the drivers of earlier places: those in use close after their last use."""
    with _keeping:
        _earlier.clear()


def _key(kind: str, context: RequestContext, where: ServedBy) -> tuple[str, ...]:
    return (kind, context.tenant_id, context.env, context.project_id or "", context.mode, whereabouts(where))


def _kept(today: ResolvedRoute, context: RequestContext, where: ServedBy) -> Adapter | None:
    with _keeping:
        kept = _earlier.get(_key(today.resource_kind, context, where))
    return kept.adapter if kept and kept.today == today.revision and monotonic() < kept.until else None


def _from_trail(today: ResolvedRoute, context: RequestContext, where: ServedBy) -> Adapter | None:
    """Build the driver of an earlier revision; None when the trail does not have it, or its secrets are gone."""
    kind = today.resource_kind
    then = _state_at(kind, context, where)
    config = _config(today, then) if then else None
    if then is None or config is None:
        return None
    backend_type = then["backend_type"]
    if place_of(backend_type, config) != where.place:
        return None
    adapter = adapter_for(kind, backend_type, config, mode=context.mode)
    with _keeping:
        _earlier[_key(kind, context, where)] = _Kept(adapter, today.revision, monotonic() + KEPT_SECONDS)
        while len(_earlier) > KEPT:
            _earlier.popitem(last=False)
    return adapter


def _config(today: ResolvedRoute, then: Mapping[str, Any]) -> BackendConfig | None:
    """Return the config of an earlier revision; secrets of today stand in for those that are gone, in the same service alone."""
    backend_type, given = then["backend_type"], then["config"]
    if MASK not in given.values():
        return parse_config(today.resource_kind, backend_type, given)
    if today.backend_type != backend_type:
        return None
    now = driver_config(today)
    scope = route_scope(today.resource_kind, today.tenant_id, today.env, today.project_id)
    try:
        filled = keep_secrets(given, today.config, unseal(today.sealed_secrets, scope), type(now).secret_fields())
        config = parse_config(today.resource_kind, backend_type, filled)
    except InvalidConfig:  # it had other secrets than today's route has
        return None
    return config if config.service() == now.service() else None


def _state_at(kind: str, context: RequestContext, where: ServedBy) -> dict[str, Any] | None:
    """Return what the trail says of a revision, None where it does not. Raises BackendRejected for a row that was changed."""
    rows = RouteChange.objects.filter(
        route_id=where.route_id,
        resource_kind=kind,
        tenant_id=context.tenant_id,
        env=context.env,
        after__revision=where.revision,
    )
    row = next((row for row in rows if row.after and row.project_id in {None, context.project_id}), None)
    if row is not None and row_hash(row) != row.hash:
        raise BackendRejected(
            f"The audit row of revision {where.revision} of route {where.route_id} was changed: nothing is read by it.",
            fix="Run `python manage.py doctor`.",
        )
    return row.after if row else None


def _leading_there(kind: str, context: RequestContext, where: ServedBy) -> ResolvedRoute | None:
    """Return an enabled route of this tenant and environment, of whatever project, that leads to the place."""
    for route in snapshot().routes.values():
        ours = (route.resource_kind, route.tenant_id, route.env) == (kind, context.tenant_id, context.env)
        if ours and context.mode in route.modes and _place(route) == where.place:
            return route
    return None


def _place(route: ResolvedRoute) -> str | None:
    try:
        return place_of(route.backend_type, driver_config(route))
    except (InvalidRequest, BackendNotImplemented):  # a route that cannot be opened leads nowhere
        return None


def _out_of_reach(where: ServedBy) -> BackendRejected:
    return BackendRejected(
        f"Nothing leads any more to where this was stored: {where.backend_type}, by revision {where.revision} of route "
        f"{where.route_id}. Its credentials went with that revision, or the trail does not have it.",
        fix="Add a route of the same kind, tenant and environment, for a project that nobody uses, that leads to that place.",
    )
