"""The outbox: what a change owes to other places lies beside it in one atomic write, and is delivered at least once.

Each letter has an id that its receiver recognises: an event's id in the stream, a change's in the audit trail. So what is
delivered twice is seen once.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import transaction
from uuid_utils.compat import uuid7

from analytics.budgets.names import OUTBOX
from analytics.budgets.places import Place, context_of
from northstar.context import RequestContext
from northstar.errors import NorthstarError
from northstar.instants import instant_text
from routing import audit
from routing.audit import Cause, Subject
from routing.models import RouteChange
from storage.documents import Delete, Put
from storage.kinds.events import NewEvent
from storage.opening import open_store

AUDIT, EVENT, RECORD = "audit", "event", "record"
STREAM: Final = "budgets"
"""The stream, of the tenant's environment, that alerts are appended to."""
LETTERS_KEPT: Final = timedelta(days=30)
"""For so long delivery is tried: a tenant may have no route for events at all."""
APP: Final = "northstar.budgets"
"""The app that records of alerts name."""
ACTOR: Final = "system:budgets"

logger = logging.getLogger(__name__)

Deliverer = Callable[[RequestContext, "Letter"], None]


@dataclass(frozen=True, slots=True)
class Letter:
    """Something owed: `kind` says to whom, `letter_id` is what its receiver knows it by."""

    letter_id: str
    kind: str
    content: Mapping[str, Any]
    at: datetime

    @property
    def key(self) -> str:
        return OUTBOX + self.letter_id

    def put(self) -> Put:
        """Return the write that stores it."""
        fields = {"kind": self.kind, "content": dict(self.content), "at": self.at}
        return Put(self.key, fields, expires_at=self.at + LETTERS_KEPT)


def letter(kind: str, content: Mapping[str, Any], letter_id: str = "") -> Letter:
    """Return a new letter. Ids lie in the order of time, so that letters are delivered in it."""
    return Letter(letter_id or str(uuid7()), kind, content, datetime.now(UTC))


def deliver(context: RequestContext, place: Place, owed: Letter) -> bool:
    """Deliver a letter now if that works, and return whether it did; else it stays for the sweep."""
    try:
        _DELIVERERS[owed.kind](context, owed)
        place.write([Delete(owed.key)])
    except (NorthstarError, DatabaseFailure) as error:
        logger.warning("A budget's %s %s waits: %s", owed.kind, owed.letter_id, error)
        return False
    return True


def deliver_all(context: RequestContext, place: Place) -> tuple[int, int]:
    """Deliver what waits in a place, in order, and return how many were and how many still wait."""
    done = waiting = 0
    for record in place.all(OUTBOX):
        owed = Letter(record.key.removeprefix(OUTBOX), record.data["kind"], record.data["content"], record.data["at"])
        if deliver(context, place, owed):
            done += 1
        else:
            waiting += 1
    return done, waiting


def _to_trail(context: RequestContext, owed: Letter) -> None:
    said, change_id = owed.content, UUID(owed.letter_id)
    with transaction.atomic():
        state = audit.lock()
        if RouteChange.objects.filter(change_id=change_id).exists():
            return
        audit.record(
            state,
            said["action"],
            Subject(said["subject"], context.tenant_id, context.env, context.project_id),
            Cause(said["actor"] or ACTOR, said["request_id"], said["rationale"]),
            before=said["before"],
            after=said["after"],
            moves_snapshot=False,
            change_id=change_id,
        )


def _to_stream(context: RequestContext, owed: Letter) -> None:
    said = owed.content
    event = NewEvent(type=said["type"], data=said["data"], ts=owed.at, event_id=owed.letter_id)
    open_store("event_stream", context_of(context, None)).append(STREAM, [event])


def _to_records(context: RequestContext, owed: Letter) -> None:
    from analytics.records.ingest import analytics_store, ingest  # noqa: PLC0415 - records count against budgets, and tell of them

    said = owed.content
    record = {
        "analytics_id": owed.letter_id,
        "app": APP,
        "platform": "api",
        "user_id": said["data"]["user_id"],
        "payload": {"type": said["type"], **said["data"]},
        "timestamp": instant_text(owed.at),
    }
    ingest(analytics_store(context), context, [record], operation_id=owed.letter_id)


_DELIVERERS: Final[dict[str, Deliverer]] = {AUDIT: _to_trail, EVENT: _to_stream, RECORD: _to_records}
