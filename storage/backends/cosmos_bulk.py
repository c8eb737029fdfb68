"""Bulk writes: puts of one partition go in transactional batches, those with conditions apart; some at a time."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import orjson

from northstar.errors import NorthstarError
from storage.backends.bulk_conditions import chunks, put_together
from storage.backends.compare_and_set import CompareAndSet, new_operation_id
from storage.backends.cosmos_items import Item, item_of
from storage.backends.cosmos_names import pk_of
from storage.backends.cosmos_store import BatchOperation, CosmosStore
from storage.backends.sending import sent
from storage.backends.service import Place, Stored, Unanswered
from storage.backends.versions import Versions
from storage.documents import ANY, BulkPut, Put, Ref, Written

BATCH_OPERATIONS: Final = 100
"""Operations of one transactional batch (Microsoft, "Transactional batch operations": limitations); so is the next."""
BATCH_BYTES: Final = 2 * 1024 * 1024
MARGIN_BYTES: Final = 256 * 1024
"""Left free in a batch for what stands around its items."""
AT_ONCE: Final = 8
THROTTLED_ATTEMPTS: Final = 10

Outcomes = dict[int, Written | Exception]


@dataclass(frozen=True, slots=True)
class _Upsert:
    """One unconditional put of a bulk, ready to be sent; `position` is its place in the bulk."""

    position: int
    step: Put
    stored: Stored
    item: Item
    size: int


class Bulk:
    """The bulk writes of one driver."""

    def __init__(self, store: CosmosStore, writes: CompareAndSet, versions: Versions, *, epoch: int) -> None:
        self._store = store
        self._writes = writes
        self._versions = versions
        self._epoch = epoch

    def put(self, documents: Sequence[BulkPut], put_one: Callable[[BulkPut], Written]) -> list[Written | Exception]:
        """Return one outcome per document. A key that stands twice is written twice, in order."""
        outcomes: Outcomes = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for turn in _turns(documents):
                for some in pool.map(lambda job: job(), list(self._jobs(turn, put_one))):
                    outcomes |= some
        return [outcomes[position] for position in range(len(documents))]

    def _jobs(
        self, turn: Mapping[int, BulkPut], put_one: Callable[[BulkPut], Written]
    ) -> Iterator[Callable[[], Outcomes]]:
        upserts: dict[Place, list[_Upsert]] = defaultdict(list)
        conditional: dict[int, tuple[Place, Put]] = {}
        for position, document in turn.items():
            if document.expect is ANY:
                place = Place(document.ref.collection, document.ref.partition)
                upserts[place].append(self._upsert(pk_of(place), position, document))
            else:
                put = Put(document.ref.key, document.fields, document.expect, document.expires_at)
                conditional[position] = (Place(document.ref.collection, document.ref.partition), put)
        for place, puts in chunks(conditional):
            if len(puts) == 1:
                (position,) = puts
                yield partial(_alone, position, turn[position], put_one)
            else:
                yield partial(put_together, self._writes, place, puts)
        for place, some in upserts.items():
            for batch in _batches(some):
                yield partial(self._send, place, batch)

    def _upsert(self, pk: str, position: int, document: BulkPut) -> _Upsert:
        now, fields = datetime.now(UTC), document.fields
        own = fields if isinstance(fields, dict) else dict(fields)
        version = self._versions.next(now)
        stored = Stored(version, own, now, document.expires_at, self._epoch, new_operation_id())
        item = item_of(pk, document.ref.key, stored)
        step = Put(document.ref.key, own, document.expect, document.expires_at)
        return _Upsert(position, step, stored, item, len(orjson.dumps(item)))

    def _send(self, place: Place, batch: Sequence[_Upsert]) -> Outcomes:
        operations: list[BatchOperation] = [("upsert", (upsert.item,), {}) for upsert in batch]
        try:
            sent(lambda: self._store.batch(pk_of(place), operations), attempts=THROTTLED_ATTEMPTS)
        except Unanswered:
            return self._settled(place, batch)
        except NorthstarError as error:
            return {upsert.position: error for upsert in batch}
        return {upsert.position: Written(upsert.stored.version, upsert.stored.updated_at) for upsert in batch}

    def _settled(self, place: Place, batch: Sequence[_Upsert]) -> Outcomes:
        """Finish each write of a batch that was not answered; when one cannot be, the service is away for the rest, too."""
        outcomes: Outcomes = {}
        for upsert in batch:
            try:
                written = self._writes.finish(place, upsert.step, upsert.stored.operation_id, upsert.stored.updated_at)
            except NorthstarError as error:
                return outcomes | {later.position: error for later in batch if later.position not in outcomes}
            assert isinstance(written, Written)
            outcomes[upsert.position] = written
        return outcomes


def _turns(documents: Sequence[BulkPut]) -> Iterator[dict[int, BulkPut]]:
    """Yield the documents in as many turns as the most frequent of their keys needs."""
    turns: list[dict[int, BulkPut]] = []
    seen: dict[Ref, int] = defaultdict(int)
    for position, document in enumerate(documents):
        turn = seen[document.ref]
        seen[document.ref] += 1
        if turn == len(turns):
            turns.append({})
        turns[turn][position] = document
    yield from turns


def _batches(upserts: Sequence[_Upsert]) -> Iterator[list[_Upsert]]:
    batch: list[_Upsert] = []
    size = 0
    for upsert in upserts:
        if batch and (len(batch) == BATCH_OPERATIONS or size + upsert.size > BATCH_BYTES - MARGIN_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(upsert)
        size += upsert.size
    yield batch


def _alone(position: int, document: BulkPut, put_one: Callable[[BulkPut], Written]) -> Outcomes:
    try:
        return {position: put_one(document)}
    except NorthstarError as error:
        return {position: error}
