"""Documents in Google Firestore (native mode): one Firestore document each, in a collection per partition.

A version is the time at which Firestore committed the write, so every put is one conditional commit. Counters, deletes, atomic
writes and everything with a caller's operation id go through compare-and-set: Firestore's own transforms have no bounds, and
overwrite what is no number.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from storage.backends.compare_and_set import CompareAndSet
from storage.backends.firestore_bulk import BulkWrite
from storage.backends.firestore_client import FirestoreConnection
from storage.backends.firestore_config import FirestoreConfig
from storage.backends.firestore_items import ENVELOPE, present_document
from storage.backends.firestore_prepare import prepare_database
from storage.backends.firestore_scan import Range, scan_page
from storage.backends.firestore_service import FirestoreService
from storage.backends.firestore_writes import NativeWrites, as_written
from storage.backends.service import Place
from storage.documents import (
    ANY,
    BulkPut,
    Delete,
    Deltas,
    Document,
    Expect,
    Expectation,
    Fields,
    Increment,
    Limits,
    Operation,
    Outcome,
    Page,
    Partition,
    Put,
    Ref,
    Totals,
    Written,
)

_PING: Final = "northstar/ping"
"""A document that nobody writes."""


class FirestoreDocuments:
    """The document contract over one Firestore database. Raises BackendUnavailable for everything once it is closed."""

    Config: ClassVar[type[FirestoreConfig]] = FirestoreConfig
    limits: ClassVar[Limits] = Limits(
        key_bytes=1499, document_bytes=1_000_000, atomic_bytes=8 * 1024 * 1024, reads_cost=True
    )
    """Keys: of a document's id, less its mark. Documents: 1 MiB with name and envelope. Atomic writes: a request has 10 MiB."""

    def __init__(
        self,
        config: FirestoreConfig,
        *,
        mode: str,  # noqa: ARG002 - allowed in every mode
        epoch: int,
        collections: Sequence[str] = (),  # noqa: ARG002 - all lie in one place here
    ) -> None:
        """Take the settings; the connection is opened by the first call of each process."""
        self._connection = FirestoreConnection(config)
        self._service = FirestoreService(self._connection, epoch=epoch)
        self._writes = CompareAndSet(self._service, epoch=epoch)
        self._native = NativeWrites(self._service, self._writes)

    def get(self, ref: Ref) -> Document | None:
        (document,) = self.get_many([ref])
        return document

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        names = [self._service.name(Place(ref.collection, ref.partition), ref.key) for ref in refs]
        found = self._service.read(dict.fromkeys(names))
        stored = (found[name] for name in names)
        return [present_document(ref, one) if one else None for ref, one in zip(refs, stored, strict=True)]

    def put(
        self,
        ref: Ref,
        fields: Fields,
        *,
        expect: Expect = ANY,
        expires_at: datetime | None = None,
        operation_id: str = "",
    ) -> Written:
        place, step = Place(ref.collection, ref.partition), Put(ref.key, fields, expect, expires_at)
        if operation_id:
            return as_written(self._writes.write(place, [step], operation_id)[0])
        return self._native.put(place, step)

    def delete(self, ref: Ref, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = "") -> bool:
        place, step = Place(ref.collection, ref.partition), Delete(ref.key, expect)
        if operation_id:
            return self._writes.write(place, [step], operation_id) == [True]
        return self._native.delete(place, step)

    def increment(
        self,
        ref: Ref,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        step = Increment(ref.key, dict(deltas), dict(ceilings or {}), dict(floors or {}))
        return self._writes.increment(Place(ref.collection, ref.partition), step, operation_id)

    def scan(
        self,
        collection: str,
        partition: Partition,
        *,
        prefix: str = "",
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        reverse: bool = False,
        cursor: str | None = None,
    ) -> Page:
        ids = Range.of(prefix).above(after).below(before).past(cursor, reverse=reverse)
        limit = min(limit, self.limits.page_documents)
        return scan_page(self._connection, Place(collection, partition), ids, limit=limit, reverse=reverse)

    def write(
        self, collection: str, partition: Partition, operations: Sequence[Operation], *, operation_id: str = ""
    ) -> list[Outcome]:
        return self._writes.write(Place(collection, partition), operations, operation_id)

    def put_many(self, documents: Sequence[BulkPut]) -> list[Written | Exception]:
        return BulkWrite(self._service, self._native).outcomes(documents)

    def prepare(self) -> None:
        """Keep Firestore from indexing what we store, but for keys, and let it reap what has expired.

        Raises BackendUnavailable while Firestore is still at work. The database must exist. An emulator without the API for this
        needs nothing.
        """
        prepare_database(self._connection)

    def ping(self) -> None:
        self._service.read([self._connection.documents + _PING], mask=[ENVELOPE])

    def close(self) -> None:
        self._connection.close()

    def native(self) -> Any:
        """Return the SDK's generated `FirestoreClient`, for diagnostics. Our errors carry the SDK's as their cause."""
        return self._connection.native()
