"""Where rules lie in tests: a place per document backend, opened as by one process or by several, with every call counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from northstar.context import RequestContext
from northstar.modes import LAB
from storage.guard import ServedBy
from storage.kinds.rules_store import RulesStore
from storage.opening import Adapter, store_over
from storage.registry import KINDS, driver_class

READS = frozenset({"get", "get_many", "scan"})


class CountedDriver:
    """A driver that counts its calls, and that fails or waits on request."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.calls: list[str] = []
        self.before: Any = None
        """Called with the name and arguments of each call, before it is made."""
        self.adapter = Adapter(self, ())
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.driver, name)
        if name not in {"get", "get_many", "scan", "put", "put_many", "write", "delete", "increment"}:
            return found

        def counted(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self.calls.append(name)
            if self.before is not None:
                self.before(name, arguments)
            return found(*arguments, **options)

        return counted

    @property
    def reads(self) -> int:
        return len([name for name in self.calls if name in READS])


@dataclass
class Place:
    """One place on one backend. `open` is a tenant's store, `process` a driver of its own, as another process has."""

    backend: str
    config: Any
    drivers: list[CountedDriver] = field(default_factory=list)

    def process(self) -> CountedDriver:
        made = driver_class("rules_store", self.backend)(
            self.config, mode=LAB, epoch=1, collections=KINDS["rules_store"].collections
        )
        self.drivers.append(CountedDriver(made))
        return self.drivers[-1]

    def open(self, tenant: str = "acme", *, on: CountedDriver | None = None, **context: Any) -> RulesStore:
        """Return a tenant's store, over the driver of a process, a new one unless it is named."""
        adapter = (on or self.process()).adapter
        asked = RequestContext(tenant, "dev", LAB, **context)
        store: RulesStore = store_over("rules_store", asked, adapter, ServedBy(1, 1, self.backend))
        return store

    def close(self) -> None:
        for driver in self.drivers:
            driver.driver.close()


@contextmanager
def place_on(backend: str, config: dict[str, Any]) -> Iterator[Place]:
    """A prepared place on a backend."""
    place = Place(backend, driver_class("rules_store", backend).Config.model_validate(config))
    try:
        place.process().driver.prepare()
        yield place
    finally:
        place.close()
