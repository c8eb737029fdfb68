"""What `compare_and_set` asks of DynamoDB: strong reads of several items, and one atomic, conditional write of several."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from storage.backends.dynamodb_client import Connection
from storage.backends.dynamodb_errors import ConditionFailed, RequestInvalid
from storage.backends.dynamodb_items import (
    Item,
    item_of,
    key_of,
    memory_in,
    memory_item,
    memory_key_of,
    microseconds,
    partition_name,
    stored_in,
)
from storage.backends.dynamodb_precedence import Precedence
from storage.backends.dynamodb_tables import Tables
from storage.backends.dynamodb_values import size
from storage.backends.service import WRITE_SECONDS, Change, Memory, Outrun, Place, Stored
from storage.errors import Throttled, ValueTooLarge

BATCH_KEYS: Final = 100
"""Keys of one BatchGetItem."""
SNAPSHOT_KEYS: Final = 10
"""Documents of the largest size that one TransactGetItems holds in its 4 MB, with room for memories."""
TRANSACTION_BYTES: Final = 4_000_000
"""Of the documents that one atomic write may touch: DynamoDB's 4 MB with room for keys and envelopes."""

_NOTHING_THERE: Final = "attribute_not_exists(version)"
_SAME_VERSION: Final = "version = :before"
_NO_MEMORY: Final = "attribute_not_exists(expires) OR expires <= :now"
_LONGEST_PAUSE_SECONDS: Final = 0.5

Name = tuple[str, str, str]
"""Of an item: its table, partition and key."""


class DynamoDBService:
    """Implements `Service` over the tables of one route."""

    commit_time_is_version = False

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables
        self.precedence = Precedence()

    def load(
        self, place: Place, keys: Sequence[str], operation_ids: Sequence[str]
    ) -> tuple[dict[str, Stored], dict[str, Memory]]:
        """As the seam says: memories and documents in one snapshot, or memories last, so that none is missed that is seen."""
        partition, table = partition_name(*place), self._tables.of(place.collection)
        documents = {key: key_of(partition, key) for key in keys}
        memories = {operation_id: memory_key_of(partition, operation_id) for operation_id in operation_ids}
        if memories and len(documents) <= SNAPSHOT_KEYS:
            found = self._snapshot(table, [*documents.values(), *memories.values()])
        else:
            found = self.items((table, key) for key in documents.values())
            found |= self.items((table, key) for key in memories.values())
        now = datetime.now(UTC)
        stored = {
            key: stored_in(found[at]) for key, one in documents.items() if (at := (table, *name_of(one))) in found
        }
        known = (
            memory_in(found[at], one, now) for one, key in memories.items() if (at := (table, *name_of(key))) in found
        )
        return stored, {memory.operation_id: memory for memory in known if memory}

    def commit(self, place: Place, changes: Sequence[Change], memories: Sequence[Memory]) -> list[Stored]:
        """As the seam says."""
        keys = [change.key for change in changes]
        try:
            self._commit(self._tables.of(place.collection), partition_name(*place), changes, memories)
        except Outrun:
            self.precedence.ask(place, keys)
            raise
        self.precedence.done(place, keys)
        return [change.after for change in changes]

    def _commit(self, table: str, partition: str, changes: Sequence[Change], memories: Sequence[Memory]) -> None:
        puts = [_put(table, partition, change) for change in changes]
        puts += [_remember(table, partition, memory) for memory in memories]
        if len(puts) > 1:
            self._transact(puts, changes)
            return
        try:
            self._connection.send("put_item", **puts[0])
        except ConditionFailed:
            raise Outrun from None

    def items(self, keys: Iterable[tuple[str, Item]]) -> dict[Name, Item]:
        """Read the items of these different keys of tables, strongly consistent; missing ones are left out.

        Raises as reads do.
        """
        left = list(keys)
        found: dict[Name, Item] = {}
        deadline, idle = time.monotonic() + WRITE_SECONDS, 0
        while left:
            asked, left = left[:BATCH_KEYS], left[BATCH_KEYS:]
            answer = self._connection.send("batch_get_item", RequestItems=_by_table(asked))
            items = {(table, *name_of(item)): item for table, some in answer["Responses"].items() for item in some}
            found |= items
            unprocessed = _unprocessed(answer)
            left += unprocessed
            deadline, idle = (time.monotonic() + WRITE_SECONDS, 0) if items or not unprocessed else (deadline, idle + 1)
            if idle:
                pause_within(deadline, idle)
        return found

    def _snapshot(self, table: str, keys: Sequence[Item]) -> dict[Name, Item]:
        """Read items as they are at one moment. Raises as reads do, also while somebody else keeps writing them."""
        gets = [{"Get": {"TableName": table, "Key": key}} for key in keys]
        deadline, times = time.monotonic() + WRITE_SECONDS, 0
        while True:
            try:
                answer = self._connection.send("transact_get_items", TransactItems=gets)
            except Outrun:
                times += 1
                pause_within(deadline, times)
                continue
            return {(table, *name_of(one["Item"])): one["Item"] for one in answer["Responses"] if "Item" in one}

    def _transact(self, puts: Sequence[dict[str, Any]], changes: Sequence[Change]) -> None:
        try:
            self._connection.send("transact_write_items", TransactItems=[{"Put": put} for put in puts])
        except RequestInvalid:
            bytes_of_fields = sum(size(change.after.fields) for change in changes)
            if bytes_of_fields > TRANSACTION_BYTES:
                raise ValueTooLarge(
                    f"The atomic write touches documents of {bytes_of_fields} bytes; {TRANSACTION_BYTES} are allowed.",
                    fix="Increment fewer large documents at once.",
                ) from None
            raise


def _put(table: str, partition: str, change: Change) -> dict[str, Any]:
    put: dict[str, Any] = {"TableName": table, "Item": item_of(partition, change.key, change.after)}
    if change.before is None:
        return put | {"ConditionExpression": _NOTHING_THERE}
    before = {":before": {"N": str(change.before.version)}}
    return put | {"ConditionExpression": _SAME_VERSION, "ExpressionAttributeValues": before}


def _remember(table: str, partition: str, memory: Memory) -> dict[str, Any]:
    return {
        "TableName": table,
        "Item": memory_item(partition, memory),
        "ConditionExpression": _NO_MEMORY,
        "ExpressionAttributeValues": {":now": microseconds(datetime.now(UTC))},
    }


def _by_table(keys: Sequence[tuple[str, Item]]) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for table, key in keys:
        asked.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
    return asked


def _unprocessed(answer: Mapping[str, Any]) -> list[tuple[str, Item]]:
    left = answer.get("UnprocessedKeys", {})
    return [(table, key) for table, some in left.items() for key in some.get("Keys", ())]


def pause_within(deadline: float, times: int) -> None:
    """Wait, the longer the more often, with jitter. Raises Throttled when the deadline has passed."""
    if time.monotonic() > deadline:
        raise Throttled("DynamoDB leaves over what it is asked, again and again.", fix="Raise the table's capacity.")
    longest = min(0.01 * 2**times, _LONGEST_PAUSE_SECONDS)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret


def name_of(item: Item) -> tuple[str, str]:
    """Return what an item is found by within its table: partition and key."""
    return item["pk"]["S"], item["sk"]["S"]
