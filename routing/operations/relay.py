"""The relay: it brings control-plane events from the outbox to their streams."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.models import Q, QuerySet

from northstar.context import RequestContext
from northstar.errors import NorthstarError
from northstar.modes import SYSTEM_TENANT
from routing.models import OutboxEntry
from routing.resolve import snapshot
from routing.signals import route_changed
from storage.kinds.events import NewEvent
from storage.opening import open_store

logger = logging.getLogger(__name__)

EVENT_STREAM: Final = "event_stream"
SYSTEM_ENV: Final = "dev"
"""Where t_system's `routing` stream lies when it has an event_stream route there; else each event goes to its route's env."""
RELAY_ACTOR: Final = "system:relay"

FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(minutes=1)
IDLE_SECONDS: Final = 1.0
STOP_SECONDS: Final = 5.0
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What one run did: events delivered, streams that are held up, and events still waiting for them."""

    delivered: int
    held: int
    waiting: int


def relay_outbox(limit: int = BATCH) -> RelayReport:
    """Deliver up to `limit` waiting events, each stream's in the order of the changes.

    An event that cannot be delivered stays, with its attempts and last error, and holds up its own stream only. An event that
    was delivered but not marked is recognised by its id, so each appears once. Several processes may run this at once.
    """
    delivered, held = 0, list[Q]()
    while delivered < limit and (entry := _next(held)):
        if entry.next_attempt_at <= datetime.now(UTC) and _deliver(entry):
            delivered += 1
        else:
            held.append(Q(tenant_id=entry.tenant_id, env=entry.env, stream_id=entry.stream_id))
    return RelayReport(delivered, len(held), _waiting().count())


def _waiting() -> QuerySet[OutboxEntry]:
    return OutboxEntry.objects.filter(delivered_at=None).order_by("id")


def _next(held: list[Q]) -> OutboxEntry | None:
    entries = _waiting()
    for destination in held:
        entries = entries.exclude(destination)
    return entries.first()


def _deliver(entry: OutboxEntry) -> bool:
    entry.attempts += 1
    try:
        _append(entry)
    except NorthstarError as error:  # redacted by the guard: it never holds a secret
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(entry.attempts - 1, 16))
        entry.next_attempt_at = datetime.now(UTC) + pause
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
    """A thread that relays the outbox: at once after a change of this process, and every second for the others'."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="outbox-relay", daemon=True)

    def start(self) -> None:
        """Begin relaying. A relay is started once."""
        route_changed.connect(self._on_change)
        self._thread.start()

    def stop(self) -> None:
        """End after the event in hand; what is not delivered waits for the next start."""
        route_changed.disconnect(self._on_change)
        self._stopping.set()
        self._wake.set()
        self._thread.join(STOP_SECONDS)

    def _on_change(self, **_signal: Any) -> None:
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._relay()
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()

    def _relay(self) -> None:
        try:
            relay_outbox()
            self._failing = False
        except (DatabaseFailure, NorthstarError) as error:
            if not self._failing:  # once per outage, not once per second
                logger.warning("The outbox waits: %s", error)
            self._failing = True
        finally:
            connection.close()


def start_relay() -> Relay:
    """Start the relay of this process; call `stop` on it before the process ends."""
    relay = Relay()
    relay.start()
    return relay
