"""EventStream: dense positions per stream; reading after a position never repeats an event and never skips one.

A stream is one partition, (stream_id, "events"), of two documents per event, written in one atomic write:
`e/{position}` holds the event, `i/{event_id}` points to its position. Time is data; the position alone is the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from northstar.context import RequestContext
from storage.cursors import CURSOR_MARK, unseal
from storage.documents import Document
from storage.errors import CursorGone, InvalidCursor, InvalidKey
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.events import (
    COLLECTION,
    CURSOR_PURPOSE,
    EVENT_PREFIX,
    Head,
    NewEvent,
    StoredEvent,
    Stream,
    check_event_id,
    drafts_of,
    event_key,
    events_appended,
    position_of,
)
from storage.kinds.stream_appender import appender_for, read_head

TOKEN_CHARACTERS: Final = 2048
LAST_POSITION: Final = 10**20 - 1
EARLIEST: Final = 0
"""Where a reader without a cursor begins: after nothing. Streams are not trimmed."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Consecutive events. `up_to_date`: nothing committed followed when it was read; then `next_cursor` is None."""

    events: tuple[StoredEvent, ...]
    up_to_date: bool
    next_cursor: str | None


class EventStream:
    """The event streams of one scope."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = documents

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def scope(self) -> Scope:
        return self._documents.scope

    @property
    def reads_cost(self) -> bool:
        """Whether the service charges for each read."""
        return self._documents.limits.reads_cost

    def append(self, stream_id: str, events: Sequence[NewEvent]) -> list[StoredEvent]:
        """Append 1 to 24 events (together at most 1 MiB) atomically and return them as stored, in the order given.

        Positions are dense from 1. An event whose id is stored already is returned as it was, and nothing is added for it.
        Raises EventIdReused when such an id comes with another type or other data, and Conflict when the stream is too busy.
        """
        drafts = drafts_of(events)
        stream = self._stream(stream_id)
        stored = appender_for(self._documents, stream).append(self._documents, stream, drafts)
        events_appended.send(sender=EventStream, scope=self.scope, stream_id=stream_id)
        return stored

    def list_after(self, stream_id: str, after: int = EARLIEST, limit: int = 100) -> EventPage:
        """Return up to `limit` (1 to 1000) events strictly after a position: the contiguous run, up to the first hole.

        A hole is a position whose event is not visible yet. It ends the page with `up_to_date` False, so none is ever skipped.
        """
        stream = self._stream(stream_id)
        if after >= LAST_POSITION:
            return EventPage((), up_to_date=True, next_cursor=None)
        page = self._documents.scan(
            COLLECTION, stream.partition, prefix=EVENT_PREFIX, after=event_key(after), limit=limit
        )
        run = _contiguous(page.documents, after)
        events = tuple(stream.event(position_of(document), document.fields) for document in run)
        if page.cursor is None and len(run) == len(page.documents):
            return EventPage(events, up_to_date=True, next_cursor=None)
        incarnation = page.documents[0].fields["incarnation"]
        return EventPage(events, up_to_date=False, next_cursor=stream.cursor(incarnation, after + len(run)))

    def resolve_after(self, stream_id: str, token: str, head: Head | None = None) -> int:
        """Return the position that a token stands for: a cursor, a position or an event id. `head` saves reading it.

        A position beyond the head stands for the head. Raises InvalidCursor for a cursor that was changed or is another
        stream's, and CursorGone for an unknown event id, a stream that was begun anew, or one that ends before the cursor.
        """
        stream = self._stream(stream_id)
        if len(token) > TOKEN_CHARACTERS:
            raise InvalidCursor(f"The cursor has {len(token)} characters; no cursor is that long.")
        if token.startswith(CURSOR_MARK):
            incarnation, position = unseal(CURSOR_PURPOSE, stream.binding, token)
            return _honoured(incarnation, position, head or read_head(self._documents, stream))
        if token.isascii() and token.isdecimal():
            return min(int(token), (head or read_head(self._documents, stream)).position)
        return self._position_of_event(stream, token, head)

    def state(self, stream_id: str) -> Head:
        """Return the last event's place, or EMPTY: one read."""
        return read_head(self._documents, self._stream(stream_id))

    def head(self, stream_id: str) -> int:
        """Return the last position, 0 for an empty stream."""
        return self.state(stream_id).position

    def start_cursor(self, stream_id: str, head: Head, position: int) -> str:
        """Return the cursor of a position in a stream with this head, for a reader that has no event yet."""
        return self._stream(stream_id).cursor(head.incarnation if position else "", position)

    def _stream(self, stream_id: str) -> Stream:
        return Stream(self.scope, stream_id)

    def _position_of_event(self, stream: Stream, event_id: str, head: Head | None) -> int:
        try:
            check_event_id(event_id)
        except InvalidKey as error:
            raise InvalidCursor(f"This is no cursor: {error.detail}") from None
        pointer = self._documents.get(stream.pointer_ref(event_id))
        if pointer is None:
            tail = (head or read_head(self._documents, stream)).position
            raise _gone(f"The stream has no event {event_id!a}.", reason="unknown_event", tail=tail)
        return int(pointer.fields["position"])


def _contiguous(documents: Sequence[Document], after: int) -> Sequence[Document]:
    for index, document in enumerate(documents):
        if position_of(document) != after + index + 1:
            return documents[:index]
    return documents


def _honoured(incarnation: str, position: int, head: Head) -> int:
    if not incarnation:  # handed out before the first event: the beginning of whatever the stream has become
        return EARLIEST
    if incarnation != head.incarnation:
        raise _gone(
            "This cursor is of another stream: this one was begun anew, or its route leads to another place now.",
            reason="stream_replaced",
            tail=head.position,
        )
    if position > head.position:
        raise _gone(
            "The stream ends before this cursor: it was restored.", reason="stream_restored", tail=head.position
        )
    return position


def _gone(detail: str, *, reason: str, tail: int) -> CursorGone:
    newer = f", or after={tail} for new events only" if tail > EARLIEST else ""
    fix = f"Read on after={EARLIEST} for everything that is stored{newer}."
    return CursorGone(detail, reason=reason, earliest=EARLIEST, tail=tail, fix=fix)
