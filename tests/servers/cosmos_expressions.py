"""Scalar expressions of a query: each knows its value for an item, by the service's rules for undefined and for types."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_functions import FUNCTIONS
from tests.servers.cosmos_values import UNDEFINED, compare, equals, is_number, number, sort_key


@dataclass(frozen=True)
class Scope:
    """What an expression sees: an item, the query's parameters, and for aggregates the items of the group."""

    item: Any
    parameters: Mapping[str, Any]
    group: Sequence[Any] | None = None


class Expression(Protocol):
    """A node of a parsed query. Equal expressions compare equal."""

    def evaluate(self, scope: Scope) -> Any:
        """Return a JSON value or UNDEFINED."""


@dataclass(frozen=True)
class Literal:
    value: Any

    def evaluate(self, scope: Scope) -> Any:
        return self.value


@dataclass(frozen=True)
class Parameter:
    name: str

    def evaluate(self, scope: Scope) -> Any:
        if self.name not in scope.parameters:
            raise bad_request(f"the query names {self.name}, which is not among its parameters")
        return scope.parameters[self.name]


@dataclass(frozen=True)
class Root:
    """The item itself, by its alias."""

    def evaluate(self, scope: Scope) -> Any:
        return scope.item


@dataclass(frozen=True)
class Property:
    """`base.name`, `base["name"]` or `base[0]`: undefined where there is nothing."""

    base: Expression
    name: str | int

    def evaluate(self, scope: Scope) -> Any:
        base = self.base.evaluate(scope)
        if isinstance(self.name, int):
            return base[self.name] if isinstance(base, list) and self.name < len(base) else UNDEFINED
        return base.get(self.name, UNDEFINED) if isinstance(base, dict) else UNDEFINED


@dataclass(frozen=True)
class Array:
    elements: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> Any:
        values = [element.evaluate(scope) for element in self.elements]
        return [value for value in values if value is not UNDEFINED]


@dataclass(frozen=True)
class Not:
    operand: Expression

    def evaluate(self, scope: Scope) -> Any:
        value = self.operand.evaluate(scope)
        return not value if isinstance(value, bool) else UNDEFINED


@dataclass(frozen=True)
class Logical:
    """AND and OR in three values: one operand may decide alone, else an undefined one makes it undefined."""

    operands: tuple[Expression, ...]
    decides: bool

    def evaluate(self, scope: Scope) -> Any:
        result: Any = not self.decides
        for operand in self.operands:
            value = operand.evaluate(scope)
            if value is self.decides:
                return value
            if not isinstance(value, bool):
                result = UNDEFINED
        return result


ORDERINGS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def compared(operator: str, one: Any, other: Any) -> Any:
    """Apply a comparison operator. Across types the result is undefined."""
    if operator == "=":
        return equals(one, other)
    if operator == "!=":
        same = equals(one, other)
        return same if same is UNDEFINED else not same
    order = compare(one, other)
    return ORDERINGS[operator](order) if isinstance(order, int) else UNDEFINED


@dataclass(frozen=True)
class Comparison:
    operator: str
    left: Expression
    right: Expression

    def evaluate(self, scope: Scope) -> Any:
        return compared(self.operator, self.left.evaluate(scope), self.right.evaluate(scope))


@dataclass(frozen=True)
class Arithmetic:
    """`+`, `-` and `*` of two numbers; undefined for all else."""

    operator: str
    left: Expression
    right: Expression

    def evaluate(self, scope: Scope) -> Any:
        left, right = self.left.evaluate(scope), self.right.evaluate(scope)
        if not (is_number(left) and is_number(right)):
            return UNDEFINED
        if self.operator == "+":
            return number(left + right)
        return number(left - right if self.operator == "-" else left * right)


@dataclass(frozen=True)
class Like:
    """`text LIKE pattern`, where % is any text and _ any character."""

    text: Expression
    pattern: Expression

    def evaluate(self, scope: Scope) -> Any:
        text, pattern = self.text.evaluate(scope), self.pattern.evaluate(scope)
        if not (isinstance(text, str) and isinstance(pattern, str)):
            return UNDEFINED
        if set(pattern) & set("[]^\\"):
            raise bad_request("character classes and escapes of LIKE are not known to this server")
        expression = re.escape(pattern).replace("%", ".*").replace("_", ".")
        return re.fullmatch(expression, text, re.DOTALL) is not None


@dataclass(frozen=True)
class Call:
    """A built-in function of values."""

    name: str
    arguments: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> Any:
        return FUNCTIONS[self.name][0](*(argument.evaluate(scope) for argument in self.arguments))


@dataclass(frozen=True)
class Aggregate:
    """COUNT, SUM, MIN, MAX or AVG of an expression over the items of a group, undefined values left out."""

    name: str
    argument: Expression

    def evaluate(self, scope: Scope) -> Any:
        if scope.group is None:
            raise bad_request(f"{self.name} may stand only in the SELECT clause")
        values = [self.argument.evaluate(Scope(item, scope.parameters)) for item in scope.group]
        return aggregated(self.name, [value for value in values if value is not UNDEFINED])


def aggregated(name: str, values: list[Any]) -> Any:
    """Aggregate defined values. SUM and AVG of anything but numbers, and MIN, MAX and AVG of nothing, are undefined."""
    if name == "COUNT":
        return len(values)
    if name in {"MIN", "MAX"}:
        plain = [value for value in values if not isinstance(value, list | dict)]
        chosen = min if name == "MIN" else max
        return chosen(plain, key=sort_key) if plain else UNDEFINED
    if not all(map(is_number, values)) or (name == "AVG" and not values):
        return UNDEFINED
    return number(sum(values) if name == "SUM" else sum(values) / len(values))


def path_of(expression: Expression) -> tuple[str, ...] | None:
    """Return the property names from the item down, or None where the expression is no path of names."""
    names: list[str] = []
    while isinstance(expression, Property) and isinstance(expression.name, str):
        names.append(expression.name)
        expression = expression.base
    return tuple(reversed(names)) if isinstance(expression, Root) and names else None
