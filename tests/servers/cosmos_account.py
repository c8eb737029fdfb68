"""Accounts: each has databases, a clock, faults and counters of its own, and one lock around all of them."""

import threading
import time
from collections import Counter

from tests.servers.cosmos_containers import Database, already_exists, new_database
from tests.servers.cosmos_errors import not_found, owner_not_found
from tests.servers.cosmos_faults import Fault
from tests.servers.cosmos_items import Clock

CONSISTENCY_LEVELS = ("Eventual", "ConsistentPrefix", "Session", "BoundedStaleness", "Strong")
"""From the weakest to the strongest; a request may weaken its account's, never strengthen it."""


class Account:
    """Everything that one account holds. Hold `lock` to read or change any of it."""

    def __init__(self, consistency: str) -> None:
        self.lock = threading.Lock()
        self.consistency = self._usual_consistency = consistency
        self.clock = Clock(time.time)
        self.databases: dict[str, Database] = {}
        self.faults: list[Fault] = []
        self.counters: Counter[str] = Counter()
        self._created = 0

    def database(self, name: str, *, owner: bool = False) -> Database:
        """Return a database. `owner` says that something in it is asked for, which changes the 404 when there is none."""
        if name not in self.databases:
            raise (owner_not_found if owner else not_found)(f"no database {name!r}")
        return self.databases[name]

    def create_database(self, body: object) -> Database:
        """Create a database, or raise a 409 when there is one of that name."""
        database = new_database(body, self._created + 1, self.clock)
        if database.properties["id"] in self.databases:
            raise already_exists()
        self._created += 1
        self.databases[database.properties["id"]] = database
        return database

    def reset(self) -> None:
        """Forget everything, as if the account were new. Resource ids go on, so no cached one is valid again."""
        self.consistency = self._usual_consistency
        self.clock.offset = 0.0
        self.databases.clear()
        self.faults.clear()
        self.counters.clear()


class Accounts:
    """Accounts by name; one comes into being when it is first spoken to."""

    def __init__(self, consistency: str) -> None:
        self._consistency = consistency
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}

    def named(self, name: str) -> Account:
        with self._lock:
            return self._accounts.setdefault(name, Account(self._consistency))
