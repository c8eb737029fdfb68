"""Writes to one session: the callers of this process share atomic writes, and other processes are met by compare-and-set.

Each write names the version of the header that it was planned on, so nothing is lost, nothing interleaves with a batch, and
nothing is added to a session that is about to end.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from northstar.errors import AlreadyExists, Conflict, NorthstarError, VersionConflict
from storage.documents import ABSENT, ANY, BulkPut, Expect, Operation, Put, Written
from storage.errors import BackendUnavailable
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
from storage.kinds.events import same_value
from storage.kinds.memory_people import mark
from storage.kinds.memory_places import COLLECTION, HEADER_KEY, POINTER_PREFIX, SessionPlace, message_key
from storage.kinds.session_endings import end_session
from storage.kinds.sessions import (
    APPEND_BYTES,
    DELETING,
    MESSAGES_PER_APPEND,
    Draft,
    Header,
    Message,
    MessageIdReused,
    Settings,
    header_of,
    message_of,
    new_header,
)


@dataclass(frozen=True, slots=True)
class Change:
    """What one caller writes: messages, or what is said of the session as a whole. `expect` is about the session."""

    documents: GuardedDocuments
    place: SessionPlace
    drafts: tuple[Draft, ...] = ()
    settings: Settings | None = None
    expect: Expect = ANY

    @property
    def count(self) -> int:
        return len(self.drafts)

    @property
    def size(self) -> int:
        return sum(draft.size for draft in self.drafts)

    @property
    def alone(self) -> bool:
        return self.expect is not ANY


@dataclass(frozen=True, slots=True)
class Applied:
    """The session after a change, and the messages of the change as stored."""

    header: Header
    messages: tuple[Message, ...]


Outcome = Applied | Exception


@dataclass(slots=True)
class _Plan:
    """One atomic write under construction, on the header as it is stored (None: there is no session).

    `known` has the messages that are stored or are about to be, by id; `placed` one answer per change.
    """

    stored: Header | None
    header: Header
    known: dict[str, Message]
    now: datetime
    puts: list[Put] = field(default_factory=list)
    placed: list[tuple[Message, ...] | Exception] = field(default_factory=list)

    def place(self, change: Change) -> None:
        refusal = self._reused(change) or self._unexpected(change)
        if refusal is not None:
            self.placed.append(refusal)
            return
        new = self._new(change)
        if new or change.settings is not None:
            first = self.header.count + 1
            self.header = self.header.grown(len(new), self.now, change.settings)
            for position, draft in enumerate(new, first):
                self._add(position, draft)
        self.placed.append(tuple(self.known[draft.message_id] for draft in change.drafts))

    def _new(self, change: Change) -> list[Draft]:
        drafts = {draft.message_id: draft for draft in change.drafts}
        return [draft for draft in drafts.values() if draft.message_id not in self.known]

    def _reused(self, change: Change) -> MessageIdReused | None:
        seen: dict[str, Draft] = {}
        for draft in change.drafts:
            other = self.known.get(draft.message_id) or seen.setdefault(draft.message_id, draft)
            if other is not draft and not _is_same(other, draft):
                return MessageIdReused(
                    f"The message id {draft.message_id!a} belongs to a message with another role, content or metadata.",
                    fix="Give each message an id of its own; send a message again exactly as it was.",
                )
        return None

    def _unexpected(self, change: Change) -> NorthstarError | None:
        """What speaks against the change; nothing where all of its messages are known, since then it was made before."""
        if change.expect is ANY or (change.drafts and not self._new(change)):
            return None
        if change.expect is ABSENT:
            return AlreadyExists("The session exists.") if self.stored else None
        if self.stored and self.stored.version == change.expect:
            return None
        return VersionConflict("The session was written since, or is gone.", fix="Read it again.")

    def _add(self, position: int, draft: Draft) -> None:
        fields = draft.fields(self.header.updated_at)
        self.puts.append(Put(message_key(position), fields, expect=ABSENT))
        if draft.named:
            self.puts.append(Put(POINTER_PREFIX + draft.message_id, {"position": position}, expect=ABSENT))
        self.known[draft.message_id] = message_of(position, fields)

    def operations(self, expect: Expect) -> list[Operation]:
        """The write, or nothing where nothing changes. `expect` is about the header's document."""
        if self.header is self.stored or not any(isinstance(one, tuple) for one in self.placed):
            return []
        return [Put(HEADER_KEY, self.header.fields(), expect, self.header.expires_at), *self.puts]


