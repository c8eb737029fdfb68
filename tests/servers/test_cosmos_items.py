"""Point operations of the Cosmos DB test server: identity, limits, numbers, ETags, time to live."""

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from tests.servers.cosmos_lab import DATABASE, ITEMS, Lab

MIB = 1024 * 1024
STALE: dict[str, Any] = {"etag": '"stale"', "match_condition": MatchConditions.IfNotModified}


def status_of(lab: Lab, document: Any, pk: str = '["acme"]') -> int:
    """The status of a create that the SDK would not send."""
    return lab.send("POST", ITEMS, document, headers={"x-ms-documentdb-partitionkey": pk})[0]


def test_a_second_create_is_a_conflict(cosmos: Lab):
    cosmos.items.create_item({"id": "one", "pk": "acme", "n": 1})
    with pytest.raises(CosmosResourceExistsError):
        cosmos.items.create_item({"id": "one", "pk": "acme", "n": 2})
    assert cosmos.items.read_item("one", "acme")["n"] == 1


def test_the_same_id_in_two_partitions_is_two_items(cosmos: Lab):
    cosmos.items.create_item({"id": "one", "pk": "acme"})
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.read_item("one", "globex")
    cosmos.items.create_item({"id": "one", "pk": "globex"})
    cosmos.items.delete_item("one", "globex")
    assert cosmos.items.read_item("one", "acme")["pk"] == "acme"


def test_what_is_not_there_cannot_be_replaced_patched_or_deleted(cosmos: Lab):
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.replace_item("one", {"id": "one", "pk": "acme"})
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.patch_item("one", "acme", [{"op": "set", "path": "/n", "value": 1}])
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.delete_item("one", "acme")


@pytest.mark.parametrize("pk", ['["globex"]', '["acme","more"]', "[]", '[{"a":1}]', "acme", '[["acme"]]'])
def test_a_partition_key_header_that_is_not_the_items_is_refused(cosmos: Lab, pk: str):
    assert status_of(cosmos, {"id": "one", "pk": "acme"}, pk) == 400
    assert cosmos.send("POST", ITEMS, {"id": "one", "pk": "acme"})[0] == 400


def test_keys_of_different_types_are_different_partitions(cosmos: Lab):
    for pk in (1, "1", True, None):
        cosmos.items.create_item({"id": "one", "pk": pk})
    cosmos.items.create_item({"id": "one"})
    assert len(list(cosmos.items.read_all_items())) == 5
    assert cosmos.items.read_item("one", 1.0)["pk"] == 1


@pytest.mark.parametrize("key", ["", "a/b", "a\\b", "a?b", "a#b", "ü" * 512, 7, None])
def test_an_id_that_the_service_forbids_is_refused(cosmos: Lab, key: Any):
    assert status_of(cosmos, {"id": key, "pk": "acme"}) == 400


def test_an_id_and_a_partition_key_may_be_as_long_as_documented(cosmos: Lab):
    assert status_of(cosmos, {"id": "x" * 1023, "pk": "acme"}) == 201
    assert status_of(cosmos, {"id": "one", "pk": "k" * 2048}, f'["{"k" * 2048}"]') == 201
    assert status_of(cosmos, {"id": "one", "pk": "k" * 2049}, f'["{"k" * 2049}"]') == 400


