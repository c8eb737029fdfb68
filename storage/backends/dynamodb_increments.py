"""An increment as one native update: it holds its bounds and knows its types by the condition under which it is applied.

Each field must lie on the side of a number that leaves room for the sum, which no field of another type does. A refused
update brings the document back, and the next is made for what is there. Floats, sums of two types and packed documents are left
to compare-and-set.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal, Inexact
from math import ceil, floor
from typing import Any, Final

from storage.backends.dynamodb_items import microseconds
from storage.backends.dynamodb_values import DECIMAL_TAG, Typed, number, restored_fields, typed
from storage.documents import INTEGER_DIGITS, Increment, Number, Totals, Value
from storage.values import check_size, encode

MOST_FIELDS: Final = 20
"""Fields of one native increment: an expression has at most 4 KB and 300 operators."""

_GREATEST_INT: Final = 10**INTEGER_DIGITS - 1
_GREATEST_DECIMAL: Final = Decimal("1E+124")
"""A magnitude below the greatest of DynamoDB: whatever lies beyond it is left to compare-and-set."""
_EXACT: Final = Context(prec=INTEGER_DIGITS, traps=[Inexact])
_UPDATE: Final = "SET version = version + :one, updated = :updated, epoch = :epoch, operation = :operation"
_CONDITION: Final = "version <= :updated AND (attribute_not_exists(expires) OR expires > :updated)"
"""The version: an update that was not answered and arrives later finds the commit made in its place, whose version is a later
moment. It is refused then, whoever has counted since."""


class _NotNative(Exception):
    """No update of DynamoDB can be sure of this sum."""


def native_update(
    step: Increment, fields: Mapping[str, Value] | None, *, now: datetime, epoch: int, operation_id: str
) -> dict[str, Any] | None:
    """Return the parameters of an UpdateItem besides table and key, or None where no such update can be sure of the outcome.

    `fields` is what the document was seen to hold, its sums within bounds. None: not seen, so that each field is taken to be
    there, with the type of its delta. Raises ValueTooLarge when new fields make the document too large.
    """
    if len(step.deltas) > MOST_FIELDS:
        return None
    update = _Update()
    try:
        for name, delta in step.deltas.items():
            if fields is not None and name not in fields:
                update.create(name, delta)
            else:
                update.add(step, name, delta, type(delta) if fields is None else type(fields[name]))
    except _NotNative:
        return None
    if fields is not None and not fields.keys() >= step.deltas.keys():
        check_size(encode({**step.deltas, **fields}))
    envelope = {
        ":one": {"N": "1"},
        ":updated": microseconds(now),
        ":epoch": {"N": str(epoch)},
        ":operation": {"S": operation_id},
    }
    return {
        "UpdateExpression": ", ".join([_UPDATE, *update.sets]),
        "ConditionExpression": " AND ".join([_CONDITION, *update.conditions]),
        "ExpressionAttributeNames": update.names,
        "ExpressionAttributeValues": envelope | update.values,
        # Whether UPDATED_NEW holds what was set to the value that it had is not written down.
        "ReturnValues": "UPDATED_NEW" if all(step.deltas.values()) else "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


class _Update:
    """The parts of an update expression, and of its condition, that are about fields."""

    def __init__(self) -> None:
        self.sets: list[str] = []
        self.conditions: list[str] = []
        self.names: dict[str, str] = {}
        self.values: dict[str, Typed] = {}

    def create(self, name: str, delta: Number) -> None:
        """Set a field that is not there. Raises _NotNative."""
        if isinstance(delta, float):
            raise _NotNative
        place, field = self._place(name)
        self.sets.append(f"{field} = :d{place}")
        self.conditions.append(f"attribute_exists(doc) AND attribute_not_exists({field})")
        self.values[f":d{place}"] = typed(delta)

    def add(self, step: Increment, name: str, delta: Number, kind: type) -> None:
        """Add to a field of this type. Raises _NotNative."""
        least, greatest = _bounds(kind, delta, step.floors.get(name), step.ceilings.get(name))
        place, field = self._place(name)
        if kind is Decimal:
            field += ".#decimal"
            self.names["#decimal"] = DECIMAL_TAG
        self.sets.append(f"{field} = {field} + :d{place}")
        self.values[f":d{place}"] = number(delta)
        if delta < 0 or name in step.floors:
            self.conditions.append(f"{field} >= :l{place}")
            self.values[f":l{place}"] = number(least)
        if delta >= 0 or name in step.ceilings:
            self.conditions.append(f"{field} <= :h{place}")
            self.values[f":h{place}"] = number(greatest)

    def _place(self, name: str) -> tuple[int, str]:
        place = len(self.names)
        self.names[f"#{place}"] = name
        return place, f"doc.#{place}"


def totals_of(step: Increment, attributes: Mapping[str, Typed]) -> Totals:
    """Return what the update answered."""
    fields = restored_fields(attributes["doc"])
    return Totals({name: fields[name] for name in step.deltas}, int(attributes["version"]["N"]))


def _bounds(kind: type, delta: Number, lowest: Number | None, highest: Number | None) -> tuple[Number, Number]:
    """Return the least and the greatest value of this type that the delta may be added to. Raises _NotNative."""
    if kind is int and isinstance(delta, int):
        return _int_bounds(delta, lowest, highest)
    if kind is Decimal and not isinstance(delta, float):
        return _decimal_bounds(Decimal(delta), lowest, highest)
    raise _NotNative


def _int_bounds(delta: int, lowest: Number | None, highest: Number | None) -> tuple[Number, Number]:
    least = max(-_GREATEST_INT, -_GREATEST_INT - delta, -_GREATEST_INT if lowest is None else ceil(lowest) - delta)
    greatest = min(_GREATEST_INT, _GREATEST_INT - delta, _GREATEST_INT if highest is None else floor(highest) - delta)
    return least, greatest


def _decimal_bounds(delta: Decimal, lowest: Number | None, highest: Number | None) -> tuple[Number, Number]:
    """As for an int; a bound with more digits than DynamoDB compares is not native."""
    try:
        least = -_GREATEST_DECIMAL if lowest is None else _EXACT.subtract(Decimal(lowest), delta)
        greatest = _GREATEST_DECIMAL if highest is None else _EXACT.subtract(Decimal(highest), delta)
    except Inexact:
        raise _NotNative from None
    return max(least, -_GREATEST_DECIMAL), min(greatest, _GREATEST_DECIMAL)
