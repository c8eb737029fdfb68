"""An account of its own at the Cosmos DB test server: the real SDK, plain signed HTTP, and the control plane."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, urlsplit

from azure.cosmos import ContainerProxy, CosmosClient, PartitionKey

from tests.servers.cosmos_auth import signature_of
from tests.servers.cosmos_requests import Request

DATABASE = "northstar"
BY_KIND = [{"path": "/kind", "order": "ascending"}, {"path": "/n", "order": "descending"}]
ITEMS = f"/dbs/{DATABASE}/colls/items/docs"


@dataclass(frozen=True)
class Lab:
    """An account that nobody else uses, with a container `items` by /pk, in which items may have a time to live."""

    url: str
    key: str = field(repr=False)
    client: CosmosClient
    items: ContainerProxy

    def send(
        self, method: str, path: str, body: Any = None, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Send a request that the SDK would not, signed, and return status, headers and JSON."""
        return self.send_text(method, path, "" if body is None else json.dumps(body), key=key, headers=headers)

    def send_text(
        self, method: str, path: str, text: str, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Send a body that need not be JSON."""
        parts = urlsplit(self.url)
        sent = {"x-ms-date": formatdate(usegmt=True), **(headers or {})}
        signed = signature_of(Request.parsed(method, parts.path + path, sent, b""), key or self.key)
        sent.setdefault("authorization", quote(f"type=master&ver=1.0&sig={signed}", safe=""))
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        try:
            connection.request(method, parts.path + path, text.encode(), sent)
            response = connection.getresponse()
            answer = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, json.loads(answer) if answer else None
        finally:
            connection.close()

    def control(self, method: str, what: str, **body: Any) -> Any:
        """Steer the account: `control("POST", "clock", offset_seconds=60)`."""
        status, _, answer = self.send(method, f"/_test/{what}", body or None)
        assert status < 300, answer
        return answer

    def query(self, text: str, *, pk: str | None = "acme", size: int | None = None, **parameters: Any) -> list[Any]:
        """Run a query in a partition, or across all with None. Parameters are named without their @."""
        given = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]
        scope: dict[str, Any] = {"enable_cross_partition_query": True} if pk is None else {"partition_key": pk}
        return list(self.items.query_items(text, parameters=given, max_item_count=size, **scope))


@contextmanager
def cosmos_lab(url: str, key: str) -> Iterator[Lab]:
    """Open the account at `url`, and close the SDK's connections at the end."""
    with CosmosClient(url, key, retry_throttle_total=2) as client:
        database = client.create_database(DATABASE)
        policy = {"compositeIndexes": [BY_KIND]}
        items = database.create_container("items", PartitionKey("/pk"), default_ttl=-1, indexing_policy=policy)
        yield Lab(url, key, client, items)
