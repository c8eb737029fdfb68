"""Does the audit trail hold, also against somebody who owns the whole database? Anchors outside of it tell.

They lie in the routing registry, soon after a row was written, and in the events of t_system's stream `routing`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from northstar.context import RequestContext
from northstar.errors import NoRouteConfigured, NorthstarError
from northstar.modes import SYSTEM_TENANT
from routing.chain import ChainStatus, Watch, verify_chain
from routing.changes.outbox import ROUTING_STREAM
from routing.changes.trail import is_resumed
from routing.operations.registry import open_registry
from routing.resolve import snapshot
from storage.kinds.event_stream import EventStream
from storage.kinds.routing_registry_store import Anchor, Resumption
from storage.opening import open_store

EVENT_STREAM: Final = "event_stream"
EVENTS: Final = 100
"""Of the stream's end that are read: each confirms all rows before its own."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """What is remembered of the trail outside of its database. `unread` says what could not be asked, and why."""

    rows: tuple[Anchor, ...] = ()
    resumed: Resumption | None = None
    unread: tuple[str, ...] = ()


def verify_trail(watch: Watch | None = None) -> ChainStatus:
    """Verify the whole trail against itself and against every anchor that can be read. Writes nothing.

    `anchored` of the answer is 0 where nothing outside of the database could be asked, and `reason` says why.
    """
    return verify_against(read_anchors(), watch)


def verify_against(anchors: Anchors, watch: Watch | None = None) -> ChainStatus:
    """Verify the whole trail against itself and these anchors."""
    status = verify_chain(anchors.rows, watch)
    if not status.ok:
        return status
    if anchors.resumed and not is_resumed(anchors.resumed):
        detail = f"The routing registry says that it goes on after row {anchors.resumed.number}, and it does not."
        return replace(status, ok=False, reason=detail)
    return replace(status, reason=" ".join([status.reason, *_confirmations(status, anchors)]))


def read_anchors() -> Anchors:
    """Ask the registry and the streams for what they remember. What does not answer is told, and does not fail."""
    registry = _of_registry()
    streams = [_of_stream(context) for context in _stream_contexts()]
    begin = registry.resumed.number if registry.resumed else 0
    rows = [anchor for found in streams for anchor in found.rows if anchor.number > begin]
    unread = [reason for found in (registry, *streams) for reason in found.unread]
    return Anchors((*registry.rows, *rows), registry.resumed, tuple(unread))


def _of_registry() -> Anchors:
    try:
        trail = open_registry().trail()
    except NoRouteConfigured:
        return Anchors(unread=("There is no routing registry.",))
    except NorthstarError as error:
        return Anchors(unread=(f"The routing registry could not be asked: {error.code}: {error.told()}",))
    if trail is None:
        return Anchors(unread=("The routing registry is empty yet.",))
    kept = [trail.resumed.kept] if trail.resumed and trail.resumed.kept else []
    return Anchors((*kept, *trail.anchors), trail.resumed)


def _stream_contexts() -> Iterator[RequestContext]:
    now = snapshot()
    mode = now.modes.get(SYSTEM_TENANT, "")
    for kind, tenant, env, project in sorted(now.routes, key=str):
        if (kind, tenant, project) == (EVENT_STREAM, SYSTEM_TENANT, None):
            yield RequestContext(tenant_id=tenant, env=env, mode=mode, actor="system:verification")


def _of_stream(context: RequestContext) -> Anchors:
    try:
        streams: EventStream = open_store(EVENT_STREAM, context)
        events = streams.list_after(ROUTING_STREAM, max(0, streams.head(ROUTING_STREAM) - EVENTS), EVENTS).events
    except NorthstarError as error:
        place = f"{context.tenant_id}/{context.env}"
        return Anchors(
            unread=(f"The stream {ROUTING_STREAM} of {place} could not be asked: {error.code}: {error.told()}",)
        )
    return Anchors(tuple(found for event in events if (found := _anchor(event.data))))


def _anchor(data: object) -> Anchor | None:
    """Return what an event says of its row; events of earlier versions, or that somebody else appended, say nothing."""
    if not isinstance(data, dict):
        return None
    number, value = data.get("audit_row"), data.get("audit_hash")
    return Anchor(number, value) if isinstance(number, int) and isinstance(value, str) else None


def _confirmations(status: ChainStatus, anchors: Anchors) -> Iterator[str]:
    if status.anchored:
        yield f"Anchors outside of the database confirm it up to row {status.anchored}."
    elif status.rows:
        yield "Nothing outside of the database confirms it."
    yield from anchors.unread
