"""What the tests of the Cosmos driver share: configs, drivers, and the test server's control plane."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.request import Request, urlopen

from pydantic import SecretStr

from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from storage.backends.cosmos_config import CosmosConfig
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from tests.stack.fixtures import CosmosDatabase

BACKEND = "cosmos (test server)"


def cosmos_config(database: CosmosDatabase, **changes: Any) -> CosmosConfig:
    """Return a config for a database of the test server, or of a proxy before it (`endpoint`)."""
    fields = {"endpoint": database.url, "database": database.database, "key": SecretStr(database.key), **changes}
    return CosmosConfig(**fields)


@contextmanager
def cosmos_driver(config: CosmosConfig) -> Iterator[CosmosDocuments]:
    """A driver whose container exists."""
    with closing(CosmosDocuments(config, mode=LAB, epoch=1)) as driver:
        driver.prepare()
        yield driver


def guarded(driver: CosmosDocuments, tenant: str = "acme", secrets: tuple[str, ...] = ()) -> GuardedDocuments:
    """A tenant's documents."""
    return GuardedDocuments(driver, scope=Scope(tenant, "dev"), served_by=ServedBy(1, 1, "cosmos"), secrets=secrets)


class Control:
    """The test server's control plane: its clock, its faults, and what it counts."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/_test"

    def fault(self, status: int, **options: Any) -> None:
        """Answer the next request with a status; see the server's `Fault`."""
        self._ask("POST", "faults", {"status": status, **options})

    def clock(self, offset_seconds: float) -> None:
        """Move the server's clock."""
        self._ask("POST", "clock", {"offset_seconds": offset_seconds})

    def consistency(self, level: str) -> None:
        """Set the account's default consistency."""
        self._ask("POST", "consistency", {"level": level})

    def forget_counts(self) -> None:
        self._ask("DELETE", "counters")

    def counts(self) -> dict[str, int]:
        """Requests by kind since they were last forgotten, but for those of the account that the SDK sends by itself."""
        counted = json.loads(self._ask("GET", "counters"))
        return {kind: count for kind, count in counted.items() if kind != "account.read"}

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self._url}/{path}", data=data, method=method), timeout=5) as answer:
            return bytes(answer.read())
