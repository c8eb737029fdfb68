"""The relay: it brings control-plane events from the outbox to their streams, and runs the registry's mirror beside them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from django.db.models import Min, QuerySet

from northstar.context import RequestContext
from northstar.errors import NorthstarError
from northstar.modes import SYSTEM_TENANT
from northstar.periodic import Periodic
from routing.models import OutboxEntry
from routing.operations.mirror import mirror_changes
from routing.operations.pauses import pause_after
from routing.operations.registry import SYSTEM_ENV
from routing.resolve import snapshot
from routing.signals import route_changed
from storage.kinds.events import NewEvent
from storage.opening import open_store

EVENT_STREAM: Final = "event_stream"
RELAY_ACTOR: Final = "system:relay"

IDLE_SECONDS: Final = 1.0
STOP_SECONDS: Final = 5.0
BATCH: Final = 500
RUN_SECONDS: Final = 5.0
_STREAM: Final = ("tenant_id", "env", "stream_id")


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What one run did: events delivered, streams that are held up, and events still waiting for them."""

    delivered: int
    held: int
    waiting: int


def relay_outbox(limit: int = BATCH) -> RelayReport:
    """Deliver up to `limit` waiting events, each stream's in the order of the changes.

    An event that cannot be delivered stays, with its attempts and last error, and holds up its own stream only: streams that
    failed before come last, and a run that has taken long begins no other. An event that was delivered but not marked is
    recognised by its id, so each appears once. Several processes may run this at once, also beside changes: it writes one row
    at a time, so that nobody waits in a circle.
    """
    delivered, started = 0, monotonic()
    for stream in _due_streams():
        while delivered < limit and (entry := _next(stream)) and _deliver(entry):
            delivered += 1
        if delivered >= limit or monotonic() - started > RUN_SECONDS:
            break
    streams = _waiting().order_by().values(*_STREAM).distinct()
    return RelayReport(delivered, streams.count(), _waiting().count())


def _waiting() -> QuerySet[OutboxEntry]:
    return OutboxEntry.objects.filter(delivered_at=None).order_by("id")


def _due_streams() -> list[dict[str, Any]]:
    """Streams whose first event is due, those first that have not failed."""
    firsts = _waiting().order_by().values(*_STREAM).annotate(first=Min("id")).values("first")
    due = OutboxEntry.objects.filter(pk__in=firsts, next_attempt_at__lte=datetime.now(UTC))
    return list(due.order_by("attempts", "id").values(*_STREAM))


def _next(stream: dict[str, Any]) -> OutboxEntry | None:
    """Return the stream's first event if it is due: what came later waits as long as it does."""
    entry = _waiting().filter(**stream).first()
    return entry if entry and entry.next_attempt_at <= datetime.now(UTC) else None


def _deliver(entry: OutboxEntry) -> bool:
    entry.attempts += 1
    try:
        _append(entry)
    except NorthstarError as error:  # redacted by the guard: it never holds a secret
        entry.next_attempt_at = datetime.now(UTC) + pause_after(entry.attempts)
        entry.last_error = f"{error.code}: {error.detail}"
        entry.save(update_fields=["attempts", "next_attempt_at", "last_error"])
        return False
    entry.delivered_at = datetime.now(UTC)
    entry.last_error = ""
    entry.save(update_fields=["attempts", "delivered_at", "last_error"])
    return True


def _append(entry: OutboxEntry) -> None:
    payload = entry.payload
    event = NewEvent(
        type=payload["action"],
        data=payload,
        ts=datetime.fromisoformat(payload["at"]),
        event_id=payload["change_id"],
    )
    open_store(EVENT_STREAM, _context(entry)).append(entry.stream_id, [event])


def _context(entry: OutboxEntry) -> RequestContext:
    """t_system's stream lies in env dev when there is a route for it there, else in the env of the route that changed."""
    now = snapshot()
    env = entry.env
    if entry.tenant_id == SYSTEM_TENANT and (EVENT_STREAM, SYSTEM_TENANT, SYSTEM_ENV, None) in now.routes:
        env = SYSTEM_ENV
    mode = now.modes.get(entry.tenant_id, "")
    return RequestContext(
        tenant_id=entry.tenant_id,
        env=env,
        mode=mode,
        actor=RELAY_ACTOR,
        request_id=entry.payload["request_id"],
    )


class Relay:
    """Relays what changed: events to their streams, rows to the routing registry. Neither waits for the other's backend.

    At once after a change of this process, and every second for the others'.
    """

    def __init__(self) -> None:
        jobs = (("outbox-relay", relay_outbox), ("registry-mirror", mirror_changes))
        self._workers = [Periodic(name, job, IDLE_SECONDS) for name, job in jobs]

    def start(self) -> None:
        """Begin relaying. A relay is started once."""
        route_changed.connect(self._on_change)
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End after what is in hand; what is not delivered waits for the next start."""
        route_changed.disconnect(self._on_change)
        for worker in self._workers:
            worker.ask_to_stop()
        for worker in self._workers:
            worker.join(STOP_SECONDS)

    def _on_change(self, **_signal: Any) -> None:
        for worker in self._workers:
            worker.wake()


def start_relay() -> Relay:
    """Start the relay of this process; call `stop` on it before the process ends."""
    relay = Relay()
    relay.start()
    return relay
