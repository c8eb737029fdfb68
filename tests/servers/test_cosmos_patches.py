"""Patches and transactional batches of the Cosmos DB test server."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceNotFoundError,
)

from tests.servers.cosmos_lab import ITEMS, Lab

START = {"n": 1, "tags": ["a", "b"], "deep": {"x": 1}, "a/b": 1, "~": 1}


@pytest.fixture
def patched(cosmos: Lab):
    """`patched(op, …)` applies operations to an item like START and returns what differs from it."""
    cosmos.items.create_item({"id": "one", "pk": "acme", **START})

    def patch(*operations: dict[str, Any], **options: Any) -> dict[str, Any]:
        after = cosmos.items.patch_item("one", "acme", list(operations), **options)
        return {name: value for name, value in after.items() if name[0] != "_" and (name, value) not in START.items()}

    return patch


def op(verb: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": verb, "path": path, **({"value": value[0]} if value else {})}


@pytest.mark.parametrize(
    ("operation", "name", "expected"),
    [
        (op("add", "/new", None), "new", None),
        (op("set", "/n", {"any": []}), "n", {"any": []}),
        (op("add", "/tags/0", "c"), "tags", ["c", "a", "b"]),
        (op("add", "/tags/2", "c"), "tags", ["a", "b", "c"]),
        (op("add", "/tags/-", "c"), "tags", ["a", "b", "c"]),
        (op("set", "/tags/0", "c"), "tags", ["c", "b"]),
        (op("replace", "/tags/1", "c"), "tags", ["a", "c"]),
        (op("remove", "/tags/0"), "tags", ["b"]),
        (op("replace", "/deep/x", 2), "deep", {"x": 2}),
        (op("incr", "/n", 2), "n", 3),
        (op("incr", "/n", -0.5), "n", 0.5),
        (op("incr", "/deep/new", 5), "deep", {"x": 1, "new": 5}),
        (op("set", "/a~1b", 2), "a/b", 2),
        (op("set", "/~0", 2), "~", 2),
        (op("set", "/deep/0", 2), "deep", {"x": 1, "0": 2}),
        (op("set", "/ttl", 60), "ttl", 60),
    ],
)
def test_an_operation_does_what_is_documented(patched, operation, name: str, expected: Any):
    assert patched(operation)[name] == expected


def test_a_removed_property_is_not_there(cosmos: Lab, patched):
    patched(op("remove", "/n"))
    assert "n" not in cosmos.items.read_item("one", "acme")


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "/missing", 1),
        op("remove", "/missing"),
        op("remove", "/tags/2"),
        op("replace", "/tags/-", 1),
        op("add", "/tags/3", "c"),
        op("add", "/tags/x", "c"),
        op("add", "/missing/below", 1),
        op("add", "/n/below", 1),
        op("incr", "/tags", 1),
        op("incr", "/n", "1"),
        op("incr", "/n"),
        op("remove", "/n", 1),
        op("move", "/n", "/m"),
        op("set", "n", 1),
        op("set", "/", 1),
        op("set", "/id", "two"),
        op("set", "/pk", "globex"),
        op("set", "/pk/below", "globex"),
        op("set", "/_etag", "x"),
        op("set", "/deep/" + "1" * 20, 1),
        op("set", "/ttl", 0),
        {"op": "set", "path": "/n", "value": 1, "from": "/m"},
    ],
    ids=lambda operation: f"{operation['op']} {operation['path'][:12]}",
)
def test_a_bad_operation_fails_the_whole_patch(cosmos: Lab, patched, operation):
    before = cosmos.items.read_item("one", "acme")
    with pytest.raises(CosmosHttpResponseError) as refused:
        patched(op("set", "/n", 100), operation)
    assert refused.value.status_code == 400
    assert cosmos.items.read_item("one", "acme") == before


def test_a_patch_has_one_to_ten_operations(patched):
    patched(*[op("incr", "/n", 1)] * 10)
    for number in (0, 11):
        with pytest.raises(CosmosHttpResponseError, match="1 to 10"):
            patched(*[op("incr", "/n", 1)] * number)


def test_a_patch_applies_only_where_its_condition_holds(patched):
    patched(op("incr", "/n", 1), filter_predicate="FROM c WHERE c.n = 1 AND NOT IS_DEFINED(c.gone)")
    for condition in ("from c where c.n = 1", "FROM c WHERE c.missing = 1", "FROM c WHERE c.n = '2'"):
        with pytest.raises(CosmosAccessConditionFailedError):
            patched(op("incr", "/n", 1), filter_predicate=condition)


@pytest.mark.parametrize(
    "condition", ["SELECT * FROM c", "WHERE c.n = 1", "FROM c WHERE x.n = 1", "FROM c WHERE COUNT(1) = 1"]
)
def test_a_condition_that_is_none_is_refused(patched, condition: str):
    with pytest.raises(CosmosHttpResponseError) as refused:
        patched(op("incr", "/n", 1), filter_predicate=condition)
    assert refused.value.status_code == 400


def test_a_ceiling_in_the_condition_holds_under_contention(cosmos: Lab):
    cosmos.items.create_item({"id": "one", "pk": "acme", "used": 0})

    def spend(_: int) -> bool:
        try:
            cosmos.items.patch_item(
                "one", "acme", [op("incr", "/used", 3)], filter_predicate="FROM c WHERE c.used + 3 <= 100"
            )
        except CosmosAccessConditionFailedError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(spend, range(80))) == 33
    assert cosmos.items.read_item("one", "acme")["used"] == 99


def test_a_batch_does_all_of_its_operations_in_order(cosmos: Lab):
    results = cosmos.items.execute_item_batch(
        [
            ("create", ({"id": "one", "pk": "acme", "n": 1},)),
            ("upsert", ({"id": "two", "pk": "acme"},)),
            ("replace", ("two", {"id": "two", "pk": "acme", "n": 2})),
            ("patch", ("one", [op("incr", "/n", 1)]), {"filter_predicate": "FROM c WHERE c.n = 1"}),
            ("read", ("one",)),
            ("delete", ("two",)),
        ],
        "acme",
    )
    assert [result["statusCode"] for result in results] == [201, 201, 200, 200, 200, 204]
    assert results[4]["resourceBody"]["n"] == 2
    assert results[4]["eTag"] == cosmos.items.read_item("one", "acme")["_etag"]


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (("create", ({"id": "there", "pk": "acme"},)), 409),
        (("read", ("missing",)), 404),
        (("replace", ("there", {"id": "there", "pk": "acme"}), {"if_match_etag": '"stale"'}), 412),
        (("delete", ("there",), {"if_match_etag": '"stale"'}), 412),
        (("patch", ("there", [op("incr", "/n", 1)]), {"filter_predicate": "FROM c WHERE c.n < 1"}), 412),
        (("patch", ("there", [op("remove", "/missing")])), 400),
        (("create", ({"id": "foreign", "pk": "globex"},)), 400),
    ],
)
def test_a_batch_that_fails_does_nothing_and_names_the_operation(cosmos: Lab, failing, status: int):
    before = cosmos.items.create_item({"id": "there", "pk": "acme", "n": 1})
    first, last = ("upsert", ({"id": "there", "pk": "acme", "n": 2},)), ("create", ({"id": "new", "pk": "acme"},))
    with pytest.raises(CosmosBatchOperationError) as failed:
        cosmos.items.execute_item_batch([last, failing, ("delete", ("there",)), first], "acme")
    assert failed.value.error_index == 1
    assert [result["statusCode"] for result in failed.value.operation_responses] == [424, status, 424, 424]
    assert cosmos.items.read_item("there", "acme") == before
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.read_item("new", "acme")


def test_a_batch_has_at_most_100_operations_and_2_mb(cosmos: Lab):
    for number, size, status in ((101, 1, 400), (0, 1, 400), (3, 700_000, 413)):
        operations = [("upsert", ({"id": str(index), "pk": "acme", "text": "x" * size},)) for index in range(number)]
        with pytest.raises(CosmosHttpResponseError) as refused:
            cosmos.items.execute_item_batch(operations, "acme")
        assert refused.value.status_code == status
    cosmos.items.execute_item_batch([("upsert", ({"id": str(index), "pk": "acme"},)) for index in range(100)], "acme")


@pytest.mark.parametrize(
    "operation",
    [
        {"operationType": "Merge", "id": "one"},
        {"operationType": "Read"},
        {"operationType": "Read", "id": "a", "ifNoneMatch": "x"},
    ],
)
def test_an_operation_of_a_batch_that_the_server_does_not_know_is_refused(cosmos: Lab, operation):
    headers = {"x-ms-cosmos-is-batch-request": "True", "x-ms-documentdb-partitionkey": '["acme"]'}
    assert cosmos.send("POST", ITEMS, [operation], headers={**headers, "x-ms-cosmos-batch-atomic": "True"})[0] == 400
    assert cosmos.send("POST", ITEMS, [{"operationType": "Read", "id": "one"}], headers=headers)[0] == 400
