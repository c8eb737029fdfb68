"""Reads of a Cosmos container, and the atomic conditional commits that compare-and-set is made of."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from northstar.instants import instant_text
from storage.backends.cosmos_client import Connection
from storage.backends.cosmos_errors import Missing, Refused, Taken
from storage.backends.cosmos_items import Item, item_of, memory_item_of, memory_of, stored_of
from storage.backends.cosmos_names import id_of, memory_id_of, pk_of
from storage.backends.service import Change, Memory, Outrun, Place, Stored
from storage.backends.versions import Versions
from storage.errors import Throttled

BatchOperation = tuple[str, tuple[Any, ...], dict[str, Any]]
"""As the SDK's batch takes it: the verb, its arguments, its options."""

IDS_AT_ONCE: Final = 100
"""Items asked for in one query."""
LONGEST_PAUSE_SECONDS: Final = 2.0

_BY_ID: Final = "SELECT * FROM c WHERE c.pk = @pk AND c.id IN ({})"
_IN_ORDER: Final = (
    "SELECT * FROM c WHERE c.pk = @pk AND c.sort >= @low AND c.sort < @high AND c.expires_at > @now ORDER BY c.sort {}"
)


class CosmosStore:
    """Implements `service.Service`. Every read is as strong as the account's consistency, which the connection has checked."""

    commit_time_is_version = False

    def __init__(self, connection: Connection, versions: Versions) -> None:
        self._connection = connection
        self._versions = versions

    def item(self, pk: str, item_id: str) -> Item | None:
        """Return one item, by a point read."""
        try:
            found = self._connection.call(lambda container: container.read_item(item_id, pk), write=False, item=True)
        except Missing:
            return None
        return self._seen(found)

    def items(self, pk: str, ids: Sequence[str]) -> dict[str, Item]:
        """Return those items that there are, by their ids: one query for every hundred, a point read for a single one."""
        if len(ids) == 1:
            found = self.item(pk, ids[0])
            return {ids[0]: found} if found else {}
        items: dict[str, Item] = {}
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = ids[start : start + IDS_AT_ONCE]
            names = {f"@id{position}": item_id for position, item_id in enumerate(some)}
            for page in self._pages(_BY_ID.format(", ".join(names)), {"@pk": pk, **names}, pk, len(some)):
                items |= {item["id"]: item for item in page}
        return items

    def page(self, pk: str, low: str, high: str, *, limit: int, reverse: bool, now: datetime) -> list[Item]:
        """Return the first unexpired documents' items of a range of `sort`, in its order, asked for in one query."""
        names = {"@pk": pk, "@low": low, "@high": high, "@now": instant_text(now)}
        items: list[Item] = []
        for page in self._pages(_IN_ORDER.format("DESC" if reverse else "ASC"), names, pk, limit):
            items += page
            if len(items) >= limit:
                break
        return items[:limit]

    def load(
        self, place: Place, keys: Sequence[str], operation_ids: Sequence[str]
    ) -> tuple[dict[str, Stored], dict[str, Memory]]:
        pk = pk_of(place)
        documents = {id_of(key): key for key in keys}
        memories = {memory_id_of(name): name for name in operation_ids}
        with _patient():
            items = self.items(pk, [*documents, *memories])
        stored = {key: stored_of(items[item_id]) for item_id, key in documents.items() if item_id in items}
        known = {name: memory_of(name, items[item_id]) for item_id, name in memories.items() if item_id in items}
        now = datetime.now(UTC)
        for name in [name for name, memory in known.items() if memory.until <= now]:
            del known[name]
            self._forget(pk, items[memory_id_of(name)])
        return stored, known

    def commit(self, place: Place, changes: Sequence[Change], memories: Sequence[Memory]) -> list[Stored]:
        pk = pk_of(place)
        operations = [_operation(pk, change) for change in changes]
        operations += [("create", (memory_item_of(pk, memory),), {}) for memory in memories]
        with _patient():
            results = self.batch(pk, operations)
        for change in changes:
            self._versions.saw(change.after.version)
        return [replace(change.after, token=result["eTag"]) for change, result in zip(changes, results, strict=False)]

    def batch(self, pk: str, operations: Sequence[BatchOperation]) -> list[dict[str, Any]]:
        """Do all operations or none. Raises Outrun when a condition does not hold, else as `Connection.call`."""
        try:
            return self._connection.call(
                lambda container: container.execute_item_batch(operations, pk), write=True, item=True
            )
        except (Missing, Refused, Taken):
            raise Outrun from None

    def _forget(self, pk: str, memory: Item) -> None:
        """Remove a memory whose day is over, so that its operation id may be used again; who comes second finds it gone."""
        from azure.core import MatchConditions  # noqa: PLC0415 - the SDK is imported at first use

        unchanged = {"etag": memory["_etag"], "match_condition": MatchConditions.IfNotModified}
        try:
            self._connection.call(
                lambda container: container.delete_item(memory["id"], pk, **unchanged), write=True, item=True
            )
        except (Missing, Refused):
            return

    def _pages(self, query: str, names: Mapping[str, str], pk: str, count: int) -> Iterator[list[Item]]:
        """Yield pages of at most `count` items; the service may cut one short, and the next goes on."""
        parameters: list[dict[str, object]] = [{"name": name, "value": value} for name, value in names.items()]
        pages = self._connection.call(
            lambda container: container.query_items(
                query, parameters=parameters, partition_key=pk, max_item_count=count
            ).by_page(),
            write=False,
        )
        while True:
            page = self._connection.call(lambda _: next(pages, None), write=False)
            if page is None:
                return
            yield [self._seen(item) for item in page]

    def _seen(self, item: Item) -> Item:
        if "version" in item:
            self._versions.saw(item["version"])
        return item


@contextmanager
def _patient() -> Iterator[None]:
    """Wait as long as a throttling service asks before it is told: compare-and-set itself goes on after milliseconds."""
    try:
        yield
    except Throttled as busy:
        time.sleep(min(busy.pause_seconds, LONGEST_PAUSE_SECONDS))
        raise


def _operation(pk: str, change: Change) -> BatchOperation:
    item = item_of(pk, change.key, change.after)
    if change.before is None:
        return ("create", (item,), {})
    return ("replace", (item["id"], item), {"if_match_etag": change.before.token})
