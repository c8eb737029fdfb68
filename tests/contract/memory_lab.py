"""Opens memory over any backend's driver, in any context."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from northstar.context import RequestContext
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.memory_store import MemoryStore
from tests.contract.memory_contract import OpenMemory


@contextmanager
def opened_memory(new_driver: Callable[[], Any], backend: str) -> Iterator[OpenMemory]:
    """Drivers by number, each opened once and closed at the end."""
    drivers: dict[int, Any] = {}

    def open_memory(tenant: str = "acme", *, driver: int = 0, mode: str = "lab", **context: Any) -> MemoryStore:
        if driver not in drivers:
            drivers[driver] = new_driver()
        documents = GuardedDocuments(
            drivers[driver], scope=Scope(tenant, "dev"), served_by=ServedBy(1, 1, backend), kind="memory_store"
        )
        return MemoryStore(documents, RequestContext(tenant, "dev", mode, **context))

    try:
        yield open_memory
    finally:
        for opened in drivers.values():
            opened.close()
