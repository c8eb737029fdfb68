"""The Cosmos DB test server as a server: who may ask, what it refuses, containers, and what tests ask of it."""

import base64
import threading
from collections.abc import Iterator

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError, CosmosResourceNotFoundError

from tests.servers.cosmos import EMULATOR_KEY, CosmosServer
from tests.servers.cosmos_auth import Credentials
from tests.servers.cosmos_lab import DATABASE, ITEMS, Lab, cosmos_lab

FOREIGN_KEY = base64.b64encode(b"x" * 64).decode()
TOKEN = "the-one-token"


@pytest.fixture
def server_with_token() -> Iterator[CosmosServer]:
    with CosmosServer(0, Credentials(EMULATOR_KEY, TOKEN), "Session") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_request_signed_with_another_key_is_unauthorized(cosmos: Lab):
    assert cosmos.send("GET", "/dbs", key=FOREIGN_KEY)[0] == 401
    assert cosmos.send("GET", "/dbs")[0] == 200


def test_a_signature_is_good_for_its_own_resource_and_verb_alone(cosmos: Lab):
    stolen = {}
    cosmos.items.upsert_item(
        {"id": "one", "pk": "acme"}, raw_response_hook=lambda sent: stolen.update(sent.http_request.headers)
    )
    signed = {name: stolen[name] for name in ("authorization", "x-ms-date")}
    assert cosmos.send("POST", ITEMS, {}, headers=signed)[0] == 400  # signed, but without a partition key
    assert cosmos.send("GET", ITEMS, headers=signed)[0] == 401
    assert cosmos.send("GET", f"/dbs/{DATABASE}", headers=signed)[0] == 401


def test_an_entra_token_is_refused_unless_the_server_was_given_it(cosmos: Lab, server_with_token: CosmosServer):
    bearer = {"authorization": f"type%3daad%26ver%3d1.0%26sig%3d{TOKEN}"}
    assert cosmos.send("GET", "/dbs", headers=bearer)[0] == 401
    with cosmos_lab(f"http://127.0.0.1:{server_with_token.server_port}", EMULATOR_KEY) as other:
        assert other.send("GET", "/dbs", headers=bearer)[0] == 200
        assert other.send("GET", "/dbs", headers={"authorization": bearer["authorization"] + "x"})[0] == 401


def test_accounts_share_nothing(cosmos: Lab):
    cosmos.items.upsert_item({"id": "one", "pk": "acme"})
    with cosmos_lab(cosmos.url + "-globex", cosmos.key) as globex:
        assert list(globex.items.read_all_items()) == []
        globex.control("POST", "clock", offset_seconds=1_000_000)
        globex.control("POST", "reset")
        assert globex.send("GET", "/dbs")[2]["Databases"] == []
    assert cosmos.items.read_item("one", "acme")["id"] == "one"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/dbs/{DATABASE}/colls/items/sprocs"),
        ("POST", f"/dbs/{DATABASE}/colls/items/operations/partitionkeydelete"),
        ("GET", "/offers"),
        ("PUT", f"/dbs/{DATABASE}"),
        ("PATCH", ITEMS),
    ],
)
def test_a_request_that_it_does_not_know_is_refused_by_name(cosmos: Lab, method: str, path: str):
    status, _, answer = cosmos.send(method, path, {})
    assert status == 400
    assert "does not know" in answer["message"]


@pytest.mark.parametrize("header", ["x-ms-documentdb-pre-trigger-include", "x-ms-indexing-directive", "x-ms-start-epk"])
def test_a_header_that_it_does_not_know_is_refused_by_name(cosmos: Lab, header: str):
    status, _, answer = cosmos.send("GET", ITEMS, headers={header: "x"})
    assert status == 400
    assert header in answer["message"]


def test_the_change_feed_is_refused(cosmos: Lab):
    with pytest.raises(CosmosHttpResponseError, match="does not know"):
        list(cosmos.items.query_items_change_feed(partition_key="acme", start_time="Beginning"))


def test_a_request_may_weaken_the_consistency_of_its_account_and_not_strengthen_it(cosmos: Lab):
    for level, statuses in (("Session", [200, 200, 400]), ("Strong", [200, 200, 200])):
        cosmos.control("POST", "consistency", level=level)
        assert cosmos.send("GET", "/")[2]["userConsistencyPolicy"] == {"defaultConsistencyLevel": level}
        asked = [{"x-ms-consistency-level": name} for name in ("Eventual", "Session", "Strong")]
        assert [cosmos.send("GET", ITEMS, headers=headers)[0] for headers in asked] == statuses


def test_every_answer_has_a_charge_an_activity_and_a_session(cosmos: Lab):
    _, headers, _ = cosmos.send("GET", ITEMS, headers={"x-ms-activity-id": "seen"})
    assert float(headers["x-ms-request-charge"]) > 0
    assert headers["x-ms-activity-id"] == "seen"
    assert headers["x-ms-session-token"].startswith("0:-1#")


