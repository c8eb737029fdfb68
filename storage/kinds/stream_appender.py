"""Appends to one stream: the callers of this process share atomic writes, and other processes are met by compare-and-set.

Event n+1 is written with expect=ABSENT, only after n was seen committed. So what can be read is always a dense prefix, and an
event that commits late can take no position that a reader has passed.
"""

import random
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from weakref import WeakKeyDictionary

from northstar.errors import AlreadyExists, Conflict, NorthstarError
from storage.documents import ATOMIC_BYTES, Operation
from storage.errors import BackendRejected, BackendUnavailable
from storage.group_commit import GroupCommit
from storage.guard import GuardedDocuments
from storage.kinds.events import (
    COLLECTION,
    EMPTY,
    EVENT_PREFIX,
    EVENTS_PER_APPEND,
    Draft,
    EventIdReused,
    Head,
    StoredEvent,
    Stream,
    event_fields,
    event_puts,
    head_of,
    same_value,
)

ATTEMPTS: Final = 512
"""Lost races with other processes before the caller hears Conflict: with the pauses about five seconds. Another process that
appends without a pause wins most races; on a loaded machine 64 were lost in a row (seen once in the crash test)."""
AT_ONCE: Final = 8
"""Lost races after which the next try comes without a pause. Who has just lost knows that the winner has finished, so no moment
is better: with two busy processes on one file the longest append took 0.3 s, and 3 s with a pause after each loss (measured)."""
LOST_ANSWERS: Final = 2
"""Writes without an answer that are tried again; each try first looks whether the one before has landed after all."""
FIRST_PAUSE_SECONDS: Final = 0.001
LONGEST_PAUSE_SECONDS: Final = 0.02
LOST_ANSWER_PAUSE_SECONDS: Final = 0.1
HINT_SECONDS: Final = 1.0
"""How long the head last written is believed without a read. A conflict ends that at once."""
STREAMS_KEPT: Final = 1024
"""Streams per driver whose callers are coalesced; the longest unused is forgotten. Two appenders of one stream only conflict."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one caller appends: all of it or nothing."""

    documents: GuardedDocuments
    stream: Stream
    drafts: list[Draft]

    @property
    def size(self) -> int:
        return sum(draft.size for draft in self.drafts)


Outcome = list[StoredEvent] | Exception


@dataclass(slots=True)
class _Plan:
    """One atomic write under construction. `known` has the events that exist already or are about to, by id."""

    stream: Stream
    head: Head
    known: dict[str, StoredEvent]
    operations: list[Operation] = field(default_factory=list)

    def place(self, batch: Batch) -> Outcome:
        first_by_id: dict[str, StoredEvent | Draft] = {}
        for draft in batch.drafts:
            other = self.known.get(draft.event_id) or first_by_id.setdefault(draft.event_id, draft)
            if other is not draft and (other.type != draft.type or not same_value(other.data, draft.data)):
                return EventIdReused(
                    f"The event id {draft.event_id!a} belongs to an event with another type or other data.",
                    fix="Give each event an id of its own; send an event again exactly as it was.",
                )
        return [self._event(draft) for draft in batch.drafts]

    def _event(self, draft: Draft) -> StoredEvent:
        if draft.event_id not in self.known:
            position = self.head.position + 1
            recorded_at = max(self.head.recorded_at, datetime.now(UTC))
            incarnation = self.head.incarnation or secrets.token_hex(4)
            fields = event_fields(draft, recorded_at, incarnation)
            self.operations += event_puts(position, fields)
            self.head = Head(position, recorded_at, incarnation)
            self.known[draft.event_id] = self.stream.event(position, fields)
        return self.known[draft.event_id]


