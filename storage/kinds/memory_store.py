"""MemoryStore: what agents remember. Sessions of messages in append order, and blackboards of shared state.

Everything lies by tenant, environment, mode, project and user, whatever the ids look like (`memory_places`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from northstar.context import RequestContext
from northstar.errors import InvalidContext
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.blackboards import USER, Blackboards, BoardScope
from storage.kinds.memory_people import PeoplePage, all_people, forget, noticed, people_page
from storage.kinds.memory_places import COLLECTION, PEOPLE, Place, Room
from storage.kinds.paging import every
from storage.kinds.session_memory import Sessions


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased in one room: each session with how many messages it had, and the keys of blackboards."""

    room: Room
    sessions: dict[str, int]
    blackboards: list[str]


class MemoryStore:
    """The memory of one context: its project's in its mode, and in it its user's where it names one."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = documents

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def place(self) -> Place:
        """Where the context's own things lie."""
        return self.place_of(Room.of(self.context), self.context.user_id)

    @property
    def sessions(self) -> Sessions:
        """The sessions of the context's user; without a user, those that belong to nobody in particular."""
        return Sessions(self._documents, self.place)

    def blackboards(self, scope: BoardScope | None = None) -> Blackboards:
        """The blackboards of the context's user, or of its project; left out, the user's where the context names one.

        Raises InvalidContext for a user's when there is none.
        """
        if scope == USER and self.context.user_id is None:
            raise InvalidContext(
                "There is no user whose blackboards these are.", fix="Send X-User-Id, or scope=project."
            )
        user_id = self.context.user_id if scope in {None, USER} else None
        return Blackboards(self._documents, self.place_of(Room.of(self.context), user_id))

    def place_of(self, room: Room, user_id: str | None) -> Place:
        """Return a place in the tenant's environment."""
        return Place(Scope(self.context.tenant_id, self.context.env), room, user_id)

    def sessions_at(self, room: Room, user_id: str | None) -> Sessions:
        """The sessions of another room or user of the environment, for operators."""
        return Sessions(self._documents, self.place_of(room, user_id))

    def blackboards_at(self, room: Room, user_id: str | None) -> Blackboards:
        """The blackboards of another room or user of the environment, for operators."""
        return Blackboards(self._documents, self.place_of(room, user_id))

    def people(self, *, limit: int = 100, after: str | None = None) -> PeoplePage:
        """Return up to `limit` of those of whom this environment keeps anything."""
        return people_page(self._documents, limit=limit, after=after)

    def rooms_of(self, user_id: str) -> list[Room]:
        """Return every room in which the user has something, in the order of their names."""
        place = self.place_of(Room.of(self.context), user_id)
        names = {
            document.ref.key.partition("/")[0]
            for partition in (place.sessions, place.blackboards)
            for document in every(self._documents, COLLECTION, partition)
        }
        return [Room.named(name) for name in sorted(names)]

    def erase(self, user_id: str) -> Iterator[Erased]:
        """Erase everything of a user, room by room, and yield what went. What the user begins meanwhile may stay: ask again."""
        place = self.place_of(Room.of(self.context), user_id)
        seen = noticed(self._documents, place)
        for room in self.rooms_of(user_id):
            yield self._erase_room(room, user_id)
        if seen:
            forget(self._documents, place, seen)
        for partition in (place.sessions, place.blackboards, PEOPLE):
            self._documents.scrub(COLLECTION, partition)

    def sweep(self, *, listed_before: datetime, dry_run: bool = False) -> int:
        """Remove what expired or half ended sessions have left anywhere in the environment; see `Sessions.sweep`."""
        swept = 0
        for person in all_people(self._documents):
            rooms = self.rooms_of(person.user_id) if person.user_id is not None else [person.room]
            for room in filter(None, rooms):
                sessions = self.sessions_at(room, person.user_id)
                swept += sessions.sweep(listed_before=listed_before, dry_run=dry_run)
        return swept

    def _erase_room(self, room: Room, user_id: str) -> Erased:
        sessions, boards = self.sessions_at(room, user_id), self.blackboards_at(room, user_id)
        keys = [board.key for board in boards.every() if boards.delete(board.key)]
        return Erased(room, sessions.erase_all(), keys)
