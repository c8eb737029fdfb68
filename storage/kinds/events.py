"""What an event is: its rules before it is stored, its two documents, and its place in the stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.dispatch import Signal
from uuid_utils import uuid7

from northstar.errors import Conflict, InvalidRequest
from storage.cursors import CURSOR_MARK, seal
from storage.documents import ABSENT, ATOMIC_BYTES, Document, Put, Ref
from storage.errors import InvalidKey, InvalidValue, ValueTooLarge
from storage.keys import Scope, check_text
from storage.values import check_fields

COLLECTION: Final = "event_stream"
EVENT_PREFIX: Final = "e/"
POINTER_PREFIX: Final = "i/"
EVENTS_PER_APPEND: Final = 24
"""An atomic write has 50 operations, an event takes two; the two that are left over are for a header of a later version."""
EVENT_ID_BYTES: Final = 256
TYPE_CHARACTERS: Final = 128
OVERHEAD_BYTES: Final = 100
"""At most what both keys and the pointer's fields take, without the event id."""
CURSOR_PURPOSE: Final = "event"

events_appended: Final = Signal()
"""Sent after every append of this process with `scope` and `stream_id`: a hint to read, never a promise."""
events_elsewhere: Final = Signal()
"""The same of an append by another process, where processes tell each other."""


class EventIdReused(Conflict):
    """The event id belongs to an event with another type or other data; nothing was changed."""

    retryable = False


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. `ts` (UTC, default now) is data and may be any time; `event_id` makes the append idempotent."""

    type: str
    data: Any
    ts: datetime | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in its stream. `position` alone is the order; `recorded_at` never decreases along it; `cursor` points after it.

    `incarnation` names the stream that it was appended to, for readers that must notice one begun anew; see `Head`.
    """

    event_id: str
    position: int
    type: str
    data: Any
    ts: datetime
    recorded_at: datetime
    surface: str
    cursor: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A valid event without its position. `named` says that the client gave the id. `size` counts its two documents in bytes."""

    event_id: str
    type: str
    data: Any
    ts: datetime
    named: bool
    size: int


@dataclass(frozen=True, slots=True)
class Head:
    """The last event's place. `incarnation` names this stream for good: one deleted and begun anew has another."""

    position: int
    recorded_at: datetime
    incarnation: str


EMPTY: Final = Head(0, datetime(1, 1, 1, tzinfo=UTC), "")
"""The head of a stream without an event."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream in its scope: makes its refs, its cursors and its events."""

    scope: Scope
    stream_id: str

    @property
    def partition(self) -> tuple[str, ...]:
        return (self.stream_id, "events")

    @property
    def binding(self) -> tuple[str, ...]:
        return (*self.scope.parts, self.stream_id)

    def event_ref(self, position: int) -> Ref:
        return Ref(COLLECTION, self.partition, event_key(position))

    def pointer_ref(self, event_id: str) -> Ref:
        return Ref(COLLECTION, self.partition, POINTER_PREFIX + event_id)

    def cursor(self, incarnation: str, position: int) -> str:
        return seal(CURSOR_PURPOSE, self.binding, [incarnation, position])

    def event(self, position: int, fields: dict[str, Any]) -> StoredEvent:
        return StoredEvent(
            event_id=fields["event_id"],
            position=position,
            type=fields["type"],
            data=fields["data"],
            ts=fields["ts"],
            recorded_at=fields["recorded_at"],
            surface=self.scope.surface,
            cursor=self.cursor(fields["incarnation"], position),
            incarnation=fields["incarnation"],
        )


def event_key(position: int) -> str:
    """Return the key whose byte order is the order of positions."""
    return f"{EVENT_PREFIX}{position:020d}"


def position_of(document: Document) -> int:
    return int(document.ref.key.removeprefix(EVENT_PREFIX))


def head_of(document: Document) -> Head:
    return Head(position_of(document), document.fields["recorded_at"], document.fields["incarnation"])


def event_fields(draft: Draft, recorded_at: datetime, incarnation: str) -> dict[str, Any]:
    return {
        "event_id": draft.event_id,
        "type": draft.type,
        "data": draft.data,
        "ts": draft.ts,
        "recorded_at": recorded_at,
        "incarnation": incarnation,
    }


def event_puts(position: int, fields: dict[str, Any]) -> tuple[Put, Put]:
    """The event and the pointer from its id, to be written in one atomic write."""
    return (
        Put(event_key(position), fields, expect=ABSENT),
        Put(POINTER_PREFIX + fields["event_id"], {"position": position}, expect=ABSENT),
    )


def drafts_of(events: Sequence[NewEvent]) -> list[Draft]:
    """Check the events of one append. Raises InvalidRequest, InvalidKey, InvalidValue or ValueTooLarge, before any I/O."""
    if not events:
        raise InvalidRequest("An append has no event.", fix=f"Send 1 to {EVENTS_PER_APPEND} events.")
    if len(events) > EVENTS_PER_APPEND:
        raise ValueTooLarge(
            f"An append has {len(events)} events; {EVENTS_PER_APPEND} are allowed.",
            fix="Split it into several appends.",
        )
    drafts = [_draft(event) for event in events]
    size = sum(draft.size for draft in drafts)
    if size > ATOMIC_BYTES:
        raise ValueTooLarge(
            f"The events of one append have {size} bytes; {ATOMIC_BYTES} are allowed.",
            fix="Split it into several appends.",
        )
    return drafts


def _draft(event: NewEvent) -> Draft:
    _check_type(event.type)
    named = event.event_id is not None
    event_id = event.event_id if event.event_id is not None else str(uuid7())
    check_event_id(event_id)
    ts = _utc(event.ts) if event.ts is not None else datetime.now(UTC)
    probe = Draft(event_id, event.type, event.data, ts, named, 0)
    size = OVERHEAD_BYTES + len(event_id) * 4 + check_fields(event_fields(probe, ts, "00000000"))
    return Draft(event_id, event.type, event.data, ts, named, size)


def _check_type(name: str) -> None:
    check_text(name, what="event type", max_bytes=4 * TYPE_CHARACTERS)
    if len(name) > TYPE_CHARACTERS:
        raise InvalidValue(f"The event type has {len(name)} characters; {TYPE_CHARACTERS} are allowed.")


def check_event_id(event_id: str) -> None:
    """Refuse an id that no key can hold, or that would be read as a position or a cursor. Raises InvalidKey."""
    check_text(event_id, what="event id", max_bytes=EVENT_ID_BYTES)
    if event_id.isdecimal() or event_id.startswith(CURSOR_MARK):
        raise InvalidKey(
            f"The event id {event_id!a} would be read as a position or a cursor.",
            fix=f"Use an id with a letter in it that does not start with {CURSOR_MARK}, such as a UUID.",
        )


def _utc(ts: datetime) -> datetime:
    if ts.utcoffset() is None:
        raise InvalidValue("An event's ts has no time zone.", fix="Give it in UTC, such as 2026-11-20T12:00:00Z.")
    try:
        return ts.astimezone(UTC)
    except OverflowError:
        raise InvalidValue("An event's ts lies outside the years 1 to 9999.") from None


def same_value(left: Any, right: Any) -> bool:
    """Whether two stored values are the same JSON: unlike `==`, 1, 1.0 and true differ; the order of keys does not count."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    return bool(left == right)
