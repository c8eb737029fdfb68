"""Places: a budget's rows and counters lie with their tenant or their project, one partition each.

What a tenant may use in all is counted outside of its projects; a project's own part, and its users', inside. Surfaces share
both.
"""

from dataclasses import dataclass, replace
from typing import Final

from analytics.budgets.names import TABLE
from northstar.context import NO_SURFACE, RequestContext
from storage.documents import Operation, Outcome
from storage.kinds.tabular_store import Record, RecordPage, TabularStore
from storage.opening import open_store

SCAN: Final = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """The table `budget` of a tenant's environment (`project` None) or of one project in it."""

    store: TabularStore
    project: str | None

    def get(self, key: str) -> Record | None:
        return self.store.get(TABLE, key)

    def get_many(self, keys: list[str]) -> list[Record | None]:
        return self.store.get_many(TABLE, keys) if keys else []

    def page(self, prefix: str, after: str | None = None, limit: int = SCAN) -> RecordPage:
        return self.store.list_by_prefix(TABLE, prefix, limit=limit, after=after)

    def all(self, prefix: str) -> list[Record]:
        """Return every record with this prefix."""
        found, after = list[Record](), None
        while True:
            page = self.page(prefix, after)
            found += page.records
            if page.next_after is None:
                return found
            after = page.next_after

    def write(self, operations: list[Operation]) -> list[Outcome]:
        """Apply all or none, in one round trip. What is sent names its own conditions: it needs no operation id to be safe
        twice."""
        return self.store.write(TABLE, operations)


def open_place(context: RequestContext, project: str | None) -> Place:
    """Open the tenant's place, or that of one of its projects. Raises as `open_store`."""
    return Place(open_store("tabular_store", context_of(context, project)), project)


def context_of(context: RequestContext, project: str | None) -> RequestContext:
    """Return the context that a place is opened in: nothing but tenant, environment and project tells places apart."""
    return replace(context, project_id=project, surface_id=NO_SURFACE)
