"""Sessions of one place: appended to, read by windows, listed, and ended as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from northstar.errors import Conflict, VersionConflict
from storage.documents import ANY, Document, Expect
from storage.guard import GuardedDocuments
from storage.kinds.appending import ATTEMPTS, pause_after_race
from storage.kinds.memory_places import COLLECTION, MESSAGE_PREFIX, Place, SessionPlace, message_key
from storage.kinds.paging import every, pages
from storage.kinds.session_appender import Applied, Change, appender_for
from storage.kinds.session_endings import end_session, forget_marker, unlist
from storage.kinds.sessions import (
    DELETED,
    Header,
    Message,
    NewMessage,
    Session,
    drafts_of,
    header_of,
    message_of,
    new_header,
    settings_of,
)

WHOLE_READS: Final = 8
"""How often a window is read again that somebody deletes meanwhile."""


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions without their messages, in the byte order of their ids. `next_after` is the id to go on after, None at the end.

    A page may have fewer sessions than asked for: those that have ended are left out.
    """

    sessions: tuple[Session, ...]
    next_after: str | None


class Sessions:
    """The sessions of one place. A session exists from its first message, or from the first that is said of it as a whole."""

    def __init__(self, documents: GuardedDocuments, place: Place) -> None:
        self._documents = documents
        self._place = place

    def append(self, session_id: str, messages: Sequence[NewMessage], *, expect: Expect = ANY) -> Applied:
        """Append 1 to 24 messages (together about 1 MiB) atomically and return them as stored, in the order given.

        A message whose id is stored already is answered as it was, and nothing is added for it. Raises MessageIdReused when it
        comes with other content, VersionConflict or AlreadyExists when the session is not as `expect` says, and Conflict.
        """
        return self._apply(session_id, drafts=tuple(drafts_of(messages)), expect=expect)

    def save(
        self, session_id: str, metadata: Mapping[str, Any], *, ttl_hint: int | None = None, expect: Expect = ANY
    ) -> Session:
        """Say what the session is as a whole, and begin it where it is not there. Messages stay. Raises as `append`."""
        applied = self._apply(session_id, settings=settings_of(metadata, ttl_hint), expect=expect)
        return Session(self._at(session_id), applied.header)

    def get(self, session_id: str, *, limit: int = 100, before: int | None = None) -> Session | None:
        """Return the session with its last `limit` (1 to 1000) messages, or the last ones before a position; None without it.

        The messages are those of one moment: consecutive, the oldest first.
        """
        place = self._at(session_id)
        for _ in range(WHOLE_READS):
            header = self._live(place)
            if header is None:
                return None
            end = min(before or header.count + 1, header.count + 1)
            messages = self._window(place, end, limit)
            if len(messages) == min(limit, end - 1):
                return Session(place, header, messages)
        raise Conflict(f"The session {session_id!a} is being deleted and begun anew all the time.", fix="Retry.")

    def delete(self, session_id: str, *, expect: Expect = ANY) -> int | None:
        """End the session and return how many messages went; None where nothing was. Raises VersionConflict or Conflict.

        It is absent at once, and everything of it is gone when this returns.
        """
        place = self._at(session_id)
        removed: int | None = None
        known: int | None = None
        for attempt in range(ATTEMPTS):
            header = self._to_be_ended(place)
            if removed is None and expect is not ANY and (header is None or header.version != expect):
                raise VersionConflict("The session was written since, or is gone.", fix="Read it again.")
            if header is None or (removed is not None and header.is_live):
                return removed
            ending = end_session(self._documents, place, header)
            if ending is not None:
                if header.is_live:
                    known = header.count  # all of these go, whoever comes to remove them
                removed = (removed or 0) + ending.messages if known is None else known
                if ending.whole:
                    return removed
            pause_after_race(attempt)
        raise Conflict(f"The session {session_id!a} is too busy: {ATTEMPTS} races were lost.", fix="Retry.")

    def _to_be_ended(self, place: SessionPlace) -> Header | None:
        """Return the header of what is there to be ended: a session, or what is left of one; None where there is nothing."""
        document = self._documents.get(place.header_ref)
        if document is None:
            listed = self._documents.get(place.listed_ref)
            return new_header(datetime.now(UTC)) if listed else None  # it has expired: what it has left goes too
        header = header_of(document)
        return None if header.state == DELETED else header

    def erase_all(self) -> dict[str, int]:
        """End every session, expired ones too, and return how many messages each had. No marker of them stays."""
        erased: dict[str, int] = {}
        for listed, place, _ in self._listed():
            gone = self.delete(place.session_id)
            forget_marker(self._documents, place)
            unlist(self._documents, listed)
            if gone is not None:
                erased[place.session_id] = gone
        return erased

    def page(self, *, limit: int = 100, after: str | None = None) -> SessionPage:
        """Return up to `limit` (1 to 1000) sessions, strictly after an id. Two calls of the store, whatever the limit."""
        page = self._documents.scan(
            COLLECTION,
            self._place.sessions,
            prefix=self._place.key(""),
            after=None if after is None else self._place.key(after),
            limit=limit,
        )
        places, headers = self._headers(page.documents)
        found = [(place, header_of(one)) for place, one in zip(places, headers, strict=True) if one]
        sessions = tuple(Session(place, header) for place, header in found if header.is_live)
        return SessionPage(sessions, places[-1].session_id if page.cursor is not None else None)

    def messages(self, session_id: str) -> Iterator[Message]:
        """Yield every message, the oldest first, as they stand when they are read."""
        place = self._at(session_id)
        for document in every(self._documents, COLLECTION, place.partition, prefix=MESSAGE_PREFIX):
            yield message_of(_position(document), document.fields)

    def every(self) -> Iterator[Session]:
        """Yield every session, without its messages."""
        for _, place, document in self._listed():
            if document and (header := header_of(document)).is_live:
                yield Session(place, header)

    def sweep(self, *, listed_before: datetime, dry_run: bool = False) -> int:
        """Remove what sessions have left that expired, or whose end was cut short, and return how many there were.

        A session that was listed after `listed_before` may be about to begin, and is left alone.
        """
        swept = 0
        for place in self._ended(listed_before):
            document = self._documents.get(place.header_ref)
            header = header_of(document) if document else new_header(datetime.now(UTC))
            if dry_run or end_session(self._documents, place, header) is not None:
                swept += 1
        return swept

    def _ended(self, listed_before: datetime) -> Iterator[SessionPlace]:
        for listed, place, document in self._listed():
            if listed.updated_at < listed_before and (document is None or not header_of(document).is_live):
                yield place

    def _listed(self) -> Iterator[tuple[Document, SessionPlace, Document | None]]:
        """Yield what lists each session, its place, and its header."""
        for page in pages(self._documents, COLLECTION, self._place.sessions, prefix=self._place.key("")):
            yield from zip(page, *self._headers(page), strict=True)

    def _headers(self, listed: Sequence[Document]) -> tuple[list[SessionPlace], list[Document | None]]:
        prefix = self._place.key("")
        places = [SessionPlace(self._place, one.ref.key.removeprefix(prefix)) for one in listed]
        return places, self._documents.get_many([place.header_ref for place in places]) if places else []

    def _at(self, session_id: str) -> SessionPlace:
        return SessionPlace.checked(self._place, session_id)

    def _apply(self, session_id: str, **change: Any) -> Applied:
        place = self._at(session_id)
        return appender_for(self._documents, place).apply(Change(self._documents, place, **change))

    def _live(self, place: SessionPlace) -> Header | None:
        document = self._documents.get(place.header_ref)
        header = header_of(document) if document else None
        return header if header and header.is_live else None

    def _window(self, place: SessionPlace, end: int, limit: int) -> tuple[Message, ...]:
        page = self._documents.scan(
            COLLECTION, place.partition, prefix=MESSAGE_PREFIX, before=message_key(end), limit=limit, reverse=True
        )
        return tuple(message_of(_position(one), one.fields) for one in reversed(page.documents))


def _position(document: Document) -> int:
    return int(document.ref.key.removeprefix(MESSAGE_PREFIX))