def test_a_partition_key_of_the_first_version_has_at_most_101_bytes(cosmos: Lab):
    made = {"id": "old", "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 1}}
    assert cosmos.send("POST", f"/dbs/{DATABASE}/colls", made)[0] == 201
    old = cosmos.client.get_database_client(DATABASE).get_container_client("old")
    old.create_item({"id": "one", "pk": "k" * 101})
    with pytest.raises(CosmosHttpResponseError, match="at most 101"):
        old.create_item({"id": "one", "pk": "k" * 102})


def test_a_hierarchical_partition_key_needs_every_level(cosmos: Lab):
    key = PartitionKey(["/tenant", "/env"], kind="MultiHash")
    container = cosmos.client.get_database_client(DATABASE).create_container("levels", key)
    container.create_item({"id": "one", "tenant": "acme", "env": "dev"})
    assert container.read_item("one", ["acme", "dev"])["id"] == "one"
    with pytest.raises(CosmosResourceNotFoundError):
        container.read_item("one", ["acme", "prod"])
    with pytest.raises(CosmosHttpResponseError, match="2 components"):
        container.read_item("one", ["acme"])


def test_an_item_and_a_request_over_2_mb_are_too_large(cosmos: Lab):
    for size in (2 * MIB - 40, 2 * MIB + 1):
        with pytest.raises(CosmosHttpResponseError) as refused:
            cosmos.items.create_item({"id": "big", "pk": "acme", "text": "x" * size})
        assert refused.value.status_code == 413
    cosmos.items.create_item({"id": "big", "pk": "acme", "text": "x" * (2 * MIB - 1000)})
    with pytest.raises(CosmosHttpResponseError, match="too large"):
        cosmos.items.patch_item("big", "acme", [{"op": "set", "path": "/more", "value": "y" * 1000}])


def test_numbers_are_doubles(cosmos: Lab):
    numbers = [1, 1.0, 0.1, 2**53, 2**53 + 1, -(2**63), 1e300, -0.0]
    stored = cosmos.items.create_item({"id": "one", "pk": "acme", "numbers": numbers})["numbers"]
    assert stored == [1, 1, 0.1, 2**53, 2**53, float(-(2**63)), 1e300, 0]
    assert [type(number) for number in stored] == [int, int, float, int, int, float, float, int]


@pytest.mark.parametrize(
    "text", ['{"id": "one", "pk": "acme", "n": NaN}', '{"id": "one", "pk": "acme", "n": 1e400}', "[", ""]
)
def test_what_is_no_json_or_no_double_is_refused(cosmos: Lab, text: str):
    headers = {"x-ms-documentdb-partitionkey": '["acme"]'}
    assert cosmos.send_text("POST", ITEMS, text, headers=headers)[0] == 400


def test_system_properties_cannot_be_forged(cosmos: Lab):
    forged = {"_rid": "x", "_etag": "x", "_ts": 1, "_self": "x"}
    stored = cosmos.items.create_item({"id": "one", "pk": "acme", **forged})
    assert not forged.items() & stored.items()
    assert cosmos.items.read_item("one", "acme") == stored


def test_every_write_changes_the_etag_and_a_stale_one_fails(cosmos: Lab):
    first = cosmos.items.create_item({"id": "one", "pk": "acme"})
    second = cosmos.items.upsert_item({"id": "one", "pk": "acme"})
    assert first["_etag"] != second["_etag"]
    assert first["_rid"] == second["_rid"]
    stale: dict[str, Any] = {"etag": first["_etag"], "match_condition": MatchConditions.IfNotModified}
    for write in (
        lambda: cosmos.items.replace_item("one", first, **stale),
        lambda: cosmos.items.upsert_item(first, **stale),
        lambda: cosmos.items.patch_item("one", "acme", [{"op": "set", "path": "/n", "value": 1}], **stale),
        lambda: cosmos.items.delete_item("one", "acme", **stale),
    ):
        with pytest.raises(CosmosAccessConditionFailedError):
            write()
    fresh: dict[str, Any] = {"etag": second["_etag"], "match_condition": MatchConditions.IfNotModified}
    cosmos.items.delete_item("one", "acme", **fresh)


def test_an_upsert_with_an_etag_creates_what_is_missing(cosmos: Lab):
    """The service's own rule: If-Match binds an upsert only where there is something to match."""
    assert cosmos.items.upsert_item({"id": "one", "pk": "acme"}, **STALE)["id"] == "one"
    with pytest.raises(CosmosAccessConditionFailedError):
        cosmos.items.upsert_item({"id": "one", "pk": "acme"}, **STALE)


def test_an_item_that_has_not_changed_is_not_sent_again(cosmos: Lab):
    etag = cosmos.items.create_item({"id": "one", "pk": "acme"})["_etag"]
    headers = {"x-ms-documentdb-partitionkey": '["acme"]', "if-none-match": etag}
    assert cosmos.send("GET", f"{ITEMS}/one", headers=headers)[0] == 304
    assert cosmos.send("GET", f"{ITEMS}/one", headers={**headers, "if-none-match": '"other"'})[0] == 200


def test_a_condition_that_the_server_does_not_know_is_refused(cosmos: Lab):
    headers = {"x-ms-documentdb-partitionkey": '["acme"]'}
    for condition in ({"if-none-match": "*"}, {"if-match": '"stale"'}):
        status, _, answer = cosmos.send("POST", ITEMS, {"id": "one", "pk": "acme"}, headers={**headers, **condition})
        assert status == 400
        assert "this server knows" in answer["message"]


def test_a_replacement_keeps_id_and_partition(cosmos: Lab):
    cosmos.items.create_item({"id": "one", "pk": "acme"})
    with pytest.raises(CosmosHttpResponseError, match="the id of the document"):
        cosmos.items.replace_item("one", {"id": "two", "pk": "acme"})


def test_a_write_may_ask_for_no_body(cosmos: Lab):
    assert cosmos.items.create_item({"id": "one", "pk": "acme"}, no_response=True) == {}
    assert cosmos.items.read_item("one", "acme")["id"] == "one"


def test_an_expired_item_is_gone_at_once_and_everywhere(cosmos: Lab):
    cosmos.items.create_item({"id": "one", "pk": "acme", "ttl": 60})
    cosmos.items.create_item({"id": "two", "pk": "acme"})
    cosmos.control("POST", "clock", offset_seconds=58)
    assert cosmos.items.read_item("one", "acme")["ttl"] == 60
    cosmos.control("POST", "clock", offset_seconds=60)
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.read_item("one", "acme")
    assert cosmos.query("SELECT VALUE c.id FROM c") == ["two"]
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.delete_item("one", "acme")
    assert cosmos.items.create_item({"id": "one", "pk": "acme"})["id"] == "one"


def test_a_write_starts_the_time_to_live_anew(cosmos: Lab):
    cosmos.items.create_item({"id": "one", "pk": "acme", "ttl": 60})
    cosmos.control("POST", "clock", offset_seconds=50)
    cosmos.items.patch_item("one", "acme", [{"op": "set", "path": "/n", "value": 1}])
    cosmos.control("POST", "clock", offset_seconds=100)
    assert cosmos.items.read_item("one", "acme")["n"] == 1


def test_the_containers_time_to_live_is_the_items_unless_it_has_its_own(cosmos: Lab):
    database = cosmos.client.get_database_client(DATABASE)
    database.replace_container("items", PartitionKey("/pk"), default_ttl=10)
    cosmos.items.create_item({"id": "usual", "pk": "acme"})
    cosmos.items.create_item({"id": "for ever", "pk": "acme", "ttl": -1})
    cosmos.control("POST", "clock", offset_seconds=11)
    assert cosmos.query("SELECT VALUE c.id FROM c") == ["for ever"]


def test_without_a_time_to_live_of_the_container_nothing_expires(cosmos: Lab):
    container = cosmos.client.get_database_client(DATABASE).create_container("kept", PartitionKey("/pk"))
    container.create_item({"id": "one", "pk": "acme", "ttl": 1})
    cosmos.control("POST", "clock", offset_seconds=10)
    assert container.read_item("one", "acme")["id"] == "one"


@pytest.mark.parametrize("ttl", [0, -2, 1.5, None, "60", True, 2**31])
def test_a_time_to_live_that_is_no_number_of_seconds_is_refused(cosmos: Lab, ttl: Any):
    assert status_of(cosmos, {"id": "one", "pk": "acme", "ttl": ttl}) == 400


def test_an_item_may_be_nested_128_levels_deep(cosmos: Lab):
    nested: Any = 1
    for _ in range(127):
        nested = [nested]
    assert status_of(cosmos, {"id": "one", "pk": "acme", "deep": nested}) == 201
    assert status_of(cosmos, {"id": "two", "pk": "acme", "deep": [nested]}) == 400
