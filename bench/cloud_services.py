"""The three cloud drivers on their test servers, each beside the bare calls of its SDK as its documentation shows them."""

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.request import urlopen

from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from storage.backends.cosmos_config import CosmosConfig
from storage.backends.dynamodb import DynamoDBDocuments
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.backends.firestore import FirestoreDocuments
from storage.backends.firestore_config import FirestoreConfig
from storage.documents import DocumentDriver
from tests.stack import servers
from tests.stack.processes import Server

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
BARE: Final = "bare"
EMULATOR_VARIABLE: Final = "FIRESTORE_EMULATOR_HOST"

BareCalls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class CloudService:
    """A driver, ready, and the SDK's own `get`, `put` and `increment` of a record of the same size on the same server.

    `calls()` is how often the driver has called the service so far. `same` are the SDK's calls with the very request that the
    driver sends, where that asks more of the server than the plain one: conditions, and the envelope of a document.
    """

    name: str
    sdk: str
    driver: DocumentDriver
    bare: BareCalls
    calls: Callable[[], int]
    same: BareCalls = field(default_factory=dict)


@contextmanager
def dynamodb(record: Mapping[str, Any]) -> Iterator[CloudService]:
    """DynamoDB on MiniStack, against boto3's client."""
    import boto3  # noqa: PLC0415 - only this benchmark needs it
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415

    with servers.ministack() as server:
        secret = secrets.token_urlsafe(20)
        config = DynamoDBConfig.model_validate(
            {"region": REGION, "endpoint": server.url, "access_key_id": ACCOUNT, "secret_access_key": secret}
        )
        driver = DynamoDBDocuments(config, mode=LAB, epoch=1)
        driver.prepare()
        counted, requests = [0], dict[str, dict[str, Any]]()
        events = driver.native().meta.events
        events.register("before-send.dynamodb", lambda **_: counted.__setitem__(0, counted[0] + 1))
        events.register(
            "provide-client-params.dynamodb", lambda params, model, **_: requests.update({model.name: params})
        )
        client = boto3.client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=server.url,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=secret,
        )
        key = {"pk": {"S": BARE}, "sk": {"S": "customer"}}
        item = key | {name: TypeSerializer().serialize(value) for name, value in record.items()}
        table = {"TableName": config.table_name}
        one = {":one": {"N": "1"}}
        bare: BareCalls = {
            "get": lambda: client.get_item(**table, Key=key, ConsistentRead=True),
            "put": lambda: client.put_item(**table, Item=item),
            "increment": lambda: client.update_item(
                **table,
                Key=key,
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues=one,
                ReturnValues="UPDATED_NEW",
            ),
        }
        same: BareCalls = {
            "put": _repeating(client.put_item, requests, "PutItem"),
            "increment": _repeating(client.update_item, requests, "UpdateItem"),
        }
        yield CloudService("DynamoDB", "boto3 client", driver, bare, lambda: counted[0], same)
        driver.close()
        client.close()


@contextmanager
def firestore(record: Mapping[str, Any]) -> Iterator[CloudService]:
    """Firestore on our own server, against google-cloud-firestore's client."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.firestore import Client, Increment  # noqa: PLC0415

    with servers.firestore_server() as own:
        driver = FirestoreDocuments(FirestoreConfig(project="bench", endpoint=own.url), mode=LAB, epoch=1)
        with _variable(EMULATOR_VARIABLE, own.address):
            client = Client(project="bench", credentials=AnonymousCredentials())
        document = client.collection(BARE).document("customer")
        bare: BareCalls = {
            "get": document.get,
            "put": lambda: document.set(dict(record)),
            "increment": lambda: document.update({"n": Increment(1)}),
        }
        yield CloudService("Firestore", "Firestore client", driver, bare, lambda: _called(own, "control/calls"))
        driver.close()
        client.close()


@contextmanager
def cosmos(record: Mapping[str, Any]) -> Iterator[CloudService]:
    """Cosmos DB on our own server, against azure-cosmos's container client."""
    from azure.cosmos import CosmosClient  # noqa: PLC0415

    key = base64.b64encode(secrets.token_bytes(64)).decode()
    with servers.cosmos_server(key) as server:
        config = CosmosConfig.model_validate({"endpoint": server.url, "key": key})
        driver = CosmosDocuments(config, mode=LAB, epoch=1)
        driver.prepare()
        client = CosmosClient(server.url, key)
        container = client.get_database_client(config.database).get_container_client(config.container)
        item = {"id": "customer", "pk": BARE, **record}
        increment = [{"op": "incr", "path": "/n", "value": 1}]
        bare: BareCalls = {
            "get": lambda: container.read_item("customer", BARE),
            "put": lambda: container.upsert_item(item),
            "increment": lambda: container.patch_item("customer", BARE, increment),
        }
        yield CloudService("Cosmos DB", "azure-cosmos client", driver, bare, lambda: _called(server, "_test/counters"))
        driver.close()


def _repeating(call: Callable[..., object], requests: Mapping[str, Any], name: str) -> Callable[[], object]:
    """Return a call with the last request of that name, changed so that its condition holds: a later version, another id."""
    numbers = count(1)

    def repeat() -> object:
        request, number = requests[name], next(numbers)
        values = dict(request["ExpressionAttributeValues"])
        if ":version" in values:
            later = {"N": str(int(values[":version"]["N"]) + 10**6 * number)}
            return call(**request | {"ExpressionAttributeValues": values | {":version": later}})
        return call(**request | {"ExpressionAttributeValues": values | {":operation": {"S": f"bare-{number}"}}})

    return repeat


def _called(server: Server, path: str) -> int:
    """How many calls of all kinds the server has had, by its own count."""
    with urlopen(f"{server.url}/{path}", timeout=5) as answer:
        return sum(json.load(answer).values())


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
