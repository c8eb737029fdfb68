"""What the relay has not brought to its destination yet: how much, since when, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Count, Max, Min

from routing import audit
from routing.models import OutboxEntry, RouteChange
from routing.operations.mirror import mirror_state

REGISTRY: Final = "registry"
STREAM: Final = "stream"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where changes go: the routing registry, or one stream of one tenant and environment.

    `waiting` counts events, for the registry audit rows; `oldest` is when the first of them was written. `last_error` is empty
    where nothing failed since the last success.
    """

    kind: str
    name: str
    waiting: int
    tenant_id: str = ""
    env: str = ""
    oldest: datetime | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str = ""

    def lag(self, now: datetime | None = None) -> timedelta:
        """How long the first of what waits has waited."""
        return (now or datetime.now(UTC)) - self.oldest if self.oldest else timedelta()


def relay_state() -> list[Destination]:
    """Return the registry, always, and every stream for which something waits. A few queries; asks no backend."""
    return [_registry(), *_streams()]


def _registry() -> Destination:
    state = mirror_state()
    waiting = max(0, audit.current().audit_rows - state.mirrored)
    first = RouteChange.objects.filter(id__gt=state.mirrored).order_by("id").values_list("at", flat=True).first()
    return Destination(
        kind=REGISTRY,
        name="routing registry",
        waiting=waiting,
        oldest=first if waiting else None,
        attempts=state.attempts,
        next_attempt_at=state.next_attempt_at,
        last_error=state.last_error,
    )


def _streams() -> Iterator[Destination]:
    groups = OutboxEntry.objects.filter(delivered_at=None).order_by().values("tenant_id", "env", "stream_id")
    told = groups.annotate(
        waiting=Count("id"),
        oldest=Min("created_at"),
        attempts=Max("attempts"),
        next_attempt_at=Max("next_attempt_at"),
        last_error=Max("last_error"),
    )
    for group in told.order_by("oldest", "tenant_id", "env", "stream_id"):
        yield Destination(
            kind=STREAM,
            name=f"{group['stream_id']} of {group['tenant_id']}/{group['env']}",
            waiting=group["waiting"],
            tenant_id=group["tenant_id"],
            env=group["env"],
            oldest=group["oldest"],
            attempts=group["attempts"],
            next_attempt_at=group["next_attempt_at"],
            last_error=group["last_error"],
        )
