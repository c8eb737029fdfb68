"""What the cloud drivers add to their SDKs: get, put, increment against the bare call on the same server, and round trips.

The servers are those of the tests, so the times mean nothing; how often a driver calls, and how much of its own it adds, does.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from bench.cloud_services import CloudService, cosmos, dynamodb, firestore
from bench.harness import Plan, Result, Side, Size, at_most, compare, timed
from bench.home import Home
from storage.documents import ABSENT, BulkPut, Partition, Put, Ref

COLLECTION: Final = "tabular_store"
PARTITION: Final[Partition] = ("acme", "dev", "_", "orders")
RECORD: Final[dict[str, Any]] = {"name": "Acme Ltd", "city": "Aarhus", "employees": 1042, "active": True, "n": 0}
PLANS: Final = {Size.SMOKE: Plan(2, 3, 1), Size.QUICK: Plan(24, 25), Size.FULL: Plan(60, 100)}
BAR: Final = 1.05
"""Wall time, against the SDK's own call on the same server."""
SCANNED: Final = 100


def run(_home: Home, size: Size) -> list[Result]:
    results: list[Result] = []
    for opened in (dynamodb, firestore, cosmos):
        with opened(RECORD) as service:
            results += _measured(service, PLANS[size])
    return results


def _measured(service: CloudService, plan: Plan) -> Iterator[Result]:
    driver, key = service.driver, _ref("customer")
    driver.put(key, RECORD)
    service.bare["put"]()
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: driver.get(key),
        "put": lambda: driver.put(key, RECORD),
        "increment": lambda: driver.increment(key, {"n": 1}),
    }
    note = f"{service.name}, calls of the service: {', '.join(_round_trips(service))}."
    for operation, call in calls.items():
        ours, bare = Side("driver", timed(call)), Side(service.sdk, timed(service.bare[operation]))
        result = compare(f"{service.name} {operation}", ours, bare, plan)
        yield replace(result, bar=at_most(result, BAR), notes=(note,))
        if operation in service.same:
            same = Side(f"{service.sdk}, same request", timed(service.same[operation]))
            result = compare(f"{service.name} {operation} / same", ours, same, plan)
            yield replace(result, bar=at_most(result, BAR))


def _round_trips(service: CloudService) -> Iterator[str]:
    """Yield each operation with how often it called the service."""
    driver, counter = service.driver, _ref("counter")
    driver.put_many([BulkPut(_ref(f"scanned/{number:03}"), RECORD) for number in range(SCANNED)])
    written = driver.put(_ref("known"), RECORD)
    driver.put(counter, {"n": 0})
    driver.increment(counter, {"n": 1})
    creates = [Put("e/1", RECORD, ABSENT), Put("i/1", RECORD, ABSENT)]
    operations: dict[str, Callable[[], object]] = {
        "get": lambda: driver.get(counter),
        f"get of {SCANNED}": lambda: driver.get_many([_ref(f"scanned/{number:03}") for number in range(SCANNED)]),
        "put": lambda: driver.put(_ref("new"), RECORD),
        "put of an absent one": lambda: driver.put(_ref("created"), RECORD, expect=ABSENT),
        "put over a version": lambda: driver.put(_ref("known"), RECORD, expect=written.version),
        "put with an operation id": lambda: driver.put(_ref("new"), RECORD, operation_id="op-1"),
        "delete": lambda: driver.delete(_ref("new")),
        "increment": lambda: driver.increment(counter, {"n": 1}),
        "increment with an operation id": lambda: driver.increment(counter, {"n": 1}, operation_id="op-2"),
        f"scan of {SCANNED}": lambda: driver.scan(COLLECTION, PARTITION, prefix="scanned/", limit=SCANNED),
        "append of an event": lambda: driver.write(COLLECTION, PARTITION, creates),
        f"bulk put of {SCANNED}": lambda: driver.put_many(
            [BulkPut(_ref(f"bulk/{number:03}"), RECORD) for number in range(SCANNED)]
        ),
    }
    for operation, call in operations.items():
        before = service.calls()
        call()
        yield f"{operation} {service.calls() - before}"


def _ref(key: str) -> Ref:
    return Ref(COLLECTION, PARTITION, key)
