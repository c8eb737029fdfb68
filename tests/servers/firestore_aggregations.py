"""Count, sum and average over the answers of a query."""

from tests.servers.firestore_errors import invalid
from tests.servers.firestore_fields import NAME, FieldPath, check_path, get_field, parse_query_path
from tests.servers.firestore_messages import DocumentMessage, Message, Value, ValueMessage
from tests.servers.firestore_transforms import INT64_MAX, INT64_MIN
from tests.servers.firestore_values import NULL, is_number, number

AGGREGATIONS = 5


def aggregated_fields(aggregations: list[Message]) -> set[FieldPath]:
    """Return the fields that are summed or averaged. Refused when an aggregation is malformed."""
    if not 1 <= len(aggregations) <= AGGREGATIONS:
        raise invalid(f"a query takes 1 to {AGGREGATIONS} aggregations")
    names = aliases(aggregations)
    if len(set(names)) < len(names):
        raise invalid("two aggregations have one alias")
    for name in names:
        check_path((name,))
    return {path for each in aggregations if (path := _field(each)) is not None}


def aliases(aggregations: list[Message]) -> list[str]:
    """Return the names of the results: those given, else field_1, field_2 …"""
    numbers = iter(range(1, len(aggregations) + 1))
    return [each.alias or f"field_{next(numbers)}" for each in aggregations]


def _field(aggregation: Message) -> FieldPath | None:
    kind = aggregation.WhichOneof("operator")
    if kind is None:
        raise invalid("an aggregation says no operator")
    if kind == "count":
        if aggregation.count.up_to.value < 0:
            raise invalid("up_to cannot be negative")
        return None
    path = parse_query_path(getattr(aggregation, kind).field.field_path)
    if path == NAME:
        raise invalid("__name__ cannot be aggregated")
    return path


def aggregate(aggregations: list[Message], documents: list[DocumentMessage]) -> dict[str, ValueMessage]:
    """Return a value for each alias. Only documents that have all the fields count, as they come from one index."""
    fields = aggregated_fields(aggregations)
    counted = [each for each in documents if all(get_field(each.fields, path) is not None for path in fields)]
    values = [_value(each, counted) for each in aggregations]
    return dict(zip(aliases(aggregations), values, strict=True))


def _value(aggregation: Message, documents: list[DocumentMessage]) -> ValueMessage:
    path = _field(aggregation)
    if path is None:
        limited = aggregation.count.HasField("up_to")
        return Value(integer_value=min(len(documents), aggregation.count.up_to.value) if limited else len(documents))
    found = [value for each in documents if (value := get_field(each.fields, path)) is not None]
    numbers = [number(value) for value in found if is_number(value)]
    if aggregation.WhichOneof("operator") == "sum":
        return _sum(numbers)
    return Value(double_value=sum(map(float, numbers)) / len(numbers)) if numbers else NULL


def _sum(numbers: list[int | float]) -> ValueMessage:
    """Integers stay one, unless their sum is too large."""
    if all(isinstance(each, int) for each in numbers) and INT64_MIN <= sum(numbers) <= INT64_MAX:
        return Value(integer_value=int(sum(numbers)))
    return Value(double_value=sum(map(float, numbers)))
