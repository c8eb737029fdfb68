"""A container's items: point operations with the service's conditions, sizes, ids, ETags and time to live."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.servers.cosmos_errors import CosmosError, bad_request, not_found, precondition_failed, too_large
from tests.servers.cosmos_expressions import Expression, Scope
from tests.servers.cosmos_parser import parse_condition
from tests.servers.cosmos_partitions import Partition, PartitionKey
from tests.servers.cosmos_patch import patched
from tests.servers.cosmos_values import is_number, size_of

MAX_ITEM = 2 * 1024 * 1024
"""Bytes of an item's JSON in UTF-8 ("Service quotas", per-item limits)."""
MAX_ID = 1023
"""Bytes of an id ("Service quotas", per-item limits)."""
MAX_TTL = 2**31 - 1
"""Seconds ("Time to live")."""
FORBIDDEN_IN_ID = frozenset("/\\?#")
"""The resource model forbids these four in an id."""

Fields = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """An item as it is answered: `fields` with the system properties, never changed in place."""

    fields: Fields
    place: int
    size: int
    modified: float

    @property
    def etag(self) -> str:
        return str(self.fields["_etag"])


@dataclass
class Clock:
    """The account's time in seconds since 1970, `offset` ahead of the machine's."""

    machine: Callable[[], float]
    offset: float = 0.0

    def now(self) -> float:
        return self.machine() + self.offset


