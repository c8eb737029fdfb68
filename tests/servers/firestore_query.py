"""A structured query: read and checked once, then run over a view of the documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.servers.firestore_errors import invalid, unknown
from tests.servers.firestore_fields import NAME, FieldPath, parse_query_path
from tests.servers.firestore_filters import (
    EVERYTHING,
    Filter,
    flatten,
    inequality_fields,
    key_at,
    matches,
    parse_filter,
)
from tests.servers.firestore_messages import Direction, DocumentMessage, Message, QueryMessage
from tests.servers.firestore_names import Path, check_id
from tests.servers.firestore_store import Answer, Selection, View
from tests.servers.firestore_values import Key, key


@dataclass(frozen=True)
class Order:
    """One part of the order of a query's answers."""

    path: FieldPath
    descending: bool


@dataclass(frozen=True)
class Cursor:
    """A position in the order of the answers: right before, or right after, those that begin with these values."""

    keys: tuple[Key, ...]
    before: bool


@dataclass(frozen=True)
class PreparedQuery:
    """A query that is well-formed. `orders` is complete: it ends with the document's name."""

    selection: Selection
    filter: Filter
    orders: tuple[Order, ...]
    start: Cursor | None
    end: Cursor | None
    offset: int
    limit: int | None
    projection: list[FieldPath] | None

    def run(self, view: View) -> Answer:
        """Return the answers in order."""
        found = (each for each in view.select(self.selection) if matches(self.filter, each))
        places = [(place, each) for each in found if (place := self._place(each)) is not None]
        for position in reversed(range(len(self.orders))):
            places.sort(key=lambda item, at=position: item[0][at], reverse=self.orders[position].descending)  # type: ignore[misc]
        within = [each for place, each in places if self._within(place)]
        last = None if self.limit is None else self.offset + self.limit
        return Answer(within[self.offset : last], min(self.offset, len(within)))

    def _place(self, document: DocumentMessage) -> tuple[Key, ...] | None:
        """Return a document's place, None when it lacks a field of the order: it is in no index of that field then."""
        place = [key_at(document, order.path) for order in self.orders]
        found = tuple(each for each in place if each is not None)
        return found if len(found) == len(place) else None

    def _within(self, place: tuple[Key, ...]) -> bool:
        if self.start is not None:
            side = self._compare(place, self.start)
            if side < 0 or (side == 0 and not self.start.before):
                return False
        if self.end is not None:
            side = self._compare(place, self.end)
            return side < 0 or (side == 0 and not self.end.before)
        return True

    def _compare(self, place: tuple[Key, ...], cursor: Cursor) -> int:
        for here, there, order in zip(place, cursor.keys, self.orders, strict=False):
            if here != there:
                return 1 if (here > there) != order.descending else -1
        return 0


def prepare(parent: Path, message: QueryMessage) -> PreparedQuery:
    """Read a query. Refused when it breaks a rule or uses what this server does not know."""
    if message.HasField("find_nearest"):
        raise unknown("vector search")
    selection = _selection(parent, message)
    found = parse_filter(message.where) if message.HasField("where") else EVERYTHING
    explicit = _orders(message.order_by)
    if not selection.collection and any(path != NAME for path in _fields_used(found, explicit)):
        raise invalid("a query of any collection can filter and order by __name__ alone")
    if message.offset < 0 or (message.HasField("limit") and message.limit.value < 0):
        raise invalid("offset and limit cannot be negative")
    return PreparedQuery(
        selection,
        found,
        _completed(explicit, found),
        _cursor(message.start_at, explicit) if message.HasField("start_at") else None,
        _cursor(message.end_at, explicit) if message.HasField("end_at") else None,
        message.offset,
        message.limit.value if message.HasField("limit") else None,
        _projection(message),
    )


def _selection(parent: Path, message: QueryMessage) -> Selection:
    if len(message.from_) != 1:
        raise unknown(f"queries with {len(message.from_)} collection selectors: one is needed")
    selector = message.from_[0]
    if selector.collection_id:
        check_id(selector.collection_id, "collection id")
    return Selection(parent, selector.collection_id, selector.all_descendants)


def _orders(messages: Iterable[Message]) -> list[Order]:
    orders = [
        Order(parse_query_path(each.field.field_path), each.direction == Direction.DESCENDING) for each in messages
    ]
    paths = [each.path for each in orders]
    if len(set(paths)) < len(paths):
        raise invalid("a query cannot be ordered by one field twice")
    if NAME in paths[:-1]:
        raise invalid("a query cannot be ordered by more fields after __name__")
    return orders


def _completed(explicit: Sequence[Order], found: Filter) -> tuple[Order, ...]:
    """Add the fields of inequalities by name, and the document's name, in the direction of the last order."""
    descending = explicit[-1].descending if explicit else False
    paths = {each.path for each in explicit}
    unordered = sorted(inequality_fields(found) - paths - {NAME})
    if NAME in paths and unordered:
        raise invalid("a query cannot be ordered by more fields after __name__, as its inequality needs")
    added = unordered if NAME in paths else [*unordered, NAME]
    return (*explicit, *(Order(path, descending) for path in added))


def _fields_used(found: Filter, orders: Iterable[Order]) -> set[FieldPath]:
    return {each.path for each in flatten(found)} | {each.path for each in orders}


def _cursor(message: Message, orders: Sequence[Order]) -> Cursor:
    if len(message.values) > len(orders):
        raise invalid("a cursor has more values than the query has orders")
    for value, order in zip(message.values, orders, strict=False):
        if order.path == NAME and value.WhichOneof("value_type") != "reference_value":
            raise invalid("the cursor's value for __name__ is not a reference to a document")
    return Cursor(tuple(map(key, message.values)), message.before)


def _projection(message: QueryMessage) -> list[FieldPath] | None:
    if not message.HasField("select"):
        return None
    return [parse_query_path(each.field_path) for each in message.select.fields] or [NAME]
