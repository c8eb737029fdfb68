"""Fields as Firestore's own values, each with its type, and back.

Firestore says null, booleans, 64-bit integers, doubles, texts, bytes, times, arrays and maps itself. The rest is tagged, as a map
of one member: `{"$decimal": "1.10"}`, beyond 64 bits `{"$int": "…"}`, and `{"$list": […]}` for an array directly within an array.
A user's own map of one member whose name starts with `$` gets a second `$` in front. A name such as `__x__`, which Firestore
keeps for itself, gets a `$` too.

What Firestore cannot hold in this form, because it is too deep or too large, is one value of bytes: the JSON of `storage.values`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from storage.documents import Fields, Value
from storage.errors import BackendRejected
from storage.values import decode, encode

NATIVE_LEVELS: Final = 18
"""Maps and arrays in one another, tags included. Firestore takes 20 below the document."""
NATIVE_BYTES: Final = 500_000
"""Serialised. Firestore counts at most twice as many (8 for a small integer of 4), so such a document is below its 1 MiB."""

_TAG: Final = "$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST: Final = -(2**63)
_GREATEST: Final = 2**63 - 1


class _TooDeep(Exception):
    """The value has more levels than Firestore takes."""


def write_fields(target: Any, fields: Fields) -> None:
    """Set a `google.firestore.v1.Value` to the fields: a map, or bytes where Firestore could not hold the map."""
    try:
        _write_map(target, fields, NATIVE_LEVELS)
        fits = target.ByteSize() <= NATIVE_BYTES
    except _TooDeep:
        fits = False
    if not fits:
        target.Clear()
        target.bytes_value = encode(fields)


def read_fields(source: Any) -> dict[str, Value]:
    """Return the fields that `write_fields` wrote. Raises BackendRejected for what it never wrote."""
    if source.WhichOneof("value_type") == "bytes_value":
        return decode(source.bytes_value)
    return {_user_name(name): _read(value) for name, value in source.map_value.fields.items()}


def write_time(target: Any, moment: datetime) -> None:
    """Set a `google.protobuf.Timestamp`, exact to the microsecond."""
    since = moment - _EPOCH
    target.seconds = since.days * 86_400 + since.seconds
    target.nanos = since.microseconds * 1000
    target.SetInParent()  # 1970-01-01 is all zeros


def read_time(source: Any) -> datetime:
    """Return a `google.protobuf.Timestamp` in UTC; what is below a microsecond is cut off."""
    return _EPOCH + timedelta(seconds=source.seconds, microseconds=source.nanos // 1000)


def _write(target: Any, value: Value, room: int) -> None:
    _WRITERS[type(value)](target, value, room)


def _write_null(target: Any, _value: None, _room: int) -> None:
    target.null_value = 0


def _write_bool(target: Any, value: bool, _room: int) -> None:
    target.boolean_value = value


def _write_int(target: Any, value: int, room: int) -> None:
    if _LEAST <= value <= _GREATEST:
        target.integer_value = value
    else:
        _write_tagged(target, "$int", str(value), room)


def _write_float(target: Any, value: float, _room: int) -> None:
    target.double_value = value


def _write_decimal(target: Any, value: Decimal, room: int) -> None:
    _write_tagged(target, "$decimal", str(value), room)


def _write_text(target: Any, value: str, _room: int) -> None:
    target.string_value = value


def _write_bytes(target: Any, value: bytes, _room: int) -> None:
    target.bytes_value = value


def _write_datetime(target: Any, value: datetime, _room: int) -> None:
    write_time(target.timestamp_value, value)


def _write_list(target: Any, value: list[Value], room: int) -> None:
    target.array_value.SetInParent()
    if value and room <= 0:
        raise _TooDeep
    add = target.array_value.values.add
    for item in value:
        if type(item) is list:
            _write_tagged(add(), "$list", item, room - 1)
        else:
            _write(add(), item, room - 1)


def _write_map(target: Any, value: Mapping[str, Value], room: int) -> None:
    target.map_value.SetInParent()
    if value and room <= 0:
        raise _TooDeep
    fields = target.map_value.fields
    for name, item in value.items():
        _write(fields[_stored_name(name)], item, room - 1)


def _write_inner_map(target: Any, value: dict[str, Value], room: int) -> None:
    if len(value) == 1:
        ((name, item),) = value.items()
        if name.startswith(_TAG) or _stored_name(name) != name:
            return _write_tagged(target, _TAG + _stored_name(name), item, room)
    return _write_map(target, value, room)


def _write_tagged(target: Any, tag: str, value: Value, room: int) -> None:
    if room <= 0:
        raise _TooDeep
    _write(target.map_value.fields[tag], value, room - 1)


_WRITERS: Final[Mapping[type, Callable[[Any, Any, int], None]]] = {
    bool: _write_bool,
    bytes: _write_bytes,
    datetime: _write_datetime,
    Decimal: _write_decimal,
    dict: _write_inner_map,
    float: _write_float,
    int: _write_int,
    list: _write_list,
    str: _write_text,
    type(None): _write_null,
}


def _stored_name(name: str) -> str:
    """Return a field's name as Firestore takes it: `__x__` is reserved, so that it, `$__x__` and so on get a `$` in front."""
    return _TAG + name if name.endswith("__") and name.lstrip(_TAG).startswith("__") else name


def _user_name(name: str) -> str:
    return name[1:] if name.startswith(_TAG) and _stored_name(name) != name else name


def _read(source: Any) -> Value:
    kind = source.WhichOneof("value_type")
    reader = _READERS.get(kind)
    if reader is None:
        raise BackendRejected(f"A stored value is a {kind}, which Northstar never writes.")
    return reader(source)


def _read_list(source: Any) -> list[Value]:
    return [_read(item) for item in source.array_value.values]


def _read_map(source: Any) -> Value:
    fields = source.map_value.fields
    if len(fields) == 1:
        ((name, inner),) = fields.items()
        if name.startswith(_TAG):
            return _read_tagged(name, inner)
    return {_user_name(name): _read(value) for name, value in fields.items()}


def _read_tagged(name: str, inner: Any) -> Value:
    if name.startswith(_TAG + _TAG):
        return {_user_name(name[1:]): _read(inner)}
    if name == "$list":
        return _read_list(inner)
    try:
        return _FROM_TEXT[name](inner.string_value)
    except (KeyError, ValueError, InvalidOperation) as error:
        raise BackendRejected(f"A stored value with the tag {name!a} cannot be read.") from error


_FROM_TEXT: Final[Mapping[str, Callable[[str], Value]]] = {"$decimal": Decimal, "$int": int}
_READERS: Final[Mapping[str | None, Callable[[Any], Value]]] = {
    "array_value": _read_list,
    "boolean_value": lambda source: source.boolean_value,
    "bytes_value": lambda source: source.bytes_value,
    "double_value": lambda source: source.double_value,
    "integer_value": lambda source: source.integer_value,
    "map_value": _read_map,
    "null_value": lambda _source: None,
    "string_value": lambda source: source.string_value,
    "timestamp_value": lambda source: read_time(source.timestamp_value),
}