class Items:
    """Everything stored in one container. Not thread-safe: the account's lock is held by whoever calls."""

    def __init__(self, rid: bytes, self_link: str, key: PartitionKey, clock: Clock) -> None:
        self.key = key
        self.default_ttl: int | None = None
        self.written = 0
        self._rid = rid
        self._self_link = self_link
        self._clock = clock
        self._places = 0
        self._partitions: dict[Partition, dict[str, Item]] = {}

    def alive(self, partition: Partition | None) -> Iterator[Item]:
        """Yield the items of a partition, or of all, in the order in which they were created."""
        chosen = list(self._partitions.values()) if partition is None else [self._partitions.get(partition, {})]
        found = [item for items in chosen for item in items.values() if not self._expired(item)]
        return iter(sorted(found, key=lambda item: item.place))

    def read(self, partition: Partition, key: str, *, if_none_match: str | None = None) -> Item:
        """Return an item. Raises a 404, and a 304 when it still has the ETag."""
        item = self._found(partition, key)
        if if_none_match == item.etag:
            raise CosmosError(304, "Not Modified", headers={"etag": item.etag})
        return item

    def create(self, partition: Partition, document: Any) -> Item:
        """Store a new item, or raise a 409."""
        key = self._checked(document, partition)
        if self._get(partition, key) is not None:
            raise CosmosError(409, "Entity with the specified id already exists in the system.")
        return self._stored(partition, document, None)

    def upsert(self, partition: Partition, document: Any, *, if_match: str | None = None) -> tuple[Item, bool]:
        """Store an item, and return it with whether it is new. If-Match binds only one that exists: a missing one is created."""
        current = self._get(partition, self._checked(document, partition))
        if current is not None:
            _match(current, if_match)
        return self._stored(partition, document, current), current is None

    def replace(self, partition: Partition, key: str, document: Any, *, if_match: str | None = None) -> Item:
        """Replace an item. Raises a 404, 412 on a stale ETag, and a 400 when the document has another id."""
        if self._checked(document, partition) != key:
            raise bad_request("the id of the document is not the id of the item that it replaces")
        current = self._found(partition, key)
        _match(current, if_match)
        return self._stored(partition, document, current)

    def patch(self, partition: Partition, key: str, body: Any, *, if_match: str | None = None) -> Item:
        """Apply a patch `{condition, operations}`. Raises a 404, 412 when condition or ETag fail, 400 for a bad operation."""
        if not isinstance(body, dict) or body.keys() - {"condition", "operations"}:
            raise bad_request("a patch has operations and perhaps a condition, nothing else")
        condition = _condition(body.get("condition"))
        current = self._found(partition, key)
        _match(current, if_match)
        if condition is not None and condition.evaluate(Scope(current.fields, {})) is not True:
            raise precondition_failed()
        document = patched(current.fields, body.get("operations"), self.key.steps)
        self._checked(document, partition)
        return self._stored(partition, document, current)

    def delete(self, partition: Partition, key: str, *, if_match: str | None = None) -> None:
        """Remove an item. Raises a 404, and a 412 on a stale ETag."""
        _match(self._found(partition, key), if_match)
        del self._partitions[partition][key]
        self.written += 1

    def snapshot(self, partition: Partition) -> dict[str, Item]:
        """Return what `restore` needs to take back later writes of a partition."""
        return dict(self._partitions.get(partition, {}))

    def restore(self, partition: Partition, items: dict[str, Item]) -> None:
        """Let a partition hold what it held at its snapshot."""
        self._partitions[partition] = items

    def _get(self, partition: Partition, key: str) -> Item | None:
        item = self._partitions.get(partition, {}).get(key)
        if item is not None and self._expired(item):
            del self._partitions[partition][key]
            return None
        return item

    def _found(self, partition: Partition, key: str) -> Item:
        item = self._get(partition, key)
        if item is None:
            raise not_found(f"no item {key!r} in this partition")
        return item

    def _expired(self, item: Item) -> bool:
        if self.default_ttl is None:
            return False
        ttl = item.fields.get("ttl", self.default_ttl)
        return ttl != -1 and bool(self._clock.now() >= item.modified + ttl)

    def _checked(self, document: Any, partition: Partition) -> str:
        """Refuse a document that may not be stored in the partition, and return its id."""
        if not isinstance(document, dict):
            raise bad_request("an item is a JSON object")
        if self.key.of_document(document) != partition:
            raise bad_request(
                "PartitionKey extracted from document doesn't match the one specified in the header", substatus=1001
            )
        if "ttl" in document:
            check_ttl(document["ttl"])
        return check_id(document.get("id"))

    def _stored(self, partition: Partition, document: Fields, current: Item | None) -> Item:
        now = self._clock.now()
        self.written += 1
        if current is None:
            self._places += 1
        place = self._places if current is None else current.place
        rid = encoded_rid(self._rid + place.to_bytes(8, "little"))
        fields = {
            **document,
            "_rid": rid,
            "_self": f"{self._self_link}docs/{rid}/",
            "_etag": f'"{self.written:08x}-0000-0100-0000-{int(now):08x}0000"',
            "_attachments": "attachments/",
            "_ts": int(now),
        }
        size = size_of(fields)
        if size > MAX_ITEM:
            raise too_large("the item", size, MAX_ITEM)
        item = Item(fields, place, size, now)
        self._partitions.setdefault(partition, {})[fields["id"]] = item
        return item


def encoded_rid(raw: bytes) -> str:
    """Write a resource id as the service does: base64, with - for /."""
    return base64.b64encode(raw, b"+-").decode("ascii")


def check_id(key: Any) -> str:
    """Return a valid id of an item, or raise a 400."""
    if not isinstance(key, str) or not key:
        raise bad_request("The input content is invalid because the required property 'id' is missing or is no text")
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > MAX_ID:
        raise bad_request(f"the id has {size} bytes, at most {MAX_ID} are allowed")
    forbidden = sorted(FORBIDDEN_IN_ID & set(key))
    if forbidden:
        raise bad_request(f"the id contains {' '.join(forbidden)}, which is not allowed")
    return key


def check_ttl(ttl: Any) -> None:
    """Refuse a time to live that is neither -1 nor whole seconds from 1."""
    if not is_number(ttl) or isinstance(ttl, float) or (ttl != -1 and not 1 <= ttl <= MAX_TTL):
        raise bad_request(f"the ttl {ttl!r} is neither -1 nor a number of seconds from 1 to {MAX_TTL}")


def _match(item: Item, if_match: str | None) -> None:
    if if_match not in {None, "*", item.etag}:
        raise precondition_failed()


def _condition(text: Any) -> Expression | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise bad_request("the condition of a patch is text")
    return parse_condition(text)
