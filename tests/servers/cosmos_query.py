"""Runs a parsed query over a container's items, page by page, with continuation tokens that are bound to the query."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.cosmos_errors import CosmosError, bad_request
from tests.servers.cosmos_expressions import Expression, Scope, path_of
from tests.servers.cosmos_indexing import check_order, is_included_by_name
from tests.servers.cosmos_items import Item, Items
from tests.servers.cosmos_parser import Query, parse_query
from tests.servers.cosmos_partitions import Partition
from tests.servers.cosmos_values import UNDEFINED, sort_key

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""A page ends before it would hold more ("Service quotas", SQL query limits: response size per page)."""


@dataclass(frozen=True)
class Page:
    """Results of one request, and the token that goes on, or None at the end."""

    results: list[Any]
    continuation: str | None


@dataclass(frozen=True)
class Request:
    """A query as it is asked: within a partition, or across all with None."""

    text: str
    parameters: Mapping[str, Any]
    partition: Partition | None
    page_size: int
    continuation: str | None


Keys = list[tuple[int, Any]]
Row = tuple[Keys, Item]


def run_query(items: Items, policy: Mapping[str, Any], container: str, request: Request) -> Page:
    """Answer one page. Raises a 400 for a query that is wrong, not known, or that the indexing policy cannot serve."""
    query = parse_query(request.text)
    orders = [(_order_path(order.expression), order.descending) for order in query.order_by]
    check_order(policy, orders)
    fingerprint = _fingerprint(container, request)
    done = _opened(request.continuation, fingerprint)
    if query.aggregates or query.group_by or query.distinct or not query.from_items:
        return _whole(query, items, request, done.get("done", 0), fingerprint)
    return _Walk(query, items, policy, request, fingerprint).page(done)


def _order_path(expression: Expression) -> tuple[str, ...]:
    path = path_of(expression)
    if path is None:
        raise bad_request("ORDER BY takes the path of a property")
    return path


def _matching(query: Query, items: Items, request: Request) -> Iterable[Item]:
    for item in items.alive(request.partition):
        if query.where is None or query.where.evaluate(Scope(item.fields, request.parameters)) is True:
            yield item


def _projected(query: Query, scope: Scope) -> Any:
    if query.select is None:
        return scope.item
    values = {name: expression.evaluate(scope) for name, expression in query.select}
    if query.value:
        return next(iter(values.values()))
    return {name: value for name, value in values.items() if value is not UNDEFINED}


class _Walk:
    """A query whose rows are items: a page goes on after the order and place of the last row of the page before."""

    def __init__(
        self, query: Query, items: Items, policy: Mapping[str, Any], request: Request, fingerprint: str
    ) -> None:
        self._query, self._items, self._request, self._fingerprint = query, items, request, fingerprint
        self._directions = [order.descending for order in query.order_by]
        # An item without the property is in the index, so in the answer, only where the policy names that very path.
        self._keep_undefined = [is_included_by_name(policy, _order_path(order.expression)) for order in query.order_by]

    def page(self, done: dict[str, Any]) -> Page:
        rows = self._ordered()
        if "after" in done:
            rows = [row for row in rows if self._follows(row, done)]
        else:
            rows = rows[_count(self._query.offset, self._request, 0) :]
        left = done.get("left", _count(self._query.limit, self._request, None))
        rows = rows if left is None else rows[:left]
        taken = _that_fit(rows, self._request.page_size)
        more = len(rows) > len(taken)
        token = self._token(taken[-1], None if left is None else left - len(taken)) if more else None
        scopes = [Scope(item.fields, self._request.parameters) for _, item in taken]
        results = [_projected(self._query, scope) for scope in scopes]
        return Page([result for result in results if result is not UNDEFINED], token)

    def _ordered(self) -> list[Row]:
        rows = []
        for item in _matching(self._query, self._items, self._request):
            scope = Scope(item.fields, self._request.parameters)
            keys = [sort_key(order.expression.evaluate(scope)) for order in self._query.order_by]
            if all(rank or keep for (rank, _), keep in zip(keys, self._keep_undefined, strict=True)):
                rows.append((keys, item))
        for place in reversed(range(len(self._directions))):
            rows.sort(key=lambda row: row[0][place], reverse=self._directions[place])
        return rows

    def _follows(self, row: Row, done: dict[str, Any]) -> bool:
        for key, last, descending in zip(row[0], done["after"], self._directions, strict=True):
            if key != tuple(last):
                return bool(key < tuple(last)) if descending else bool(key > tuple(last))
        return bool(row[1].place > done["place"])

    def _token(self, row: Row, left: int | None) -> str:
        keys, item = row
        return _sealed({"query": self._fingerprint, "after": keys, "place": item.place, "left": left})


