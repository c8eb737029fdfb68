"""People: of whom a tenant's environment keeps anything, so that sweeps and operators find it without knowing any name."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from northstar.errors import VersionConflict
from storage.documents import BulkPut, Document
from storage.guard import GuardedDocuments
from storage.kinds.appending import PerDriver
from storage.kinds.memory_places import COLLECTION, PEOPLE, Place, Room, owner_of
from storage.kinds.paging import every

MARKED_SECONDS: Final = 600.0
"""How long this process believes that the mark it has written for a blackboard stands."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of whom something is kept: a user, in any room, or (None) a room's own things, which belong to no user."""

    user_id: str | None
    room: Room | None


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """People in the byte order of their keys. `next_after` is what to go on after, None on the last page."""

    people: tuple[Person, ...]
    next_after: str | None


class _Marked:
    """When this process has marked a place last."""

    def __init__(self) -> None:
        self.until = 0.0


_marked: Final = PerDriver(_Marked)


def mark(place: Place) -> BulkPut:
    """Return the write that says that there is something of this owner."""
    return BulkPut(place.people_ref, {})


def mark_now_and_then(documents: GuardedDocuments, place: Place) -> None:
    """Write the mark, unless this process did so within ten minutes."""
    ref = place.people_ref
    mine = _marked.get(documents.cache_anchor, _name(place))
    if time.monotonic() >= mine.until:
        documents.put(ref, {})
        mine.until = time.monotonic() + MARKED_SECONDS


def _name(place: Place) -> tuple[str, ...]:
    return (*place.scope.parts, place.people_ref.key)


def noticed(documents: GuardedDocuments, place: Place) -> Document | None:
    """Return the mark as it stands, to be forgotten later."""
    return documents.get(place.people_ref)


def forget(documents: GuardedDocuments, place: Place, seen: Document) -> None:
    """Remove a mark, unless it was written again since; this process writes it anew with the next blackboard."""
    _marked.get(documents.cache_anchor, _name(place)).until = 0.0
    try:
        documents.delete(seen.ref, expect=seen.version)
    except VersionConflict:
        return


def people_page(documents: GuardedDocuments, *, limit: int, after: str | None) -> PeoplePage:
    """Return up to `limit` people of the environment, strictly after a key."""
    page = documents.scan(COLLECTION, PEOPLE, limit=limit, after=after)
    return PeoplePage(tuple(_person(document.ref.key) for document in page.documents), page.cursor)


def all_people(documents: GuardedDocuments) -> Iterator[Person]:
    """Yield everybody."""
    for document in every(documents, COLLECTION, PEOPLE):
        yield _person(document.ref.key)


def _person(key: str) -> Person:
    user_id, room = owner_of(key)
    return Person(user_id, room)