def test_databases_and_containers_are_created_once_listed_and_deleted(cosmos: Lab):
    database = cosmos.client.get_database_client(DATABASE)
    with pytest.raises(CosmosResourceExistsError):
        cosmos.client.create_database(DATABASE)
    with pytest.raises(CosmosResourceExistsError):
        database.create_container("items", PartitionKey("/pk"))
    assert [found["id"] for found in database.list_containers()] == ["items"]
    database.delete_container("items")
    with pytest.raises(CosmosResourceNotFoundError):
        cosmos.items.read()
    cosmos.client.delete_database(DATABASE)
    assert list(cosmos.client.list_databases()) == []


def test_a_container_answers_its_policy_with_the_services_additions(cosmos: Lab):
    policy = {"includedPaths": [{"path": "/n/?"}], "excludedPaths": [{"path": "/*"}]}
    database = cosmos.client.get_database_client(DATABASE)
    made = database.create_container("other", PartitionKey("/a/b"), default_ttl=60, indexing_policy=policy).read()
    assert made["partitionKey"] == {"paths": ["/a/b"], "kind": "Hash", "version": 2}
    assert made["defaultTtl"] == 60
    assert made["indexingPolicy"]["excludedPaths"] == [{"path": "/*"}, {"path": '/"_etag"/?'}]
    assert made["indexingPolicy"]["indexingMode"] == "consistent"


def test_replacing_a_container_changes_its_policy_and_never_its_key(cosmos: Lab):
    database = cosmos.client.get_database_client(DATABASE)
    database.replace_container("items", PartitionKey("/pk"), default_ttl=5)
    assert cosmos.items.read()["defaultTtl"] == 5
    with pytest.raises(CosmosHttpResponseError, match="cannot be changed"):
        database.replace_container("items", PartitionKey("/other"))


@pytest.mark.parametrize(
    "wanted",
    [
        {"unique_key_policy": {"uniqueKeys": [{"paths": ["/email"]}]}},
        {"indexing_policy": {"includedPaths": [{"path": "/n/?"}]}},
        {"indexing_policy": {"indexingMode": "sometimes"}},
        {"indexing_policy": {"spatialIndexes": []}},
        {"indexing_policy": {"compositeIndexes": [[{"path": "/n"}]]}},
        {"default_ttl": 0},
        {"analytical_storage_ttl": -1},
    ],
    ids=str,
)
def test_a_container_that_the_server_cannot_keep_is_refused(cosmos: Lab, wanted):
    with pytest.raises(CosmosHttpResponseError) as refused:
        cosmos.client.get_database_client(DATABASE).create_container("other", PartitionKey("/pk"), **wanted)
    assert refused.value.status_code == 400


def test_the_sdk_recovers_from_a_container_that_was_made_anew(cosmos: Lab):
    cosmos.items.upsert_item({"id": "one", "pk": "acme"})
    with CosmosClient(cosmos.url, cosmos.key) as other:
        database = other.get_database_client(DATABASE)
        database.delete_container("items")
        database.create_container("items", PartitionKey("/pk"))
    cosmos.items.upsert_item({"id": "two", "pk": "acme"})
    assert [item["id"] for item in cosmos.items.read_all_items()] == ["two"]


def test_requests_are_counted_by_kind(cosmos: Lab):
    cosmos.control("DELETE", "counters")
    cosmos.items.upsert_item({"id": "one", "pk": "acme"})
    cosmos.items.patch_item("one", "acme", [{"op": "incr", "path": "/n", "value": 1}])
    counted = cosmos.control("GET", "counters")
    counted.pop("account.read", None)  # the SDK looks at the account whenever it likes
    assert counted == {"upsert": 1, "patch": 1}


def test_the_sdk_waits_out_throttling(cosmos: Lab):
    cosmos.control("POST", "faults", status=429, operation="upsert", times=2, retry_after_ms=1)
    cosmos.control("DELETE", "counters")
    cosmos.items.upsert_item({"id": "one", "pk": "acme"})
    assert cosmos.control("GET", "counters")["upsert"] == 3


def test_throttling_that_goes_on_reaches_the_caller_and_changes_nothing(cosmos: Lab):
    cosmos.control("POST", "faults", status=429, operation="create", times=3, retry_after_ms=1)
    with pytest.raises(CosmosHttpResponseError) as throttled:
        cosmos.items.create_item({"id": "one", "pk": "acme"})
    assert throttled.value.status_code == 429
    assert throttled.value.headers["x-ms-retry-after-ms"] == "1"
    assert list(cosmos.items.read_all_items()) == []


@pytest.mark.parametrize("status", [449, 500, 503])
def test_a_fault_may_come_after_the_write(cosmos: Lab, status: int):
    cosmos.control("POST", "faults", status=status, operation="create", applied=True)
    with pytest.raises(AzureError):
        cosmos.items.create_item({"id": "one", "pk": "acme"})
    assert [item["id"] for item in cosmos.items.read_all_items()] == ["one"]