def _that_fit(rows: list[Row], page_size: int) -> list[Row]:
    taken, size = rows[:page_size], 0
    for index, (_, item) in enumerate(taken):
        size += item.size
        if size > MAX_PAGE_BYTES and index:
            return taken[:index]
    return taken


def _whole(query: Query, items: Items, request: Request, done: int, fingerprint: str) -> Page:
    """A query whose rows are computed from all items together: a page goes on by count."""
    results = [value for value in _computed(query, items, request) if value is not UNDEFINED]
    if query.distinct:
        results = list({json.dumps(sort_key(value)): value for value in results}.values())
    first = _count(query.offset, request, 0)
    limit = _count(query.limit, request, None)
    results = results[first:] if limit is None else results[first : first + limit]
    reached = done + request.page_size
    token = _sealed({"query": fingerprint, "done": reached}) if reached < len(results) else None
    return Page(results[done:reached], token)


def _computed(query: Query, items: Items, request: Request) -> list[Any]:
    if not query.from_items:
        return [_projected(query, Scope(UNDEFINED, request.parameters))]
    matching = list(_matching(query, items, request))
    if query.group_by or query.aggregates:
        groups = _groups(query.group_by, [item.fields for item in matching], request.parameters)
        return [
            _projected(query, Scope(group[0] if group else UNDEFINED, request.parameters, group)) for group in groups
        ]
    return [
        _projected(query, Scope(item.fields, request.parameters))
        for item in sorted(matching, key=lambda item: _order_of(query, item, request))
    ]


def _order_of(query: Query, item: Item, request: Request) -> list[tuple[int, Any]]:
    if any(order.descending for order in query.order_by):
        raise bad_request("this server knows DISTINCT with ORDER BY only ascending")
    scope = Scope(item.fields, request.parameters)
    return [sort_key(order.expression.evaluate(scope)) for order in query.order_by]


def _groups(
    keys: Sequence[Expression], documents: list[dict[str, Any]], parameters: Mapping[str, Any]
) -> list[list[dict[str, Any]]]:
    if not keys:
        return [documents]
    groups: dict[str, list[dict[str, Any]]] = {}
    for document in documents:
        values = [sort_key(key.evaluate(Scope(document, parameters))) for key in keys]
        groups.setdefault(json.dumps(values), []).append(document)
    return list(groups.values())


def _count(expression: Expression | None, request: Request, default: Any) -> Any:
    if expression is None:
        return default
    value = expression.evaluate(Scope(UNDEFINED, request.parameters))
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise bad_request("TOP, OFFSET and LIMIT take a whole number from 0")
    return value


def _fingerprint(container: str, request: Request) -> str:
    asked = json.dumps([container, request.text, sorted(request.parameters.items()), request.partition])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _sealed(state: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode("ascii")


def _opened(continuation: str | None, fingerprint: str) -> dict[str, Any]:
    """Read a token, or raise a 400 for one that is damaged or belongs to another query."""
    if continuation is None:
        return {}
    try:
        state = json.loads(base64.urlsafe_b64decode(continuation))
    except ValueError as error:
        raise _invalid_continuation() from error
    if not isinstance(state, dict) or state.get("query") != fingerprint:
        raise _invalid_continuation()
    return state


def _invalid_continuation() -> CosmosError:
    return bad_request("Invalid continuation token: it is damaged, or of another query")
