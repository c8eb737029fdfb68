"""Appends to one stream: the callers of this process share atomic writes, and other processes are met by compare-and-set.

Event n+1 is written with expect=ABSENT, only after n was seen committed. So what can be read is always a dense prefix, and an
event that commits late can take no position that a reader has passed.
"""

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from northstar.errors import AlreadyExists, Conflict
from storage.documents import ATOMIC_BYTES, Operation
from storage.errors import BackendRejected, BackendUnavailable
from storage.group_commit import GroupCommit
from storage.guard import GuardedDocuments
from storage.kinds.appending import (
    ATTEMPTS,
    HINT_SECONDS,
    LOST_ANSWER_PAUSE_SECONDS,
    LOST_ANSWERS,
    PerDriver,
    in_chunks,
    pause,
    pause_after_race,
)
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


@dataclass(frozen=True, slots=True)
class Batch:
    """What one caller appends: all of it or nothing."""

    documents: GuardedDocuments
    stream: Stream
    drafts: list[Draft]
    alone: bool = False

    @property
    def count(self) -> int:
        return len(self.drafts)

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
        return in_chunks(batches, self._write, most=EVENTS_PER_APPEND, most_bytes=ATOMIC_BYTES, failed=self._forget)

    def _forget(self) -> None:
        self._hint = None

    def _write(self, chunk: list[Batch]) -> list[Outcome]:
        lost_answers = 0
        for attempt in range(ATTEMPTS):
            plan = self._plan(chunk, again=attempt > 0)
            outcomes = [plan.place(batch) for batch in chunk]
            try:
                if plan.operations:
                    chunk[0].documents.write(COLLECTION, plan.stream.partition, plan.operations)
            except AlreadyExists:
                pause_after_race(attempt)
            except BackendUnavailable:
                lost_answers += 1
                if lost_answers > LOST_ANSWERS:
                    raise
                pause(LOST_ANSWER_PAUSE_SECONDS)
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


_appenders: Final = PerDriver(StreamAppender)


def appender_for(documents: GuardedDocuments, stream: Stream) -> StreamAppender:
    """Return this process's appender of the stream. It goes when the driver goes, so a flipped route starts afresh."""
    return _appenders.get(documents.cache_anchor, stream.binding)
