"""A transactional batch: up to a hundred operations on one partition, all of them or none."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.servers.cosmos_errors import CosmosError, bad_request
from tests.servers.cosmos_items import Item, Items
from tests.servers.cosmos_partitions import Partition

MAX_OPERATIONS = 100
"""Operations of one batch ("Transactional batch operations", limitations)."""
FAILED_DEPENDENCY = 424
KNOWN = {"operationType", "id", "resourceBody", "ifMatch"}

Operation = dict[str, Any]
Outcome = tuple[int, Item | None]


def _create(items: Items, partition: Partition, operation: Operation) -> Outcome:
    return 201, items.create(partition, operation["resourceBody"])


def _upsert(items: Items, partition: Partition, operation: Operation) -> Outcome:
    item, created = items.upsert(partition, operation["resourceBody"], if_match=operation.get("ifMatch"))
    return 201 if created else 200, item


def _read(items: Items, partition: Partition, operation: Operation) -> Outcome:
    return 200, items.read(partition, operation["id"])


def _replace(items: Items, partition: Partition, operation: Operation) -> Outcome:
    body, if_match = operation["resourceBody"], operation.get("ifMatch")
    return 200, items.replace(partition, operation["id"], body, if_match=if_match)


def _patch(items: Items, partition: Partition, operation: Operation) -> Outcome:
    body, if_match = operation["resourceBody"], operation.get("ifMatch")
    return 200, items.patch(partition, operation["id"], body, if_match=if_match)


def _delete(items: Items, partition: Partition, operation: Operation) -> Outcome:
    items.delete(partition, operation["id"], if_match=operation.get("ifMatch"))
    return 204, None


VERBS: dict[str, tuple[Callable[[Items, Partition, Operation], Outcome], set[str]]] = {
    "Create": (_create, {"resourceBody"}),
    "Delete": (_delete, {"id"}),
    "Patch": (_patch, {"id", "resourceBody"}),
    "Read": (_read, {"id"}),
    "Replace": (_replace, {"id", "resourceBody"}),
    "Upsert": (_upsert, {"resourceBody"}),
}
"""What each operation does, and what it needs besides its type."""


def run_batch(items: Items, partition: Partition, operations: Any) -> tuple[int, list[dict[str, Any]]]:
    """Apply the operations in order, and return the status (200, or 207 when one failed) and a result for each.

    When one fails nothing is stored; the others answer 424. Raises a 400 for what is no batch.
    """
    if not isinstance(operations, list) or not 1 <= len(operations) <= MAX_OPERATIONS:
        raise bad_request(f"a batch has 1 to {MAX_OPERATIONS} operations")
    for operation in operations:
        _check(operation)
    before, written = items.snapshot(partition), items.written
    results: list[dict[str, Any]] = []
    for operation in operations:
        try:
            results.append(_result(*VERBS[operation["operationType"]][0](items, partition, operation)))
        except CosmosError as error:
            items.restore(partition, before)
            items.written = written
            return 207, _failed(operations, len(results), error)
    return 200, results


def _check(operation: Any) -> None:
    if not isinstance(operation, dict) or operation.get("operationType") not in VERBS:
        raise bad_request("an operation of a batch is a Create, Upsert, Read, Replace, Patch or Delete")
    verb = operation["operationType"]
    if operation.keys() - KNOWN or not VERBS[verb][1] <= operation.keys():
        raise bad_request(
            f"a {verb} in a batch has {', '.join(sorted(operation))}, which this server does not understand"
        )


def _result(status: int, item: Item | None) -> dict[str, Any]:
    if item is None:
        return {"statusCode": status, "requestCharge": 1}
    return {"statusCode": status, "requestCharge": 1, "eTag": item.etag, "resourceBody": item.fields}


def _failed(operations: Sequence[Operation], index: int, error: CosmosError) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [{"statusCode": FAILED_DEPENDENCY, "requestCharge": 0} for _ in operations]
    results[index]["statusCode"] = error.status
    if error.substatus:
        results[index]["subStatusCode"] = error.substatus
    return results
