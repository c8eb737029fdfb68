"""Documents in Amazon DynamoDB: a table per route or collection, an item per document, one native call per operation if possible.

Reads are strongly consistent. Writes hold their conditions in the call itself; several at once, and those with a caller's
operation id, are transactions.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from storage.backends import dynamodb_bulk
from storage.backends.compare_and_set import CompareAndSet
from storage.backends.dynamodb_client import Connection
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.backends.dynamodb_items import document_in, key_of, partition_name
from storage.backends.dynamodb_scan import Range, scan
from storage.backends.dynamodb_service import TRANSACTION_BYTES, DynamoDBService
from storage.backends.dynamodb_table import prepare_table
from storage.backends.dynamodb_tables import Tables
from storage.backends.dynamodb_writes import NativeWrites
from storage.backends.service import Place
from storage.backends.versions import Versions
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


class DynamoDBDocuments:
    """The document contract over one table. Raises BackendUnavailable for everything once it is closed."""

    Config: ClassVar[type[DynamoDBConfig]] = DynamoDBConfig
    limits: ClassVar[Limits] = Limits(
        key_bytes=1024, atomic_operations=99, atomic_bytes=TRANSACTION_BYTES, reads_cost=True
    )
    """Keys: of a sort key. Atomic writes: a transaction has 100 items, one of them the answer to an operation id."""

    def __init__(self, config: DynamoDBConfig, *, mode: str, epoch: int, collections: Sequence[str] = ()) -> None:  # noqa: ARG002 - all drivers are built so
        """Take the settings; nothing is opened yet. Every mode may use DynamoDB."""
        self._config = config
        self._tables = Tables(config, collections)
        self._connection = Connection(config)
        self._service = DynamoDBService(self._connection, self._tables)
        self._writes = CompareAndSet(self._service, epoch=epoch)
        versions = Versions()
        self._native = NativeWrites(
            self._connection, self._tables, self._writes, self._service.precedence, versions, epoch=epoch
        )
        self._bulk = dynamodb_bulk.Tools(self._connection, self._tables, self._native, self._writes, versions, epoch)

    def get(self, ref: Ref) -> Document | None:
        key = key_of(partition_name(ref.collection, ref.partition), ref.key)
        table = self._tables.of(ref.collection)
        answer = self._connection.send("get_item", TableName=table, Key=key, ConsistentRead=True)
        return document_in(ref, answer.get("Item"), datetime.now(UTC))

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        names = [
            (self._tables.of(ref.collection), partition_name(ref.collection, ref.partition), ref.key) for ref in refs
        ]
        found = self._service.items((table, key_of(*name)) for table, *name in dict.fromkeys(names))
        now = datetime.now(UTC)
        return [document_in(ref, found.get(name), now) for ref, name in zip(refs, names, strict=True)]

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
        if not operation_id:
            return self._native.put(place, step)
        (written,) = self._writes.write(place, [step], operation_id)
        assert isinstance(written, Written)
        return written

    def delete(self, ref: Ref, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = "") -> bool:
        place, step = Place(ref.collection, ref.partition), Delete(ref.key, expect)
        if not operation_id:
            return self._native.delete(place, step)
        return self._writes.write(place, [step], operation_id) == [True]

    def increment(
        self,
        ref: Ref,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        place = Place(ref.collection, ref.partition)
        step = Increment(ref.key, dict(deltas), dict(ceilings or {}), dict(floors or {}))
        if not operation_id:
            return self._native.increment(place, step)
        return self._writes.increment(place, step, operation_id)

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
        if reverse:
            before = min((bound for bound in (before, cursor) if bound is not None), default=None)
        else:
            after = max((bound for bound in (after, cursor) if bound is not None), default=None)
        keys = Range(prefix, after, before)
        most = min(limit, self.limits.page_documents)
        return scan(
            self._connection, self._tables.of(collection), collection, partition, keys, limit=most, reverse=reverse
        )

    def write(
        self, collection: str, partition: Partition, operations: Sequence[Operation], *, operation_id: str = ""
    ) -> list[Outcome]:
        return self._writes.write(Place(collection, partition), operations, operation_id)

    def put_many(self, documents: Sequence[BulkPut]) -> list[Written | Exception]:
        return dynamodb_bulk.put_many(self._bulk, documents)

    def prepare(self) -> None:
        """Create each table that is missing, and turn on what it needs. Raises as `prepare_table`."""
        for name in self._tables.names:
            prepare_table(self._connection, self._config, name)

    def ping(self) -> None:
        """Return when the table answers a read, the cheapest there is: it needs no permission that `get` does not need."""
        self._connection.send(
            "get_item", TableName=self._tables.first, Key=key_of("%ping", "%ping"), ConsistentRead=True
        )

    def native(self) -> Any:
        """Return the SDK's client of DynamoDB, for diagnostics: what it does is neither scoped nor translated."""
        return self._connection.client()

    def close(self) -> None:
        self._connection.close()
