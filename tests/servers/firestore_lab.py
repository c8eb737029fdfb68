"""A project of its own at the Firestore test server: the real SDK, its generated client, and the control side."""

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import grpc
from google.cloud import firestore
from google.cloud.firestore_admin_v1 import FirestoreAdminClient
from google.cloud.firestore_admin_v1.services.firestore_admin.transports import FirestoreAdminGrpcTransport
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports.grpc import FirestoreGrpcTransport

SERVERS = ("ours", "google")
"""What the fixture `lab` takes as a parameter. Google's emulator confirms what ours does; it is skipped where it is not."""

OWNER = [("authorization", "Bearer owner")]
"""How the SDK says to Google's emulator that it may do everything; some generated calls need it said there."""


@dataclass(frozen=True)
class Lab:
    """A project that nobody else uses, in its default database. `api` is the SDK's generated client: nothing is hidden."""

    address: str
    project: str
    client: firestore.Client
    api: FirestoreClient
    admin: FirestoreAdminClient

    @property
    def database(self) -> str:
        return f"projects/{self.project}/databases/(default)"

    def name(self, path: str) -> str:
        """Return the full name of a document, or of the root for an empty path."""
        return "/".join([self.database, "documents", *path.split("/")] if path else [self.database, "documents"])

    def commit(self, *writes: dict[str, Any], **options: Any) -> Any:
        """Commit writes as the protocol has them, without retries."""
        return self.api.commit({"database": self.database, "writes": list(writes), **options}, retry=None, timeout=30)

    def query(self, **query: Any) -> list[str]:
        """Run a structured query over the collection `things`, and return the paths of what it finds."""
        asked = {"from_": [{"collection_id": "things"}], **query}
        responses = self.api.run_query({"parent": self.name(""), "structured_query": asked}, retry=None)
        return [each.document.name.removeprefix(self.name("") + "/") for each in responses if each.document.name]

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        """Ask the server's control side, such as `control("POST", "clock", advance_seconds=60)`."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request(
                method, path if path.startswith("/") else f"/control/{path}", json.dumps(body) if body else None
            )
            response = connection.getresponse()
            answer = response.read()
            assert response.status == http.client.OK, answer
            return json.loads(answer)
        finally:
            connection.close()

    def set_field(self, group: str, path: str, *, indexes: list[str] | None = None, expires: bool = False) -> Any:
        """Give a field of a collection group these indexes, such as ASCENDING, or let it say when a document expires."""
        field: dict[str, Any] = {"name": f"{self.database}/collectionGroups/{group}/fields/{path}"}
        if indexes is not None:
            parts = [
                {"query_scope": "COLLECTION", "fields": [{"field_path": path, "order": order}]} for order in indexes
            ]
            field["index_config"] = {"indexes": parts}
        if expires:
            field["ttl_config"] = {}
        paths = [each for each in field if each != "name"]
        return self.admin.update_field({"field": field, "update_mask": {"paths": paths}}).result(timeout=30)

    def fault(self, method: str, code: str | None = None, **options: Any) -> None:
        """Let the next call of a method by this project fail, or be slow."""
        self.control("POST", "faults", method=method, code=code, project=self.project, **options)


@contextmanager
def firestore_lab(address: str, project: str) -> Iterator[Lab]:
    """Open a project at a server, and close the SDK's connections at the end."""
    with patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": address}):
        client = firestore.Client(project=project)
        client._firestore_api  # noqa: B018 - the address is read when the connection is made, at first use
    with grpc.insecure_channel(address) as channel:
        api = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))
        admin = FirestoreAdminClient(transport=FirestoreAdminGrpcTransport(channel=channel))
        try:
            yield Lab(address, project, client, api, admin)
        finally:
            client._firestore_api.transport.close()


def update(lab: Lab, path: str, fields: dict[str, Any], **write: Any) -> dict[str, Any]:
    """Return a write as the protocol has it: replace a document, with a mask, transforms or a precondition if given."""
    return {"update": {"name": lab.name(path), "fields": fields}, **write}


def ids(query: Any) -> list[str]:
    """Return the ids of what a query of the SDK finds, in order."""
    return [each.id for each in query.stream(retry=None, timeout=30)]


def numbered(lab: Lab) -> firestore.CollectionReference:
    """Nine documents 0 to 8 with n in 0, 1, 2 and z from 8 down."""
    things = lab.client.collection("things")
    batch = lab.client.batch()
    for n in range(9):
        batch.set(things.document(str(n)), {"n": n % 3, "z": 8 - n})
    batch.commit()
    return things
