"""Filters of a query: read from the request, held against the documented rules, then asked of documents."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.servers.firestore_errors import invalid
from tests.servers.firestore_fields import NAME, FieldPath, get_field, parse_query_path
from tests.servers.firestore_limits import check_fields
from tests.servers.firestore_messages import Comparison, DocumentMessage, Junction, Message, Test, ValueMessage
from tests.servers.firestore_values import NAN_KEY, NULL_KEY, RANKS, Key, key, reference_key

DISJUNCTIONS = 30
NOT_IN_VALUES = 10
INEQUALITY_FIELDS = 10

NEGATIONS = frozenset({"NOT_EQUAL", "NOT_IN", "IS_NOT_NAN", "IS_NOT_NULL"})
RANGES = frozenset({"LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"})
INEQUALITIES = NEGATIONS | RANGES
LISTS = frozenset({"IN", "ARRAY_CONTAINS_ANY", "NOT_IN"})
CONTAINS_OPERATORS = frozenset({"ARRAY_CONTAINS", "ARRAY_CONTAINS_ANY"})


@dataclass(frozen=True)
class Condition:
    """One test of one field. `operator` is the protocol's name for it. It compares with `asked`, or with `options`."""

    path: FieldPath
    operator: str
    asked: Key = NULL_KEY
    options: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Group:
    """Filters of which all must hold, or any."""

    any: bool
    parts: tuple["Filter", ...]


Filter = Condition | Group

EVERYTHING = Group(any=False, parts=())


def parse_filter(message: Message) -> Filter:
    """Read a filter. Refused when the service would refuse it, alone or in this combination."""
    found = _parse(message)
    conditions = list(flatten(found))
    if sum(each.operator in NEGATIONS for each in conditions) > 1:
        raise invalid("a query takes only one of NOT_EQUAL, NOT_IN, IS_NOT_NAN and IS_NOT_NULL")
    operators = {each.operator for each in conditions}
    if "NOT_IN" in operators and (operators & {"IN", "ARRAY_CONTAINS_ANY"} or _has_or(found)):
        raise invalid("NOT_IN cannot be used with IN, ARRAY_CONTAINS_ANY or OR")
    if (count := _disjunctions(found)) > DISJUNCTIONS:
        raise invalid(f"the query comes to {count} disjunctions, more than {DISJUNCTIONS}")
    if _contains(found) > 1:
        raise invalid("a disjunction takes only one ARRAY_CONTAINS or ARRAY_CONTAINS_ANY")
    if len(inequality_fields(found)) > INEQUALITY_FIELDS:
        raise invalid(f"a query takes inequalities on {INEQUALITY_FIELDS} fields at most")
    return found


def flatten(found: Filter) -> Iterator[Condition]:
    """Yield the conditions in a filter."""
    if isinstance(found, Condition):
        yield found
        return
    for part in found.parts:
        yield from flatten(part)


def inequality_fields(found: Filter) -> set[FieldPath]:
    return {each.path for each in flatten(found) if each.operator in INEQUALITIES}


def matches(found: Filter, document: DocumentMessage) -> bool:
    """Tell whether a document passes a filter."""
    if isinstance(found, Group):
        return (any if found.any else all)(matches(part, document) for part in found.parts)
    stored = key_at(document, found.path)
    return stored is not None and _TESTS[found.operator](stored, found)


def key_at(document: DocumentMessage, path: FieldPath) -> Key | None:
    """Return what a query sees at a path: a field's value, or the document's name. None when there is no such field."""
    if path == NAME:
        return reference_key(document.name)
    value = get_field(document.fields, path)
    return None if value is None else key(value)


def _parse(message: Message) -> Filter:
    match message.WhichOneof("filter_type"):
        case "composite_filter":
            return _parse_group(message.composite_filter)
        case "field_filter":
            return _parse_comparison(message.field_filter)
        case "unary_filter":
            return _parse_test(message.unary_filter)
        case _:
            raise invalid("a filter is empty")


def _parse_group(message: Message) -> Group:
    if message.op not in {Junction.AND, Junction.OR} or not message.filters:
        raise invalid("a composite filter needs AND or OR, and at least one filter")
    return Group(any=message.op == Junction.OR, parts=tuple(map(_parse, message.filters)))


