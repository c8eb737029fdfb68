"""What a switch leaves behind: existing data is not carried over, and this says how much of it can be seen cheaply."""

from dataclasses import dataclass
from typing import Final

from northstar.context import RequestContext
from northstar.errors import NorthstarError
from routing.changes.outbox import TENANT_STREAM
from routing.snapshot import ResolvedRoute
from storage.opening import open_store

COUNTED: Final = 1000
"""Objects that are listed at most: one page."""
ACTOR: Final = "system:planner"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What stays where it is. `at_least` is a lower bound of `what`, None when nothing is known; `said` is for people."""

    at_least: int | None
    what: str
    said: str


def left_behind(route: ResolvedRoute, mode: str) -> Leftovers:
    """Say what of a route's data a switch would leave where it is. One page of its store is read at most."""
    kept = f"Existing data is not carried over: it stays on {route.backend_type}, and is not seen on the new place."
    if not route.enabled:
        return Leftovers(None, "", f"{kept} How much is unknown: the route is disabled.")
    try:
        count, what, where = _count(route, mode)
    except NorthstarError as error:
        return Leftovers(None, "", f"{kept} How much is unknown: {error.code}.")
    if count is None:
        return Leftovers(None, what, f"{kept} How much is unknown: {where}.")
    counted = what if count != 1 else what.removesuffix("s")
    return Leftovers(count, what, f"{kept} At least {count} {counted} {where}.")


def _count(route: ResolvedRoute, mode: str) -> tuple[int | None, str, str]:
    context = RequestContext(
        tenant_id=route.tenant_id,
        env=route.env,
        mode=mode,
        project_id=route.project_id,
        actor=ACTOR,
    )
    if route.resource_kind == "object_store":
        page = open_store(route.resource_kind, context).list(limit=COUNTED)
        more = ", and there are more" if page.cursor else ""
        return len(page.blobs), "objects", f"without a surface{more}; other surfaces are not counted"
    if route.resource_kind == "event_stream":
        head = open_store(route.resource_kind, context).head(TENANT_STREAM)
        return head, "events", f"in {TENANT_STREAM}; a service does not list the other streams"
    return None, "records", "a service does not list its tables"