class StreamAppender:
    """The one place where a process appends to a stream of a driver. Keeps no store: each batch brings its own."""

    def __init__(self) -> None:
        self._hint: Head | None = None
        self._hint_until = 0.0
        self._commits: GroupCommit[Batch, list[StoredEvent]] = GroupCommit(self._commit)

    def append(self, documents: GuardedDocuments, stream: Stream, drafts: list[Draft]) -> list[StoredEvent]:
        """Append all drafts or none and return the stored events. Raises Conflict, EventIdReused or what the store raises."""
        return self._commits.submit(Batch(documents, stream, drafts))

    def _commit(self, batches: list[Batch]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for chunk in _chunks(batches):
            try:
                outcomes += self._write(chunk)
            except NorthstarError as error:
                self._hint = None
                outcomes += [error] * len(chunk)
        return outcomes

    def _write(self, chunk: list[Batch]) -> list[Outcome]:
        lost_answers = 0
        for attempt in range(ATTEMPTS):
            plan = self._plan(chunk, again=attempt > 0)
            outcomes = [plan.place(batch) for batch in chunk]
            try:
                if plan.operations:
                    chunk[0].documents.write(COLLECTION, plan.stream.partition, plan.operations)
            except AlreadyExists:
                if attempt >= AT_ONCE:
                    _pause(min(FIRST_PAUSE_SECONDS * 2 ** (attempt - AT_ONCE), LONGEST_PAUSE_SECONDS))
            except BackendUnavailable:
                lost_answers += 1
                if lost_answers > LOST_ANSWERS:
                    raise
                _pause(LOST_ANSWER_PAUSE_SECONDS)
            else:
                self._hint, self._hint_until = plan.head, time.monotonic() + HINT_SECONDS
                return outcomes
        raise Conflict(
            f"The stream {chunk[0].stream.stream_id!a} is too busy: {ATTEMPTS} races were lost.", fix="Retry."
        )

    def _plan(self, chunk: list[Batch], *, again: bool) -> _Plan:
        """Read what the next write depends on. `again`: an earlier try may have landed, so every id is looked up."""
        documents, stream = chunk[0].documents, chunk[0].stream
        ids = {draft.event_id for batch in chunk for draft in batch.drafts if again or draft.named}
        known = stored_by_id(documents, stream, sorted(ids))
        hint_holds = self._hint is not None and not again and time.monotonic() < self._hint_until
        head = self._hint if hint_holds and self._hint else read_head(documents, stream)
        return _Plan(stream, head, known)


def read_head(documents: GuardedDocuments, stream: Stream) -> Head:
    """Return the stream's head: one reverse scan of one document. An empty stream has EMPTY."""
    page = documents.scan(COLLECTION, stream.partition, prefix=EVENT_PREFIX, reverse=True, limit=1)
    return head_of(page.documents[0]) if page.documents else EMPTY


def stored_by_id(documents: GuardedDocuments, stream: Stream, event_ids: list[str]) -> dict[str, StoredEvent]:
    """Return those of the events that are stored, by id."""
    if not event_ids:
        return {}
    pointers = documents.get_many([stream.pointer_ref(event_id) for event_id in event_ids])
    positions = [pointer.fields["position"] for pointer in pointers if pointer]
    if not positions:
        return {}
    found: dict[str, StoredEvent] = {}
    for position, document in zip(
        positions, documents.get_many([stream.event_ref(position) for position in positions]), strict=True
    ):
        if document is None:
            raise BackendRejected(f"The stream {stream.stream_id!a} lacks the event at its position {position}.")
        event = stream.event(position, document.fields)
        found[event.event_id] = event
    return found


def _chunks(batches: list[Batch]) -> Iterator[list[Batch]]:
    """Whole batches in order, as many together as one atomic write takes."""
    chunk: list[Batch] = []
    events = size = 0
    for batch in batches:
        if chunk and (events + len(batch.drafts) > EVENTS_PER_APPEND or size + batch.size > ATOMIC_BYTES):
            yield chunk
            chunk, events, size = [], 0, 0
        chunk.append(batch)
        events, size = events + len(batch.drafts), size + batch.size
    if chunk:
        yield chunk


def _pause(longest: float) -> None:
    time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret


_Streams = OrderedDict[tuple[str, ...], StreamAppender]
_appenders: Final[WeakKeyDictionary[object, _Streams]] = WeakKeyDictionary()
_lookup: Final = threading.Lock()


def appender_for(documents: GuardedDocuments, stream: Stream) -> StreamAppender:
    """Return this process's appender of the stream. It goes when the driver goes, so a flipped route starts afresh."""
    with _lookup:
        streams = _appenders.setdefault(documents.cache_anchor, OrderedDict())
        appender = streams.setdefault(stream.binding, StreamAppender())
        streams.move_to_end(stream.binding)
        if len(streams) > STREAMS_KEPT:
            streams.popitem(last=False)
        return appender