class SessionAppender:
    """The one place where a process writes to a session of a driver. Keeps no store: each change brings its own."""

    def __init__(self) -> None:
        self._hint: Header | None = None
        self._hint_until = 0.0
        self._commits: GroupCommit[Change, Applied] = GroupCommit(self._commit)

    def apply(self, change: Change) -> Applied:
        """Apply the change whole or not at all. Raises Conflict, MessageIdReused, VersionConflict or what the store raises."""
        return self._commits.submit(change)

    def _commit(self, changes: list[Change]) -> list[Outcome]:
        return in_chunks(changes, self._write, most=MESSAGES_PER_APPEND, most_bytes=APPEND_BYTES, failed=self._forget)

    def _forget(self) -> None:
        self._hint = None

    def _write(self, chunk: list[Change]) -> list[Outcome]:
        documents, place = chunk[0].documents, chunk[0].place
        lost_answers, tried = 0, dict[str, int]()
        for attempt in range(ATTEMPTS):
            found = self._header(documents, place, again=attempt > 0 or chunk[0].alone)
            plan = _planned(documents, chunk, found, tried)
            try:
                header = _sent(documents, place, plan, found)
            except (AlreadyExists, VersionConflict):
                _make_way(documents, place, found)
                pause_after_race(attempt)
            except BackendUnavailable:
                lost_answers += 1
                if lost_answers > LOST_ANSWERS or (chunk[0].alone and not chunk[0].drafts):
                    raise
                tried |= {message.message_id: message.position for message in plan.known.values()}
                pause(LOST_ANSWER_PAUSE_SECONDS)
            else:
                self._hint, self._hint_until = header, time.monotonic() + HINT_SECONDS
                return [one if isinstance(one, Exception) else Applied(header, one) for one in plan.placed]
        raise Conflict(f"The session {place.session_id!a} is too busy: {ATTEMPTS} races were lost.", fix="Retry.")

    def _header(self, documents: GuardedDocuments, place: SessionPlace, *, again: bool) -> Header | None:
        """Return the header's document, whatever its state; None where there is none."""
        hint = None if again or time.monotonic() >= self._hint_until else self._hint
        if hint is not None and hint.is_live and (hint.expires_at is None or datetime.now(UTC) < hint.expires_at):
            return hint
        document = documents.get(place.header_ref)
        return header_of(document) if document else None


def _planned(documents: GuardedDocuments, chunk: list[Change], found: Header | None, tried: dict[str, int]) -> _Plan:
    stored = found if found and found.is_live else None
    now = datetime.now(UTC)
    plan = _Plan(stored, stored or new_header(now), {}, now)
    if stored:
        ids = {draft.message_id for change in chunk for draft in change.drafts if draft.named}
        plan.known = _stored_by_id(documents, chunk[0].place, sorted(ids), tried)
    for change in chunk:
        plan.place(change)
    return plan


def _stored_by_id(
    documents: GuardedDocuments, place: SessionPlace, ids: list[str], tried: dict[str, int]
) -> dict[str, Message]:
    """Return those messages that are stored, by id: of the ids that clients chose, and of an earlier try that may have landed."""
    positions = set(tried.values())
    if ids:
        pointers = documents.get_many([place.pointer_ref(message_id) for message_id in ids])
        positions |= {pointer.fields["position"] for pointer in pointers if pointer}
    if not positions:
        return {}
    in_order = sorted(positions)
    found = documents.get_many([place.message_ref(position) for position in in_order])
    messages = [message_of(position, one.fields) for position, one in zip(in_order, found, strict=True) if one]
    return {message.message_id: message for message in messages}


def _sent(documents: GuardedDocuments, place: SessionPlace, plan: _Plan, found: Header | None) -> Header:
    """Send the plan's write and return the header as stored. Raises AlreadyExists or VersionConflict where others were faster."""
    if found is not None and found.state == DELETING:
        raise VersionConflict("The session is about to end.")
    operations = plan.operations(found.version if found else ABSENT)
    if not operations:
        return plan.header
    if plan.stored is None:
        _list(documents, place)
    written = documents.write(COLLECTION, place.partition, operations)[0]
    assert isinstance(written, Written)
    return replace(plan.header, version=written.version)


def _list(documents: GuardedDocuments, place: SessionPlace) -> None:
    """List a session before it begins: what is listed and never began is tolerated, the other way round it would be lost."""
    for outcome in documents.put_many([mark(place.place), BulkPut(place.listed_ref, {})]):
        if isinstance(outcome, Exception):
            raise outcome


def _make_way(documents: GuardedDocuments, place: SessionPlace, found: Header | None) -> None:
    """After a lost race: finish what ends, and remove what an expired session has left where new messages should stand."""
    if found is None:
        end_session(documents, place, new_header(datetime.now(UTC)))
    elif found.state == DELETING:
        end_session(documents, place, found)


def _is_same(left: Message | Draft, right: Draft) -> bool:
    return all(
        same_value(one, other)
        for one, other in ((left.role, right.role), (left.content, right.content), (left.metadata, right.metadata))
    )


_appenders: Final = PerDriver(SessionAppender)


def appender_for(documents: GuardedDocuments, place: SessionPlace) -> SessionAppender:
    """Return this process's appender of the session. It goes when the driver goes, so a flipped route starts afresh."""
    return _appenders.get(documents.cache_anchor, place.binding)
