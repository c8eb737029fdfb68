"""Blackboards of one place: small shared state by key, with versions, compare-and-set, counters and exact expiry.

A blackboard's data are the document's own fields, so that every backend adds to them natively.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from storage.documents import ANY, Deltas, Document, Expect, Expectation, Ref, Totals
from storage.guard import GuardedDocuments
from storage.keys import check_text
from storage.kinds.memory_people import mark_now_and_then
from storage.kinds.memory_places import COLLECTION, Place
from storage.kinds.paging import every

KEY_BYTES: Final = 700
"""Of a blackboard's key: beside it a document's key has room for the mode and the project."""

USER: Final = "user"
PROJECT: Final = "project"
BoardScope = Literal["user", "project"]
"""Whose a blackboard is: one user's, or everybody's in the project."""


@dataclass(frozen=True, slots=True)
class Blackboard:
    """A stored blackboard. `version` grows with every write and is never used twice for a key; times are UTC."""

    place: Place
    key: str
    data: dict[str, Any]
    version: int
    updated_at: datetime
    expires_at: datetime | None

    @property
    def scope(self) -> BoardScope:
        return PROJECT if self.place.user_id is None else USER


@dataclass(frozen=True, slots=True)
class BlackboardPage:
    """Blackboards in the byte order of their keys. `next_after` is the key to go on after, None on the last page."""

    blackboards: tuple[Blackboard, ...]
    next_after: str | None


class Blackboards:
    """The blackboards of one place."""

    def __init__(self, documents: GuardedDocuments, place: Place) -> None:
        self._documents = documents
        self.place = place

    def put(
        self, key: str, data: Mapping[str, Any], *, expires_at: datetime | None = None, expect: Expect = ANY
    ) -> Blackboard:
        """Replace the data and the expiry and return the blackboard as stored.

        Raises AlreadyExists (expect=ABSENT) or VersionConflict, and InvalidValue for an expiry that is not in the future.
        """
        ref = self._ref(key)
        mark_now_and_then(self._documents, self.place)
        written = self._documents.put(ref, data, expect=expect, expires_at=expires_at)
        return Blackboard(self.place, key, dict(data), written.version, written.updated_at, expires_at)

    def get(self, key: str) -> Blackboard | None:
        """Return the blackboard, or None when it is missing or expired."""
        document = self._documents.get(self._ref(key))
        return self._board(document) if document else None

    def delete(self, key: str, *, expect: Literal[Expectation.ANY] | int = ANY) -> bool:
        """Remove the blackboard and return whether it was there. Raises VersionConflict for another version or a missing one."""
        return self._documents.delete(self._ref(key), expect=expect)

    def increment(
        self,
        key: str,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        """Add to top-level number fields in one atomic step; what is missing starts at 0, and the expiry stays.

        Raises CeilingReached, FloorReached or InvalidValue, and then nothing was changed.
        """
        ref = self._ref(key)
        mark_now_and_then(self._documents, self.place)
        return self._documents.increment(ref, deltas, ceilings=ceilings, floors=floors, operation_id=operation_id)

    def page(self, prefix: str = "", *, limit: int = 100, after: str | None = None) -> BlackboardPage:
        """Return up to `limit` (1 to 1000) blackboards whose keys start with `prefix`, strictly after the key `after`."""
        page = self._documents.scan(
            COLLECTION,
            self.place.blackboards,
            prefix=self.place.key(prefix),
            after=None if after is None else self.place.key(after),
            limit=limit,
        )
        boards = tuple(map(self._board, page.documents))
        return BlackboardPage(boards, boards[-1].key if page.cursor is not None else None)

    def every(self) -> Iterator[Blackboard]:
        """Yield every blackboard."""
        return map(self._board, every(self._documents, COLLECTION, self.place.blackboards, prefix=self.place.key("")))

    def _ref(self, key: str) -> Ref:
        check_text(key, what="key", max_bytes=KEY_BYTES)
        return Ref(COLLECTION, self.place.blackboards, self.place.key(key))

    def _board(self, document: Document) -> Blackboard:
        key = document.ref.key.removeprefix(self.place.key(""))
        return Blackboard(self.place, key, document.fields, document.version, document.updated_at, document.expires_at)
