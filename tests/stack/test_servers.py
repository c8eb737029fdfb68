"""Every server of the stack starts, speaks its service's protocol, and gives each test a place of its own."""

import psycopg
import pytest
import redis
from azure.cosmos import CosmosClient
from azure.storage.blob import BlobServiceClient
from google.cloud import firestore

from tests.stack.dynamodb import client_of, create_table
from tests.stack.fixtures import AwsAccount, AzureContainer, CosmosDatabase, FirestoreProject

TWICE = pytest.mark.parametrize("time", ["first", "second"])


@TWICE
@pytest.mark.parametrize("account", ["aws_account", "locked_moto_account"])
def test_an_account_has_no_tables_of_another_test(request: pytest.FixtureRequest, account: str, time: str):
    given: AwsAccount = request.getfixturevalue(account)
    client = client_of(given)
    assert client.list_tables()["TableNames"] == []
    create_table(client, "things")
    assert client.list_tables()["TableNames"] == ["things"]


@TWICE
@pytest.mark.parametrize("project", ["firestore_project", "firestore_emulator_project"])
def test_a_project_has_no_documents_of_another_test(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, project: str, time: str
):
    given: FirestoreProject = request.getfixturevalue(project)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", given.address)
    client = firestore.Client(project=given.project)
    document = client.document("things/a")
    assert not document.get().exists
    document.set({"n": 1})
    assert document.get().to_dict() == {"n": 1}
    client.close()


@TWICE
@pytest.mark.parametrize("database", ["cosmos_database", "cosmos_second_database"])
def test_a_database_is_new_for_each_test(request: pytest.FixtureRequest, database: str, time: str):
    given: CosmosDatabase = request.getfixturevalue(database)
    with CosmosClient(given.url, given.key, enable_endpoint_discovery=False) as client:
        client.create_database(given.database)


@TWICE
def test_a_redis_is_empty_for_each_test(redis_url: str, time: str):
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == []
        client.set("a", 1)
        assert client.get("a") == b"1"


@TWICE
def test_a_postgres_database_has_no_tables_of_another_test(postgres_url: str, time: str):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE things (n int)")
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)


@TWICE
def test_a_container_is_new_for_each_test(azure_container: AzureContainer, time: str):
    named = {"account_name": azure_container.account, "account_key": azure_container.key}
    url = f"{azure_container.endpoint}/{azure_container.account}"
    with BlobServiceClient(url, credential=named).get_container_client(azure_container.container) as client:
        assert not client.exists()
        client.create_container()
        client.upload_blob("a", b"1")
        assert [blob.name for blob in client.list_blobs()] == ["a"]


def test_credentials_of_the_stack_are_in_no_repr(aws_account: AwsAccount, cosmos_database: CosmosDatabase):
    assert aws_account.secret_key not in repr(aws_account)
    assert cosmos_database.key not in repr(cosmos_database)