def _parse_test(message: Message) -> Condition:
    path = parse_query_path(message.field.field_path)
    if path == NAME or message.op not in set(Test) - {Test.OPERATOR_UNSPECIFIED}:
        raise invalid("a unary filter needs an operator, and a field other than __name__")
    return Condition(path, Test(message.op).name)


def _parse_comparison(message: Message) -> Condition:
    if message.op not in set(Comparison) - {Comparison.OPERATOR_UNSPECIFIED}:
        raise invalid("a field filter has no operator that is known")
    path, name = parse_query_path(message.field.field_path), Comparison(message.op).name
    values = _listed(name, message.value) if name in LISTS else [message.value]
    for value in values:
        check_fields({"value": value})
    if path == NAME and (
        name in CONTAINS_OPERATORS or any(each.WhichOneof("value_type") != "reference_value" for each in values)
    ):
        raise invalid("__name__ is compared with references to documents")
    keys = tuple(map(key, values))
    return Condition(path, name, options=keys) if name in LISTS else Condition(path, name, keys[0])


def _listed(name: str, value: ValueMessage) -> list[ValueMessage]:
    """Return the values that an operator on a list is given."""
    values = list(value.array_value.values)
    if not values:
        raise invalid(f"{name} needs an array of values")
    limit = NOT_IN_VALUES if name == "NOT_IN" else DISJUNCTIONS
    if len(values) > limit:
        raise invalid(f"{name} takes {limit} values at most")
    return values


def _has_or(found: Filter) -> bool:
    return isinstance(found, Group) and (found.any or any(map(_has_or, found.parts)))


def _disjunctions(found: Filter) -> int:
    """Count the parts of a filter's disjunctive normal form."""
    if isinstance(found, Condition):
        return len(found.options) if found.operator in {"IN", "ARRAY_CONTAINS_ANY"} else 1
    counts = [_disjunctions(part) for part in found.parts]
    return sum(counts) if found.any else math.prod(counts)


def _contains(found: Filter) -> int:
    """Count the array memberships in the fullest part of a filter's disjunctive normal form."""
    if isinstance(found, Condition):
        return int(found.operator in CONTAINS_OPERATORS)
    counts = [_contains(part) for part in found.parts]
    return max(counts) if found.any else sum(counts)


def _equal(stored: Key, asked: Key) -> bool:
    """Null and NaN equal nothing in a filter: the service has tests of their own for them."""
    return stored == asked and asked not in {NULL_KEY, NAN_KEY}


def _compared(holds: Callable[[Key, Key], bool]) -> Callable[[Key, Condition], bool]:
    """A range test: only within one type, never with null or NaN."""

    def test(stored: Key, condition: Condition) -> bool:
        asked = condition.asked
        return stored[0] == asked[0] and not {NULL_KEY, NAN_KEY} & {stored, asked} and holds(stored, asked)

    return test


def _not_equal(stored: Key, condition: Condition) -> bool:
    return NULL_KEY not in {stored, condition.asked} and not _equal(stored, condition.asked)


def _not_in(stored: Key, condition: Condition) -> bool:
    if NULL_KEY in {stored, *condition.options}:
        return False
    return not any(_equal(stored, each) for each in condition.options)


def _holds_any(stored: Key, options: Iterable[Key]) -> bool:
    items = stored[1:] if stored[0] == RANKS["array_value"] else ()
    return any(_equal(item, option) for item in items for option in options)


_TESTS: dict[str, Callable[[Key, Condition], bool]] = {
    "EQUAL": lambda stored, condition: _equal(stored, condition.asked),
    "NOT_EQUAL": _not_equal,
    "LESS_THAN": _compared(operator.lt),
    "LESS_THAN_OR_EQUAL": _compared(operator.le),
    "GREATER_THAN": _compared(operator.gt),
    "GREATER_THAN_OR_EQUAL": _compared(operator.ge),
    "IN": lambda stored, condition: any(_equal(stored, each) for each in condition.options),
    "NOT_IN": _not_in,
    "ARRAY_CONTAINS": lambda stored, condition: _holds_any(stored, [condition.asked]),
    "ARRAY_CONTAINS_ANY": lambda stored, condition: _holds_any(stored, condition.options),
    "IS_NULL": lambda stored, _: stored == NULL_KEY,
    "IS_NAN": lambda stored, _: stored == NAN_KEY,
    "IS_NOT_NULL": lambda stored, _: stored != NULL_KEY,
    "IS_NOT_NAN": lambda stored, _: stored not in {NULL_KEY, NAN_KEY},
}
