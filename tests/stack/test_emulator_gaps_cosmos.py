"""Where npm's Cosmos DB server does not do what Cosmos DB does: a test that fails here tells that a gap is closed."""

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest
from azure.cosmos import ContainerProxy, CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from tests.stack.fixtures import CosmosDatabase

ONE_RED = {"id": "a", "pk": "acme", "colour": "red"}
RED = "SELECT * FROM c WHERE c.colour = 'red'"
ITEM_BYTES = 2 * 1024 * 1024
"""The service's limit of an item."""


def client_of(database: CosmosDatabase, key: str) -> CosmosClient:
    return CosmosClient(database.url, key, enable_endpoint_discovery=False)


@pytest.fixture
def container(cosmos_second_database: CosmosDatabase) -> Iterator[ContainerProxy]:
    with client_of(cosmos_second_database, cosmos_second_database.key) as client:
        database = client.create_database(cosmos_second_database.database)
        yield database.create_container("things", PartitionKey("/pk"), default_ttl=-1)


def test_a_missing_item_is_an_error_of_the_server_and_not_404(container: ContainerProxy):
    with pytest.raises(CosmosHttpResponseError) as failed:
        container.read_item("a", "acme")
    assert failed.value.status_code == 500


def test_a_query_of_one_partition_must_say_so_in_its_text(container: ContainerProxy):
    container.upsert_item(ONE_RED)
    with pytest.raises(CosmosHttpResponseError, match="missing partition keys"):
        list(container.query_items(RED, partition_key="acme"))
    found = container.query_items(f"{RED} AND c.pk = 'acme'", partition_key="acme")
    assert [item["id"] for item in found] == ["a"]


def test_the_partition_that_a_query_is_sent_to_does_not_confine_it(container: ContainerProxy):
    container.upsert_item(ONE_RED)
    found = container.query_items(f"{RED} AND c.pk = 'acme'", partition_key="globex")
    assert [item["id"] for item in found] == ["a"]


def test_a_batch_that_fails_leaves_what_it_did_before(container: ContainerProxy):
    container.upsert_item(ONE_RED)
    creates: list[Any] = [("create", ({"id": key, "pk": "acme"},)) for key in "ba"]
    with pytest.raises(CosmosBatchOperationError):
        container.execute_item_batch(creates, "acme")
    assert container.read_item("b", "acme")["id"] == "b"


def test_items_never_expire(container: ContainerProxy):
    written = container.upsert_item({**ONE_RED, "ttl": 1})
    deadline = written["_ts"] + 2
    while time.time() < deadline:
        time.sleep(0.1)  # it has no clock that a test could set
    assert container.read_item("a", "acme")["id"] == "a"


def test_items_may_be_larger_than_2_mb(container: ContainerProxy):
    container.upsert_item({**ONE_RED, "text": "x" * (ITEM_BYTES + 1)})


def test_offset_and_limit_are_not_understood(container: ContainerProxy):
    with pytest.raises(CosmosHttpResponseError, match="BadRequest"):
        list(container.query_items(f"{RED} AND c.pk = 'acme' OFFSET 0 LIMIT 1", partition_key="acme"))


def test_any_key_is_accepted(container: ContainerProxy, cosmos_second_database: CosmosDatabase):
    with client_of(cosmos_second_database, base64.b64encode(b"forged").decode()) as forged:
        assert list(forged.query_databases(f"SELECT * FROM c WHERE c.id = '{cosmos_second_database.database}'"))


def test_there_is_no_session_token(container: ContainerProxy):
    headers: dict[str, str] = {}
    container.upsert_item(ONE_RED, response_hook=lambda given, _: headers.update(given))
    assert "etag" in headers
    assert "x-ms-session-token" not in headers
