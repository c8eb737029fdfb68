"""Many puts: without conditions in batches of 25, the others in transactions; what DynamoDB leaves over is sent again.

A service that cannot be reached is not asked again for every batch: the rest fails with the first.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from northstar.errors import NorthstarError
from storage.backends.bulk_conditions import chunks, put_together
from storage.backends.compare_and_set import UNAVAILABLE_ATTEMPTS, CompareAndSet, new_operation_id
from storage.backends.dynamodb_client import Connection
from storage.backends.dynamodb_items import Item, item_of, partition_name
from storage.backends.dynamodb_service import name_of, pause_within
from storage.backends.dynamodb_tables import Tables
from storage.backends.dynamodb_writes import NativeWrites
from storage.backends.service import WRITE_SECONDS, Outrun, Place, Stored, Unanswered
from storage.backends.versions import Versions
from storage.documents import ANY, BulkPut, Put, Ref, Written
from storage.errors import BackendUnavailable, Throttled
from storage.values import checked

BATCH_PUTS: Final = 25
"""Items of one BatchWriteItem."""
CONDITIONAL_AT_ONCE: Final = 8
_UNKNOWN_FIX: Final = "Read the document before you write it again."

Outcomes = dict[int, Written | Exception]
"""By the position of the document in the bulk."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all bulks of a driver share."""

    connection: Connection
    tables: Tables
    native: NativeWrites
    writes: CompareAndSet
    versions: Versions
    epoch: int


def put_many(tools: Tools, documents: Sequence[BulkPut]) -> list[Written | Exception]:
    """Write the documents and return an outcome for each, in their order; the same key twice is written twice, in order.

    The version of a document without a condition is not compared with the version before, only with all that this process has
    given: the clocks of two processes must agree better than their bulks follow one another.
    """
    bulk = _Bulk(tools, documents)
    for positions in _rounds(documents):
        plain = [position for position in positions if documents[position].expect is ANY]
        for start in range(0, len(plain), BATCH_PUTS):
            bulk.put_batch(plain[start : start + BATCH_PUTS])
        bulk.put_conditional([position for position in positions if documents[position].expect is not ANY])
    return [bulk.outcomes[position] for position in range(len(documents))]


def _rounds(documents: Sequence[BulkPut]) -> Iterator[list[int]]:
    """Divide the positions so that no key is twice in a round, and later writes of a key come in later rounds."""
    seen: Counter[Ref] = Counter()
    rounds: list[list[int]] = []
    for position, document in enumerate(documents):
        if seen[document.ref] == len(rounds):
            rounds.append([])
        rounds[seen[document.ref]].append(position)
        seen[document.ref] += 1
    yield from rounds


