"""How a session ends: first its header says so, then its messages go, then what lists it, and at last a marker stays for an hour.

Whoever meets a session half ended ends it. Each step is conditioned on the header as it was read, so two that end one session,
or one that is slow, never touch the session that was begun after it under the same id.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ABSENT, ATOMIC_OPERATIONS, Delete, Document, Put, Written
from storage.guard import GuardedDocuments
from storage.kinds.memory_places import COLLECTION, HEADER_KEY, MESSAGE_PREFIX, SessionPlace
from storage.kinds.sessions import DELETED, DELETING, Header, new_header

MARKER_TIME: Final = timedelta(hours=1)
"""No append on its way is as old."""
AT_ONCE: Final = ATOMIC_OPERATIONS - 1
"""Documents that go in one write: beside them it confirms the header."""


@dataclass(slots=True)
class Ending:
    """An end under way: how many messages it has removed, and whether it came to its end before anybody else's did."""

    messages: int = 0
    whole: bool = False


def end_session(documents: GuardedDocuments, place: SessionPlace, header: Header) -> Ending | None:
    """End the session with this header (version 0: what is left of one that has expired).

    None: somebody else has written the header since; nothing was touched. Else the session is absent from now on.
    """
    listed = documents.get(place.listed_ref)
    ending = Ending()
    try:
        version = documents.put(place.header_ref, _state(DELETING), expect=header.version or ABSENT).version
    except (AlreadyExists, VersionConflict):
        return None
    try:
        version = _remove_messages(documents, place, version, ending)
        if listed is not None:
            unlist(documents, listed)
        expires_at = datetime.now(UTC) + MARKER_TIME
        documents.put(place.header_ref, _state(DELETED), expect=version, expires_at=expires_at)
        documents.scrub(COLLECTION, place.partition)
        ending.whole = True
    except VersionConflict:  # somebody has met the session half ended, and goes on with it
        pass
    return ending


def forget_marker(documents: GuardedDocuments, place: SessionPlace) -> None:
    """Remove the marker that an ended session has left; one that was begun anew stays."""
    document = documents.get(place.header_ref)
    if document is not None and document.fields["state"] == DELETED:
        try:
            documents.delete(place.header_ref, expect=document.version)
        except VersionConflict:
            return


def _remove_messages(documents: GuardedDocuments, place: SessionPlace, version: int, ending: Ending) -> int:
    """Remove everything but the header, count the messages, and return the header's new version."""
    while True:
        page = documents.scan(COLLECTION, place.partition, after=HEADER_KEY, limit=AT_ONCE)
        if not page.documents:
            return version
        keys = [document.ref.key for document in page.documents]
        confirmed = Put(HEADER_KEY, _state(DELETING), expect=version)
        written = documents.write(COLLECTION, place.partition, [confirmed, *map(Delete, keys)])[0]
        assert isinstance(written, Written)
        version = written.version
        ending.messages += sum(key.startswith(MESSAGE_PREFIX) for key in keys)


def unlist(documents: GuardedDocuments, listed: Document) -> None:
    """Remove what lists a session, unless somebody who begins it anew has listed it again since."""
    try:
        documents.delete(listed.ref, expect=listed.version)
    except VersionConflict:
        return


def _state(state: str) -> dict[str, Any]:
    return replace(new_header(datetime.now(UTC)), state=state).fields()
