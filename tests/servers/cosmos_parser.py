"""The part of the Cosmos DB query language that the test server knows, clause by clause.

Known: `*`, VALUE, select lists with aliases, TOP, DISTINCT; one container with an alias; AND, OR, NOT, comparisons, [NOT] IN,
BETWEEN, LIKE, `+ - *`, parameters, paths (`c.a["b"][0]`), the functions of `cosmos_functions`, COUNT, SUM, MIN, MAX, AVG.
All else (JOIN, subqueries, UDFs, `??`, `||`, object literals …) is refused with a 400.
"""

from dataclasses import dataclass
from functools import lru_cache

from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_expressions import Aggregate, Expression, Literal, Parameter, Property, Root
from tests.servers.cosmos_grammar import Grammar


@dataclass(frozen=True)
class Order:
    """One part of ORDER BY."""

    expression: Expression
    descending: bool


@dataclass(frozen=True)
class Query:
    """A parsed query. `select` is None for `*`; `value` says SELECT VALUE; counts are literals or parameters."""

    select: tuple[tuple[str, Expression], ...] | None
    value: bool
    distinct: bool
    from_items: bool
    where: Expression | None
    group_by: tuple[Expression, ...]
    order_by: tuple[Order, ...]
    offset: Expression | None
    limit: Expression | None
    aggregates: bool


@lru_cache(maxsize=1024)
def parse_query(text: str) -> Query:
    """Parse a query. Raises a 400 that says what is wrong or not known."""
    return Parser(text).query()


@lru_cache(maxsize=1024)
def parse_condition(text: str) -> Expression | None:
    """Parse the condition of a patch, `FROM c WHERE …`, and return what must be true."""
    return Parser(text).condition()


class Parser(Grammar):
    """Reads the clauses of one query."""

    def query(self) -> Query:
        self._expect("SELECT")
        distinct = self._taken("DISTINCT")
        top = self._count() if self._taken("TOP") else None
        value = self._taken("VALUE")
        select = None if not value and self._taken("*") else tuple(self._select_list(value))
        from_items = self._from()
        where = self._expression() if self._taken("WHERE") else None
        group_by = self._list() if self._taken("GROUP", "BY") else ()
        order_by = self._order_by() if self._taken("ORDER", "BY") else ()
        offset = self._count() if self._taken("OFFSET") else None
        limit = self._limit(offset, top)
        self._end()
        return checked(
            Query(select, value, distinct, from_items, where, group_by, order_by, offset, limit, self._aggregates)
        )

    def condition(self) -> Expression | None:
        if not self._from():
            raise self._unexpected()
        where = self._expression() if self._taken("WHERE") else None
        self._end()
        if self._aggregates:
            raise bad_request("a condition knows no aggregates")
        return where

    def _from(self) -> bool:
        if not self._taken("FROM"):
            return False
        self._word()
        if self._taken("AS") or self._ahead.kind == "word":
            self._word()
        return True

    def _select_list(self, value: bool) -> list[tuple[str, Expression]]:
        items = [self._select_item(1)]
        while not value and self._taken(","):
            items.append(self._select_item(len(items) + 1))
        names = [name for name, _ in items]
        if len(set(names)) < len(names):
            raise bad_request("the SELECT clause uses a name twice")
        return items

    def _select_item(self, place: int) -> tuple[str, Expression]:
        expression = self._expression()
        if self._taken("AS") or self._ahead.kind == "word":
            return self._word(), expression
        if isinstance(expression, Property) and isinstance(expression.name, str):
            return expression.name, expression
        return (self._alias or "") if isinstance(expression, Root) else f"${place}", expression

    def _order_by(self) -> tuple[Order, ...]:
        orders: list[Order] = []
        while not orders or self._taken(","):
            expression = self._expression()
            descending = self._taken("DESC")
            if not descending:
                self._taken("ASC")
            orders.append(Order(expression, descending))
        return tuple(orders)

    def _limit(self, offset: Expression | None, top: Expression | None) -> Expression | None:
        if offset is None:
            return top
        if top is not None:
            raise bad_request("TOP and OFFSET LIMIT do not go together")
        self._expect("LIMIT")
        return self._count()

    def _count(self) -> Expression:
        token = self._next()
        if token.kind == "parameter":
            return Parameter(token.text)
        if token.kind != "number" or not isinstance(token.value, int):
            raise bad_request(f"Syntax error, a count is needed, not {token.text}")
        return Literal(token.value)


def checked(query: Query) -> Query:
    """Refuse what parses but has no meaning, or one that this server does not know."""
    if query.select is None and not query.from_items:
        raise bad_request("SELECT * is only valid with a single input set")
    if query.group_by:
        if query.order_by or query.select is None:
            raise bad_request("GROUP BY goes with neither ORDER BY nor SELECT *")
        if not all(isinstance(item, Aggregate) or item in query.group_by for _, item in query.select):
            raise bad_request("with GROUP BY, select what you group by and aggregates, nothing else")
    elif query.aggregates and not (query.value and query.select and isinstance(query.select[0][1], Aggregate)):
        raise bad_request("without GROUP BY this server knows aggregates only as SELECT VALUE COUNT(…)")
    return query
