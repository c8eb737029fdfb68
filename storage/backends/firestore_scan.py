"""Ordered scans of one partition: one query between two keys, and further ones only where expired documents left room.

Upwards by name, which needs no index of ours. Firestore does not list by name downwards, so that goes by the field `key`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from storage.backends.firestore_client import FirestoreConnection, messages
from storage.backends.firestore_items import KEY, present_document
from storage.backends.firestore_names import GROUP, beyond, document_id, key_of, parent_of
from storage.backends.service import Place
from storage.documents import Document, Page, Ref

REFILL: Final = 100
"""Documents asked for at least when a page goes on, and twice as many each time: expired ones lie together."""
MOST_REFILL: Final = 1600


@dataclass(frozen=True, slots=True)
class Range:
    """Keys from `low` to below `high` (None: to the end), in the byte order of UTF-8; `low` itself only where `closed`."""

    low: str
    high: str | None
    closed: bool = True

    @classmethod
    def of(cls, prefix: str) -> "Range":
        """All keys with a prefix."""
        return cls(prefix, beyond(prefix))

    @property
    def empty(self) -> bool:
        return self.high is not None and not _less(self.low, self.high)

    def above(self, key: str | None) -> "Range":
        """Return the part after a key; all of it for None."""
        if key is None or _less(key, self.low):
            return self
        return replace(self, low=key, closed=False)

    def below(self, key: str | None) -> "Range":
        """Return the part before a key; all of it for None."""
        if key is None or (self.high is not None and _less(self.high, key)):
            return self
        return replace(self, high=key)

    def past(self, key: str | None, *, reverse: bool) -> "Range":
        """Return what is left in a direction once the key was seen."""
        return self.below(key) if reverse else self.above(key)


def scan_page(connection: FirestoreConnection, place: Place, keys: Range, *, limit: int, reverse: bool) -> Page:
    """Return the first documents of a range that have not expired, by ascending key or descending. Raises as reads do."""
    query = _descending if reverse else _ascending
    documents: list[Document] = []
    asked = limit + 1
    while not keys.empty:
        seen = []
        for stored in _stored(connection, query(connection.documents + parent_of(place), keys), asked):
            seen.append(key_of(stored.name))
            document = present_document(Ref(place.collection, place.partition, seen[-1]), stored)
            if document:
                documents.append(document)
            if len(documents) > limit:
                break  # which ends the query
        if len(seen) < asked or len(documents) > limit:
            break
        keys = keys.past(seen[-1], reverse=reverse)
        asked = min(max(2 * asked, REFILL), MOST_REFILL)
    more = len(documents) > limit
    return Page(tuple(documents[:limit]), documents[limit - 1].ref.key if more else None)


def _stored(connection: FirestoreConnection, request: Any, limit: int) -> Iterator[Any]:
    """Yield what is stored in a range, expired documents too."""
    request.structured_query.limit.value = limit
    for answer in connection.run_query(request):
        if answer.HasField("document"):
            yield answer.document


def _ascending(parent: str, keys: Range) -> Any:
    """The query from the low end. Both cursors are names: the end is that of all keys where there is no other."""
    request = _query(parent, "__name__", "ASCENDING")
    start, end = request.structured_query.start_at, request.structured_query.end_at
    start.values.add().reference_value = f"{parent}/{GROUP}/{document_id(keys.low)}"
    start.before = keys.closed  # the cursor lies before its value, which is then included
    end.values.add().reference_value = f"{parent}/{GROUP}/{document_id(keys.high)}"
    end.before = True
    return request


def _descending(parent: str, keys: Range) -> Any:
    """The query from the high end."""
    request = _query(parent, KEY, "DESCENDING")
    start, end = request.structured_query.start_at, request.structured_query.end_at
    if keys.high is not None:
        start.values.add().string_value = keys.high
        start.before = False
    end.values.add().string_value = keys.low
    end.before = not keys.closed
    return request


def _query(parent: str, field: str, direction: str) -> Any:
    request = messages().RunQueryRequest(parent=parent)
    query = request.structured_query
    query.from_.add(collection_id=GROUP)
    query.order_by.add(direction=direction).field.field_path = field
    return request


def _less(left: str, right: str) -> bool:
    return left.encode() < right.encode()
