"""Documents in Azure Cosmos DB for NoSQL: one container per route, one logical partition per partition of the contract.

A write is one native call: upsert, create, or a patch under a predicate; whatever such a call cannot say, or refuses, is
decided by `compare_and_set`.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from northstar.errors import NorthstarError
from storage.backends.compare_and_set import CompareAndSet, new_operation_id
from storage.backends.cosmos_bulk import Bulk
from storage.backends.cosmos_client import Connection, check_reads
from storage.backends.cosmos_config import CosmosConfig, refuse_stale_reads
from storage.backends.cosmos_errors import Missing, Refused, Taken
from storage.backends.cosmos_items import Item, Patch, adding, document_of, item_of, key_in, removing, replacing
from storage.backends.cosmos_names import id_of, pk_of, sort_range
from storage.backends.cosmos_prepare import check_container, prepare
from storage.backends.cosmos_store import CosmosStore
from storage.backends.cosmos_values import unpacked
from storage.backends.decisions import check_expectation
from storage.backends.plans import Request
from storage.backends.sending import sent
from storage.backends.service import Place, Stored, Unanswered
from storage.backends.versions import Versions
from storage.documents import (
    ABSENT,
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

if TYPE_CHECKING:
    from azure.cosmos import CosmosClient

READERS: Final = 8
"""Partitions that one bulk read asks at a time."""


class CosmosDocuments:
    """The document contract over one container. Raises BackendUnavailable for everything once it is closed.

    One call of the service per operation: get, put, delete, an increment of whole numbers, a page of a scan, an atomic write of
    creates only. Two with a caller's operation id, for a new counter, and where the answer is a refusal.
    """

    Config: ClassVar[type[CosmosConfig]] = CosmosConfig
    limits: ClassVar[Limits] = Limits(atomic_operations=99)
    """A transactional batch has 100 operations, and one of them remembers the answer."""

    def __init__(
        self,
        config: CosmosConfig,
        *,
        mode: str,
        epoch: int,
        collections: Sequence[str] = (),  # noqa: ARG002 - all lie in one place here
    ) -> None:
        """Take the settings; nothing is opened yet. Raises InvalidConfig for stale reads outside lab."""
        refuse_stale_reads(config, mode)
        self._config = config
        self._epoch = epoch
        self._connection = Connection(config)
        self._versions = Versions()
        self._store = CosmosStore(self._connection, self._versions)
        self._writes = CompareAndSet(self._store, epoch=epoch)
        self._bulk = Bulk(self._store, self._writes, self._versions, epoch=epoch)

    def get(self, ref: Ref) -> Document | None:
        item = self._store.item(pk_of(_place(ref)), id_of(ref.key))
        return document_of(ref, item, datetime.now(UTC)) if item else None

    def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        """As the contract says: one query per partition and hundred keys, a point read for a single key."""
        places: dict[Place, set[str]] = defaultdict(set)
        for ref in refs:
            places[_place(ref)].add(id_of(ref.key))
        items = self._items(places)
        now = datetime.now(UTC)
        wanted = [(ref, items[_place(ref)].get(id_of(ref.key))) for ref in refs]
        return [document_of(ref, item, now) if item else None for ref, item in wanted]

    def put(
        self,
        ref: Ref,
        fields: Fields,
        *,
        expect: Expect = ANY,
        expires_at: datetime | None = None,
        operation_id: str = "",
    ) -> Written:
        place, step = _place(ref), Put(ref.key, fields, expect, expires_at)
        outcome = self._remembered(place, step, operation_id) if operation_id else self._put(place, step)
        assert isinstance(outcome, Written)
        return outcome

    def delete(self, ref: Ref, *, expect: Literal[Expectation.ANY] | int = ANY, operation_id: str = "") -> bool:
        place, step = _place(ref), Delete(ref.key, expect)
        return (self._remembered(place, step, operation_id) if operation_id else self._delete(place, step)) is True

    def increment(
        self,
        ref: Ref,
        deltas: Deltas,
        *,
        ceilings: Deltas | None = None,
        floors: Deltas | None = None,
        operation_id: str = "",
    ) -> Totals:
        place, step = _place(ref), Increment(ref.key, dict(deltas), dict(ceilings or {}), dict(floors or {}))
        own = self._stored({}, None)
        patch = None if operation_id else adding(step, own)
        if patch is None:
            return self._writes.increment(place, step, operation_id)
        try:
            item = self._patched(place, step.key, patch, no_response=False)
        except Unanswered:
            totals = self._writes.finish(place, step, own.operation_id, own.updated_at)
            assert isinstance(totals, Totals)
            return totals
        except (Missing, Refused):
            return self._writes.increment(place, step)
        fields = unpacked(item["fields"])
        self._versions.saw(item["version"])
        return Totals({name: fields[name] for name in step.deltas}, item["version"])

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
        low, high = sort_range(prefix, after, before)
        beyond_low, beyond_high = sort_range("", None if reverse else cursor, cursor if reverse else None)
        low, high = max(low, beyond_low), min(high, beyond_high)
        if low >= high:
            return Page(())
        limit, now = min(limit, self.limits.page_documents), datetime.now(UTC)
        pk = pk_of(Place(collection, partition))
        items = self._store.page(pk, low, high, limit=limit + 1, reverse=reverse, now=now)
        found = [document_of(Ref(collection, partition, key_in(item)), item, now) for item in items[:limit]]
        documents = tuple(document for document in found if document)
        return Page(documents, key_in(items[limit - 1]) if len(items) > limit else None)

    def write(
        self, collection: str, partition: Partition, operations: Sequence[Operation], *, operation_id: str = ""
    ) -> list[Outcome]:
        return self._writes.write(Place(collection, partition), operations, operation_id)

    def put_many(self, documents: Sequence[BulkPut]) -> list[Written | Exception]:
        """As the contract says; unconditional puts of one partition share batches, conditional ones go singly."""
        return self._bulk.put(documents, self._put_one)

    def prepare(self) -> None:
        """Create the database and the container. Raises BackendRejected where the container cannot hold documents."""
        self._connection.call_client(lambda client: prepare(client, self._config))

    def ping(self) -> None:
        """Return when the account answers and the container is fit. Raises as every read, and as `prepare`."""
        self._connection.call_client(lambda client: check_reads(client, self._config))
        self._connection.call(check_container, write=False)

    def close(self) -> None:
        self._connection.close()

    def native(self) -> "CosmosClient":
        """Return the SDK's client, for diagnostics: what is written with it bypasses every promise made here."""
        return self._connection.call_client(lambda client: client)

    def _items(self, places: Mapping[Place, Collection[str]]) -> dict[Place, dict[str, Item]]:
        def ask(place: Place) -> dict[str, Item]:
            return self._store.items(pk_of(place), list(places[place]))

        if len(places) == 1:
            return {place: ask(place) for place in places}
        with ThreadPoolExecutor(READERS) as pool:
            return dict(zip(places, pool.map(ask, places), strict=True))

    def _put(self, place: Place, step: Put) -> Outcome:
        own = self._stored(step.fields, step.expires_at, above=step.expect if isinstance(step.expect, int) else 0)
        try:
            self._send_put(place, step, own)
        except Unanswered:
            return self._writes.finish(place, step, own.operation_id, own.updated_at)
        except (Missing, Refused, Taken):
            return self._decided(place, step)
        self._versions.saw(own.version)
        return Written(own.version, own.updated_at)

    def _send_put(self, place: Place, step: Put, own: Stored) -> None:
        pk = pk_of(place)
        if isinstance(step.expect, int):
            self._patched(place, step.key, replacing(step, own))
            return
        item = item_of(pk, step.key, own)
        if step.expect is ABSENT:
            sent(
                lambda: self._connection.call(
                    lambda container: container.create_item(item, no_response=True), write=True
                )
            )
        else:
            sent(
                lambda: self._connection.call(
                    lambda container: container.upsert_item(item, no_response=True), write=True
                )
            )

    def _delete(self, place: Place, step: Delete) -> Outcome:
        own = self._stored({}, None)
        try:
            self._patched(place, step.key, removing(step.expect, own))
        except Unanswered:
            return self._writes.finish(place, step, own.operation_id, own.updated_at)
        except Missing:
            check_expectation(step.key, step.expect, version=0, present=False)
            return False
        except Refused:
            return self._decided(place, step)
        return True

    def _patched(self, place: Place, key: str, patch: Patch, *, no_response: bool = True) -> Item:
        item_id, pk = id_of(key), pk_of(place)
        return sent(
            lambda: self._connection.call(
                lambda container: container.patch_item(
                    item_id, pk, patch.operations, filter_predicate=patch.predicate, no_response=no_response
                ),
                write=True,
                item=True,
            )
        )

    def _remembered(self, place: Place, step: Operation, operation_id: str) -> Outcome:
        (outcome,) = self._writes.write(place, [step], operation_id)
        return outcome

    def _decided(self, place: Place, step: Operation) -> Outcome:
        """Decide a write whose native call was refused by what is stored now."""
        request = Request((step,), new_operation_id(), named=False)
        ((decided,), _) = self._writes.run(place, [request], None)
        if isinstance(decided, NorthstarError):
            raise decided
        return decided[0]

    def _put_one(self, document: BulkPut) -> Written:
        return self.put(document.ref, document.fields, expect=document.expect, expires_at=document.expires_at)

    def _stored(self, fields: Fields, expires_at: datetime | None, *, above: int = 0) -> Stored:
        now = datetime.now(UTC)
        version = self._versions.next(now, above=above)
        own = fields if isinstance(fields, dict) else dict(fields)
        return Stored(version, own, now, expires_at, self._epoch, new_operation_id())


def _place(ref: Ref) -> Place:
    return Place(ref.collection, ref.partition)
