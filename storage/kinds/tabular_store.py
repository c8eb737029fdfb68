"""TabularStore: records by table and key, with compare-and-set, exact counters and ordered listing by prefix.

A table is one partition, (table,). A record's data are the document's own fields, so that every backend adds to them natively.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from northstar.context import RequestContext
from northstar.errors import InvalidRequest, NorthstarError
from storage.documents import (
    ANY,
    BulkPut,
    Deltas,
    Document,
    Expect,
    Expectation,
    Operation,
    Outcome,
    Ref,
    Totals,
    Written,
)
from storage.errors import ValueTooLarge
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope

COLLECTION: Final = "tabular_store"
BATCH_ITEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """A stored record. `version` grows with every write and is never used twice for a key; `updated_at` is UTC."""

    key: str
    data: dict[str, Any]
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Records in the byte order of their UTF-8 keys. `next_after` is the key to go on after, None on the last page."""

    records: tuple[Record, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class PutRecord:
    """Write one record of a batch."""

    key: str
    data: Mapping[str, Any]
    expect: Expect = ANY


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Remove one record of a batch."""

    key: str
    expect: Literal[Expectation.ANY] | int = ANY


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item of a batch. `version` is set when it was stored, `error` when it was refused."""

    key: str
    outcome: Literal["stored", "deleted", "error"]
    version: int | None = None
    error: NorthstarError | None = None


class TabularStore:
    """The tables of one scope. A table exists as soon as it has a record."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = documents

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def scope(self) -> Scope:
        return self._documents.scope

    @property
    def cache_anchor(self) -> object:
        """An object that lives as long as the driver: what a caller caches of these tables hangs on it, weakly."""
        return self._documents.cache_anchor

    def upsert(
        self, table: str, key: str, data: Mapping[str, Any], *, expect: Expect = ANY, operation_id: str = ""
    ) -> Record:
        """Replace the record's data and return it as stored.

        Raises AlreadyExists (expect=ABSENT) or VersionConflict.
        """
        written = self._documents.put(_ref(table, key), data, expect=expect, operation_id=operation_id)
        return Record(key, dict(data), written.version, written.updated_at)

    def get(self, table: str, key: str) -> Record | None:
        """Return the record, or None when it is missing."""
        document = self._documents.get(_ref(table, key))
        return _record(document) if document else None

    def get_many(self, table: str, keys: Sequence[str]) -> list[Record | None]:
        """Return one entry per key, in the order asked; None for a record that is missing."""
        documents = self._documents.get_many([_ref(table, key) for key in keys])
        return [_record(document) if document else None for document in documents]

    def write(self, table: str, operations: Sequence[Operation], *, operation_id: str = "") -> list[Outcome]:
        """Apply 1 to 50 operations on records of one table, all or none.

        Raises what the first failing operation would raise alone, or ValueTooLarge.
        """
        return self._documents.write(COLLECTION, (table,), operations, operation_id=operation_id)

    def delete(
        self, table: str, key: str, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = ""
    ) -> bool:
        """Remove the record and return whether it was there. Raises VersionConflict for another version or a missing record."""
        return self._documents.delete(_ref(table, key), expect=expect, operation_id=operation_id)

    def list_by_prefix(
        self, table: str, prefix: str = "", *, limit: int = 100, after: str | None = None, reverse: bool = False
    ) -> RecordPage:
        """Return up to `limit` (1 to 1000) records whose keys start with `prefix`, strictly after the key `after`.

        `reverse` turns the order around: the last keys come first, and what is after `after` lies below it.
        """
        bounds = {"before" if reverse else "after": after}
        page = self._documents.scan(COLLECTION, (table,), prefix=prefix, limit=limit, reverse=reverse, **bounds)
        return RecordPage(tuple(map(_record, page.documents)), page.cursor)

    def increment(
        self,
        table: str,
        key: str,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        """Add to top-level number fields in one atomic step; a missing record or field starts at 0.

        Raises CeilingReached, FloorReached or InvalidValue, and then nothing was changed.
        """
        return self._documents.increment(
            _ref(table, key), deltas, ceilings=ceilings, floors=floors, operation_id=operation_id
        )

    def batch(self, table: str, items: Sequence[PutRecord | DeleteRecord]) -> list[ItemOutcome]:
        """Apply 1 to 1000 items, each for itself, and return one outcome per item, in the order given.

        Raises ValueTooLarge or InvalidRequest (a key stands twice) before anything is written.
        """
        _check_batch(items)
        puts = [item for item in items if isinstance(item, PutRecord)]
        outcomes = dict(zip((put.key for put in puts), self._put_all(table, puts), strict=True))
        return [outcomes[item.key] if isinstance(item, PutRecord) else self._delete_one(table, item) for item in items]

    def _put_all(self, table: str, puts: Sequence[PutRecord]) -> list[ItemOutcome]:
        documents = [BulkPut(_ref(table, put.key), put.data, put.expect) for put in puts]
        outcomes = self._documents.put_many(documents) if documents else []
        return [_put_outcome(put.key, outcome) for put, outcome in zip(puts, outcomes, strict=True)]

    def _delete_one(self, table: str, item: DeleteRecord) -> ItemOutcome:
        try:
            self.delete(table, item.key, expect=item.expect)
        except NorthstarError as error:
            return ItemOutcome(item.key, "error", error=error)
        return ItemOutcome(item.key, "deleted")


def _ref(table: str, key: str) -> Ref:
    return Ref(COLLECTION, (table,), key)


def _record(document: Document) -> Record:
    return Record(document.ref.key, document.fields, document.version, document.updated_at)


def _put_outcome(key: str, outcome: Written | Exception) -> ItemOutcome:
    if isinstance(outcome, NorthstarError):
        return ItemOutcome(key, "error", error=outcome)
    if isinstance(outcome, Exception):  # a defect, not an answer
        raise outcome
    return ItemOutcome(key, "stored", version=outcome.version)


def _check_batch(items: Sequence[PutRecord | DeleteRecord]) -> None:
    if not items:
        raise InvalidRequest("The batch has no item.", fix=f"Send 1 to {BATCH_ITEMS} items.")
    if len(items) > BATCH_ITEMS:
        raise ValueTooLarge(f"The batch has {len(items)} items; {BATCH_ITEMS} are allowed.", fix="Split it.")
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise InvalidRequest(f"The key {item.key!a} stands twice in one batch.", fix="Send each key once.")
        seen.add(item.key)