class _Bulk:
    """One bulk under way. `failure` is why the service is not asked any more."""

    def __init__(self, tools: Tools, documents: Sequence[BulkPut]) -> None:
        self._tools = tools
        self._documents = documents
        self._failure: BackendUnavailable | None = None
        self._unreached = 0
        self.outcomes: Outcomes = {}

    def put_batch(self, positions: Sequence[int]) -> None:
        """Put different documents without conditions."""
        operation_id, started = new_operation_id(), datetime.now(UTC)
        left = list(positions)
        deadline, idle = time.monotonic() + WRITE_SECONDS, 0
        try:
            while left and not self._failure:
                unprocessed = self._sent(left, operation_id)
                deadline, idle = (
                    (time.monotonic() + WRITE_SECONDS, 0) if len(unprocessed) < len(left) else (deadline, idle + 1)
                )
                left = unprocessed
                if left:
                    pause_within(deadline, idle)
        except Unanswered:
            self._finish(left, operation_id, started)
            return
        except BackendUnavailable as error:
            self._failure = error
        except NorthstarError as error:
            self.outcomes |= dict.fromkeys(left, error)
            return
        if self._failure:
            self.outcomes |= dict.fromkeys(left, self._failure)

    def put_conditional(self, positions: Sequence[int]) -> None:
        """Put different documents with conditions, those of one partition together."""
        if not positions:
            return
        jobs = list(chunks({position: self._step(position) for position in positions}))
        with ThreadPoolExecutor(CONDITIONAL_AT_ONCE) as pool:
            for outcomes in pool.map(lambda job: self._put_some(*job), jobs):
                self.outcomes |= outcomes

    def _put_some(self, place: Place, puts: Mapping[int, Put]) -> Outcomes:
        """Put one document by a call of its own, or several of one partition in one transaction."""
        if self._failure:
            return dict.fromkeys(puts, self._failure)
        if len(puts) == 1:
            return {position: self._put(position) for position in puts}
        outcomes = put_together(self._tools.writes, place, puts)
        failed = next((one for one in outcomes.values() if isinstance(one, BackendUnavailable)), None)
        if failed and not isinstance(failed, Throttled):
            self._failure = failed
        return outcomes

    def _put(self, position: int) -> Written | Exception:
        if self._failure:
            return self._failure
        try:
            written = self._tools.native.put(*self._step(position))
        except Unanswered as error:
            self._unreached += 1
            if self._unreached >= CONDITIONAL_AT_ONCE:  # nobody answers: each further put would take as long
                self._failure = BackendUnavailable(error.detail, fix=error.fix)
            return error
        except BackendUnavailable as error:
            self._failure = error
            return error
        except NorthstarError as error:
            return error
        self._unreached = 0
        return written

    def _sent(self, positions: Sequence[int], operation_id: str) -> list[int]:
        """Send a batch once, note what was written, and return what was left over. Raises as the connection does."""
        now = datetime.now(UTC)
        written = {position: Written(self._tools.versions.next(now), now) for position in positions}
        items = {position: self._item(position, written[position], operation_id) for position in positions}
        requests: dict[str, list[Any]] = {}
        for position, item in items.items():
            requests.setdefault(self._table(position), []).append({"PutRequest": {"Item": item}})
        try:
            answer = self._tools.connection.send("batch_write_item", RequestItems=requests)
        except Unanswered:
            raise
        except (Outrun, Throttled):  # Outrun: a transaction is changing one of them
            return list(positions)
        except BackendUnavailable:
            self._unreached += 1
            if self._unreached == UNAVAILABLE_ATTEMPTS:
                raise
            return list(positions)
        self._unreached = 0
        left_over = _unprocessed(answer)
        left = [position for position, item in items.items() if (self._table(position), *name_of(item)) in left_over]
        self.outcomes |= {position: written[position] for position in positions if position not in left}
        return left

    def _item(self, position: int, written: Written, operation_id: str) -> Item:
        place, step = self._step(position)
        after = Stored(
            written.version, checked(step.fields), written.updated_at, step.expires_at, self._tools.epoch, operation_id
        )
        return item_of(partition_name(*place), step.key, after)

    def _step(self, position: int) -> tuple[Place, Put]:
        document = self._documents[position]
        ref = document.ref
        return Place(ref.collection, ref.partition), Put(ref.key, document.fields, document.expect, document.expires_at)

    def _table(self, position: int) -> str:
        return self._tools.tables.of(self._documents[position].ref.collection)

    def _finish(self, positions: Sequence[int], operation_id: str, started: datetime) -> None:
        """Find out for each document of an unanswered batch whether it was written, and write it if it was not."""
        deadline = time.monotonic() + WRITE_SECONDS
        for position in positions:
            self.outcomes[position] = self._failure or self._finished(position, operation_id, started)
            if time.monotonic() > deadline and not self._failure:
                self._failure = Unanswered("DynamoDB is too slow for this bulk.", fix=_UNKNOWN_FIX)

    def _finished(self, position: int, operation_id: str, started: datetime) -> Written | Exception:
        place, step = self._step(position)
        try:
            written = self._tools.writes.finish(place, step, operation_id, started)
        except Unanswered as error:
            return error
        except BackendUnavailable as error:
            self._failure = Unanswered(error.detail, fix=error.fix)  # any of the batch may have been written
            return self._failure
        except NorthstarError as error:
            return error
        assert isinstance(written, Written)
        return written


def _unprocessed(answer: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    left = answer.get("UnprocessedItems", {})
    return {(table, *name_of(one["PutRequest"]["Item"])) for table, some in left.items() for one in some}
