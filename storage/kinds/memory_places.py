"""Whose memory, and where it lies: partitions and keys that no mode, project, user or id can make another's.

A tenant's environment is the guard's scope; below it the mode and the project are a *room*, and the user is the *owner*. What one
user has lies below that owner in every room, so that all of it can be found, shown and erased together.
"""

from dataclasses import dataclass
from typing import Final

from northstar.context import RequestContext
from storage.documents import Partition, Ref
from storage.keys import Scope, check_key, check_text

COLLECTION: Final = "memory_store"
SESSION_ID_BYTES: Final = 256
HEADER_KEY: Final = "header"
MESSAGE_PREFIX: Final = "m/"
POINTER_PREFIX: Final = "i/"
PEOPLE: Final = ("people",)

_NOBODY: Final = "_"
_USER_MARK: Final = "@"
"""Starts every owner that is a user, and the project in a room: no mode has it, and no user's owner is `_`."""


@dataclass(frozen=True, slots=True)
class Room:
    """A mode and a project: what one caller sees at a time."""

    mode: str
    project_id: str | None = None

    @classmethod
    def of(cls, context: RequestContext) -> "Room":
        return cls(context.mode, context.project_id)

    @property
    def name(self) -> str:
        """`lab`, or `lab@project`: without a slash, and never the same for two rooms."""
        if self.project_id is None:
            return self.mode
        return self.mode + _USER_MARK + self.project_id.replace("%", "%25").replace("/", "%2f")

    @classmethod
    def named(cls, name: str) -> "Room":
        """Undo `name`."""
        mode, mark, project = name.partition(_USER_MARK)
        return cls(mode, project.replace("%2f", "/").replace("%25", "%") if mark else None)


@dataclass(frozen=True, slots=True)
class Place:
    """A room, and whose things in it: a user's, or (None) those of the project as a whole."""

    scope: Scope
    room: Room
    user_id: str | None

    @property
    def owner(self) -> str:
        return _NOBODY if self.user_id is None else _USER_MARK + self.user_id

    @property
    def binding(self) -> tuple[str, ...]:
        """What a cursor of a listing here is bound to."""
        return (*self.scope.parts, self.owner, self.room.name)

    @property
    def sessions(self) -> Partition:
        """The partition that lists sessions."""
        return self._listing("session_list")

    @property
    def blackboards(self) -> Partition:
        """The partition that holds blackboards."""
        return self._listing("blackboards")

    def _listing(self, name: str) -> Partition:
        # A user has one partition for all rooms; what belongs to no user is only ever read by the room.
        return (name, self.owner) if self.user_id is not None else (name, self.owner, self.room.name)

    def key(self, name: str) -> str:
        """Return the key of a session or a blackboard in its listing."""
        return f"{self.room.name}/{name}"

    @property
    def people_ref(self) -> Ref:
        """The document that says that there is something of this owner."""
        name = self.owner if self.user_id is not None else f"{self.owner}/{self.room.name}"
        return Ref(COLLECTION, PEOPLE, name)

    def identity(self, name: str) -> str:
        """Return one id of a thing in its place: `tenant#mode#project#user#name`, each part escaped, so that no two meet."""
        parts = (self.scope.tenant, self.room.mode, self.room.project_id or "", self.user_id or "", name)
        return "#".join(part.replace("%", "%25").replace("#", "%23") for part in parts)


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """The place of one session: a partition of its own."""

    place: Place
    session_id: str

    @classmethod
    def checked(cls, place: Place, session_id: str) -> "SessionPlace":
        """Return the place. Raises InvalidKey for an id that no session can have."""
        check_text(session_id, what="session id", max_bytes=SESSION_ID_BYTES)
        check_key(place.key(session_id))
        return cls(place, session_id)

    @property
    def partition(self) -> Partition:
        return ("sessions", self.place.owner, self.place.room.name, self.session_id)

    @property
    def binding(self) -> tuple[str, ...]:
        return (*self.place.scope.parts, *self.partition)

    @property
    def header_ref(self) -> Ref:
        return Ref(COLLECTION, self.partition, HEADER_KEY)

    @property
    def listed_ref(self) -> Ref:
        """The document that lists the session."""
        return Ref(COLLECTION, self.place.sessions, self.place.key(self.session_id))

    def message_ref(self, position: int) -> Ref:
        return Ref(COLLECTION, self.partition, message_key(position))

    def pointer_ref(self, message_id: str) -> Ref:
        return Ref(COLLECTION, self.partition, POINTER_PREFIX + message_id)


def message_key(position: int) -> str:
    """Return the key whose byte order is the order of positions."""
    return f"{MESSAGE_PREFIX}{position:020d}"


def owner_of(key: str) -> tuple[str | None, Room | None]:
    """Return the user that a key of `PEOPLE` names, or for no user's things the room."""
    if key.startswith(_USER_MARK):
        return key.removeprefix(_USER_MARK), None
    return None, Room.named(key.partition("/")[2])
