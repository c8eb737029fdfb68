"""An increment as one native update: it holds its bounds and knows its types by the condition under which it is applied.

Each field must lie between what its bounds and the number's range leave room for. A field that is missing or of another type does
not, so a new field, a sum of two types and floats are left to compare-and-set.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal, Inexact
from math import ceil, floor
from typing import Any, Final

from storage.backends.dynamodb_items import microseconds
from storage.backends.dynamodb_values import DECIMAL_TAG, Typed, number, restored_fields
from storage.documents import INTEGER_DIGITS, Increment, Number, Totals

MOST_FIELDS: Final = 20
"""Fields of one native increment: an expression has at most 4 KB and 300 operators."""

_GREATEST_INT: Final = 10**INTEGER_DIGITS - 1
_GREATEST_DECIMAL: Final = Decimal((0, (9,) * INTEGER_DIGITS, 125 - INTEGER_DIGITS + 1))
_EXACT: Final = Context(prec=INTEGER_DIGITS, traps=[Inexact])
_UPDATE: Final = "SET version = version + :one, updated = :updated, epoch = :epoch, operation = :operation"
_CONDITION: Final = "operation <> :operation AND (attribute_not_exists(expires) OR expires > :updated)"

Bounds = tuple[Typed, Typed]


def native_update(step: Increment, *, now: datetime, epoch: int, operation_id: str) -> dict[str, Any] | None:
    """Return the parameters of an UpdateItem besides table and key, or None where no such update can be sure of the outcome."""
    if len(step.deltas) > MOST_FIELDS:
        return None
    update, condition = [_UPDATE], [_CONDITION]
    names: dict[str, str] = {}
    values: dict[str, Typed] = {
        ":one": {"N": "1"},
        ":updated": microseconds(now),
        ":epoch": {"N": str(epoch)},
        ":operation": {"S": operation_id},
    }
    for place, (name, delta) in enumerate(step.deltas.items()):
        bounds = _bounds(delta, step.floors.get(name), step.ceilings.get(name))
        if bounds is None or isinstance(delta, float):
            return None
        field = f"doc.#{place}"
        names[f"#{place}"] = name
        if isinstance(delta, Decimal):
            field += ".#decimal"
            names["#decimal"] = DECIMAL_TAG
        update.append(f"{field} = {field} + :d{place}")
        condition.append(f"{field} BETWEEN :l{place} AND :h{place}")
        values |= {f":d{place}": number(delta), f":l{place}": bounds[0], f":h{place}": bounds[1]}
    return {
        "UpdateExpression": ", ".join(update),
        "ConditionExpression": " AND ".join(condition),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValues": "UPDATED_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def totals_of(step: Increment, attributes: Mapping[str, Typed]) -> Totals:
    """Return what the update answered."""
    fields = restored_fields(attributes["doc"])
    return Totals({name: fields[name] for name in step.deltas}, int(attributes["version"]["N"]))


def _bounds(delta: Number, lowest: Number | None, highest: Number | None) -> Bounds | None:
    """Return the least and the greatest value that the delta may be added to, or None where DynamoDB cannot compare so."""
    if isinstance(delta, int):
        return _int_bounds(delta, lowest, highest)
    if isinstance(delta, Decimal):
        return _decimal_bounds(delta, lowest, highest)
    return None


def _int_bounds(delta: int, lowest: Number | None, highest: Number | None) -> Bounds | None:
    least, greatest = -_GREATEST_INT, _GREATEST_INT
    low = max(least, least - delta, least if lowest is None else ceil(lowest) - delta)
    high = min(greatest, greatest - delta, greatest if highest is None else floor(highest) - delta)
    return (number(low), number(high)) if low <= high else None


def _decimal_bounds(delta: Decimal, lowest: Number | None, highest: Number | None) -> Bounds | None:
    """As for an int; a bound that has more digits than DynamoDB compares is left to compare-and-set."""
    try:
        low = -_GREATEST_DECIMAL if lowest is None else _EXACT.subtract(Decimal(lowest), delta)
        high = _GREATEST_DECIMAL if highest is None else _EXACT.subtract(Decimal(highest), delta)
    except Inexact:
        return None
    inside = -_GREATEST_DECIMAL <= low <= high <= _GREATEST_DECIMAL
    return (number(low), number(high)) if inside else None
