"""Fields in DynamoDB's own types, and back: what it lacks is tagged, as a map of one member.

An int is a number, text, bytes, booleans, null, lists and maps are what they are. `{"$decimal": 1.10}` (a number),
`{"$float": "0.1"}` and `{"$datetime": "2026-11-20T12:00:00.000000Z"}` stand for the rest. Below the top level, a user's own name
that starts with `$` gets a second `$` in front.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

from northstar.instants import instant_text
from storage.documents import INTEGER_DIGITS, Fields, Number, Value
from storage.errors import BackendRejected
from storage.values import CheckedFields

Typed = dict[str, Any]
"""A value as it is on the wire: `{"S": "text"}`, `{"N": "1"}` …"""

DECIMAL_TAG: Final = "$decimal"
_FLOAT_TAG: Final = "$float"
_DATETIME_TAG: Final = "$datetime"
_TAG: Final = "$"

LARGEST_FIELDS: Final = 400_000
"""Bytes of fields as DynamoDB counts them, which leave room for keys and envelope in an item of 400 KB (409,600 bytes)."""
_SIGNIFICANT: Final = Context(prec=INTEGER_DIGITS, traps=[Inexact])
_SURELY_FIT: Final = LARGEST_FIELDS // 4
"""Encoded size from which on the sizes are added up: nothing grows more than a float, from 4 bytes of JSON (`1.0,`) to 14."""


def typed_fields(fields: Fields) -> Typed:
    """Return the fields as an attribute value."""
    return {"M": {name: typed(value) for name, value in fields.items()}}


def typed(value: Value) -> Typed:
    """Return a checked value as an attribute value."""
    return _TYPED[type(value)](value)


def restored_fields(attribute: Typed) -> dict[str, Value]:
    """Return the fields of `typed_fields`. Raises BackendRejected for an attribute that it never makes."""
    try:
        return {name: _restored(value) for name, value in attribute["M"].items()}
    except (AttributeError, KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise BackendRejected("A stored document cannot be read: Northstar has not written it so.") from error


def fits(fields: Fields) -> bool:
    """Whether the item of these fields stays within DynamoDB's limit when they are stored in its own types."""
    if type(fields) is CheckedFields and len(fields.encoded) <= _SURELY_FIT:
        return True
    return size(fields) <= LARGEST_FIELDS


def _typed_float(value: float) -> Typed:
    return {"M": {_FLOAT_TAG: {"S": repr(value)}}}


def _typed_decimal(value: Decimal) -> Typed:
    return {"M": {DECIMAL_TAG: number(value)}}


def number(value: Number) -> Typed:
    """Return an int or a Decimal as it is compared and added to."""
    return {"N": str(value) if value else "0"}


def _typed_datetime(value: datetime) -> Typed:
    return {"M": {_DATETIME_TAG: {"S": instant_text(value)}}}


def _typed_map(value: dict[str, Any]) -> Typed:
    return {"M": {_TAG + name if name[0] == _TAG else name: typed(item) for name, item in value.items()}}


_TYPED: Final[Mapping[type, Callable[[Any], Typed]]] = {
    bool: lambda value: {"BOOL": value},
    bytes: lambda value: {"B": value},
    datetime: _typed_datetime,
    Decimal: _typed_decimal,
    dict: _typed_map,
    float: _typed_float,
    int: lambda value: {"N": str(value)},
    list: lambda value: {"L": [typed(item) for item in value]},
    str: lambda value: {"S": value},
    type(None): lambda _value: {"NULL": True},
}


def _restored(attribute: Typed) -> Value:
    ((kind, content),) = attribute.items()
    return _RESTORED[kind](content)


def _restored_int(text: str) -> int:
    return int(text) if "E" not in text else int(Decimal(text))


def _restored_decimal(text: str) -> Decimal:
    """Return the number without the zeros that DynamoDB writes out: 1E+125 comes back as 126 digits."""
    return Decimal(text) if len(text) <= INTEGER_DIGITS else _SIGNIFICANT.normalize(Decimal(text))


def _restored_map(content: Typed) -> Value:
    if len(content) == 1:
        ((name, inner),) = content.items()
        tagged = _TAGGED.get(name)
        if tagged:
            ((_, text),) = inner.items()
            return tagged(text)
    return {name[1:] if name[0] == _TAG else name: _restored(item) for name, item in content.items()}


_RESTORED: Final[Mapping[str, Callable[[Any], Value]]] = {
    "B": bytes,
    "BOOL": bool,
    "L": lambda content: [_restored(item) for item in content],
    "M": _restored_map,
    "N": _restored_int,
    "NULL": lambda _content: None,
    "S": str,
}
_TAGGED: Final[Mapping[str, Callable[[str], Value]]] = {
    DECIMAL_TAG: _restored_decimal,
    _FLOAT_TAG: float,
    _DATETIME_TAG: datetime.fromisoformat,
}


def size(value: Value) -> int:
    """Bytes of a value, never less than AWS counts (developer guide, "DynamoDB item sizes and formats")."""
    match value:
        case dict():
            return 3 + sum(2 + len(name.encode()) + size(item) for name, item in value.items())
        case list():
            return 3 + sum(1 + size(item) for item in value)
        case str() | bytes():
            return len(value.encode() if isinstance(value, str) else value)
        case bool() | None:
            return 1
        case int():
            return 3 + len(str(value)) // 2
    return 45  # a tag of at most 9 characters, a map's 4 bytes, and at most 31 of text or number
