"""One JSON form for every value a document may hold: encoding it checks it, and decoding gives back the same types.

JSON says null, booleans, strings, 64-bit integers, floats, lists and objects itself. The rest is tagged, as an object of one
member: `{"$decimal": "1.10"}`, `{"$bytes": "<base64>"}`, `{"$datetime": "2026-11-20T12:00:00.000000Z"}` and, beyond 64 bits,
`{"$int": "…"}`. A user's own object of one member whose name starts with `$` gets a second `$` in front.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from math import isfinite
from typing import Any, Final

import orjson

from northstar.instants import instant_text
from storage.documents import DOCUMENT_BYTES, INTEGER_DIGITS, KEY_BYTES, NESTING, Fields, Number, Value
from storage.errors import BackendRejected, InvalidKey, InvalidValue, ValueTooLarge

SMALLEST_MAGNITUDE: Final = -130
LARGEST_MAGNITUDE: Final = 125
"""Powers of ten that a Decimal may reach: DynamoDB's number type (1E-130 to 9.99E+125)."""

_TAG: Final = "$"
_BEYOND_DIGITS: Final = 10**INTEGER_DIGITS
_LEAST_INT: Final = -(2**63)
_GREATEST_INT: Final = 2**64 - 1
_NUL: Final = b"\\u0000"
_PLAIN_KINDS: Final = frozenset({bool, str, type(None)})
_PLAIN_NAME: Final = KEY_BYTES // 4
"""Characters of a field name that cannot pass the limit in bytes, whatever they are."""
# Wide enough for the exact sum of any two allowed numbers, so nothing is ever rounded.
_EXACT: Final = Context(prec=LARGEST_MAGNITUDE - SMALLEST_MAGNITUDE + 2 * INTEGER_DIGITS, traps=[Inexact])

_Path = tuple[str | int, ...]


class CheckedFields(dict[str, Value]):
    """Fields with their encoding beside them, so that the layers below need not make it again. Not to be changed."""

    __slots__ = ("encoded",)

    def __init__(self, fields: Fields, encoded: bytes) -> None:
        super().__init__(fields)
        self.encoded = encoded


def checked(fields: Fields) -> CheckedFields:
    """Return the fields once checked as `check_fields` does. Raises as it does."""
    if type(fields) is CheckedFields:
        return fields
    encoded = encode(fields)
    check_size(encoded)
    return CheckedFields(fields, encoded)


def encode(fields: Fields) -> bytes:
    """Return the fields as one line of JSON. Raises InvalidValue or InvalidKey as `check_fields` does; size is not checked."""
    if type(fields) is CheckedFields:
        return fields.encoded
    packed = {
        _name(name, ()): value if _is_plain(value, 1) else _pack(value, (name,)) for name, value in fields.items()
    }
    try:
        encoded = orjson.dumps(_escaped(packed))
    except TypeError:
        _find_bad_text(packed, ())
        raise
    if _NUL in encoded:  # or a backslash before u0000 in the text itself: look closely
        _find_bad_text(packed, ())
    return encoded


def decode(encoded: bytes) -> dict[str, Value]:
    """Return the fields of `encode`'s bytes, each value with its type. Raises BackendRejected for bytes it never made."""
    try:
        parsed = orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise BackendRejected(f"Stored fields are not JSON: {error}.") from error
    return restore_fields(parsed, encoded)


def restore_fields(parsed: Any, source: bytes) -> dict[str, Value]:
    """Return the fields in `parsed`, which is part of the JSON text `source`, with tagged values restored."""
    fields = _restore(parsed) if b'"$' in source else parsed
    if not isinstance(fields, dict):
        raise BackendRejected("Stored fields are not a JSON object.")
    return fields


def check_fields(fields: Fields) -> int:
    """Return the encoded size in bytes of fields that every backend can hold.

    Raises InvalidValue (an unknown type, NaN or Infinity, over 38 digits, a naive datetime, a lone surrogate, NUL, more than 20
    levels), InvalidKey (a field name that is no text, empty or over 900 bytes) or ValueTooLarge (over 350 KiB encoded).
    """
    return check_size(encode(fields))


def check_size(encoded: bytes) -> int:
    """Return the size of encoded fields in bytes. Raises ValueTooLarge over 350 KiB."""
    size = len(encoded)
    if size > DOCUMENT_BYTES:
        raise ValueTooLarge(
            f"The document has {size} bytes; {DOCUMENT_BYTES} are allowed.",
            fix="Split it, or put the large part into the object store.",
        )
    return size


def check_number(name: str, number: Any) -> None:
    """Refuse what cannot be added or compared: no number, a boolean, NaN, Infinity, over 38 digits. Raises InvalidValue."""
    if type(number) not in {int, float, Decimal}:
        raise InvalidValue(f"The value at {name} is no number.", fix="Send an integer, a decimal or a float.")
    _PACKERS[type(number)](number, (name,))


def add(current: Any, delta: Number, *, name: str = "the field") -> Number:
    """Return the exact sum: int and int make an int, int and float a float, int and Decimal a Decimal.

    Raises InvalidValue for a value that is no number, for a float with a Decimal, and for a sum over 38 digits or out of range.
    """
    check_number(name, current)
    check_number(name, delta)
    kinds = {type(current), type(delta)}
    if kinds == {float, Decimal}:
        raise InvalidValue(
            f"The value at {name} would mix a float and a decimal: their sum is not exact.",
            fix="Use decimals or floats throughout.",
        )
    total: Number = _EXACT.add(Decimal(current), Decimal(delta)) if Decimal in kinds else current + delta
    check_number(name, total)
    return total


def _is_plain(value: Any, depth: int) -> bool:
    """Whether JSON can say the value as it is. A quick look that spares most values a copy; `_pack` looks at all others."""
    kind = type(value)
    if kind in _PLAIN_KINDS:
        return True
    if kind is int:
        return bool(_LEAST_INT <= value <= _GREATEST_INT)
    if kind is float:
        return isfinite(value)
    return depth < NESTING and _holds_plain(value, kind, depth + 1)


def _holds_plain(value: Any, kind: type, depth: int) -> bool:
    if kind is dict:
        for name in value:
            if type(name) is not str or not 0 < len(name) <= _PLAIN_NAME or name[0] == _TAG:
                return False
        value = value.values()
    elif kind is not list:
        return False
    for item in value:  # noqa: SIM110 - every write comes through here, and a generator takes twice as long
        if type(item) is not str and not _is_plain(item, depth):
            return False
    return True


def _name(name: Any, path: _Path) -> str:
    if type(name) is not str or not name:
        raise InvalidKey(f"A field name {_within(path)}is {name!a}; a text of at least one character is needed.")
    if len(name) * 4 > KEY_BYTES and len(name.encode(errors="replace")) > KEY_BYTES:
        raise InvalidKey(f"The field name {name[:40]!a}… has more than {KEY_BYTES} bytes.", fix="Shorten it.")
    return name


def _pack(value: Any, path: _Path) -> Any:
    packer = _PACKERS.get(type(value))
    if packer is None:
        raise InvalidValue(
            f"{_at(path)} is of type {type(value).__name__}, which cannot be stored.",
            fix="Use null, a boolean, a number, a text, bytes, a UTC datetime, a list or an object.",
        )
    return packer(value, path)


def _same(value: Any, _path: _Path) -> Any:
    return value


def _pack_int(value: int, path: _Path) -> Any:
    if _LEAST_INT <= value <= _GREATEST_INT:
        return value
    if not -_BEYOND_DIGITS < value < _BEYOND_DIGITS:
        raise InvalidValue(f"{_at(path)} has more than {INTEGER_DIGITS} digits.", fix="Send it as a text.")
    return {"$int": str(value)}


def _pack_float(value: float, path: _Path) -> float:
    if not isfinite(value):
        raise InvalidValue(f"{_at(path)} is {value}; only finite numbers can be stored.", fix="Send null instead.")
    return value


def _pack_decimal(value: Decimal, path: _Path) -> dict[str, str]:
    if not value.is_finite():
        raise InvalidValue(f"{_at(path)} is {value}; only finite numbers can be stored.", fix="Send null instead.")
    if len(value.as_tuple().digits) > INTEGER_DIGITS:
        raise InvalidValue(f"{_at(path)} has more than {INTEGER_DIGITS} digits.", fix="Round it, or send it as a text.")
    if not SMALLEST_MAGNITUDE <= value.adjusted() <= LARGEST_MAGNITUDE:
        raise InvalidValue(
            f"{_at(path)} is outside 1E{SMALLEST_MAGNITUDE} to 1E+{LARGEST_MAGNITUDE + 1}.", fix="Send it as a text."
        )
    return {"$decimal": str(value)}


def _pack_bytes(value: bytes, _path: _Path) -> dict[str, str]:
    return {"$bytes": base64.b64encode(value).decode("ascii")}


def _pack_datetime(value: datetime, path: _Path) -> dict[str, str]:
    if value.utcoffset() is None:
        raise InvalidValue(f"{_at(path)} is a time without a time zone.", fix="Give it in UTC.")
    try:
        return {"$datetime": instant_text(value)}
    except OverflowError:
        raise InvalidValue(f"{_at(path)} lies outside the years 1 to 9999 in UTC.") from None


def _pack_list(value: list[Any], path: _Path) -> list[Any]:
    _check_depth(path)
    return [_pack(item, (*path, index)) for index, item in enumerate(value)]


def _pack_dict(value: dict[Any, Any], path: _Path) -> dict[str, Any]:
    _check_depth(path)
    return _escaped({_name(name, path): _pack(item, (*path, name)) for name, item in value.items()})


_PACKERS: Final[dict[type, Callable[[Any, _Path], Any]]] = {
    bool: _same,
    bytes: _pack_bytes,
    datetime: _pack_datetime,
    Decimal: _pack_decimal,
    dict: _pack_dict,
    float: _pack_float,
    int: _pack_int,
    list: _pack_list,
    str: _same,
    type(None): _same,
}


def _check_depth(path: _Path) -> None:
    if len(path) >= NESTING:  # the fields themselves are the first level
        raise InvalidValue(f"{_at(path[:1])} is nested deeper than {NESTING} levels.", fix="Flatten it.")


def _escaped(packed: dict[str, Any]) -> dict[str, Any]:
    if len(packed) == 1:
        ((name, value),) = packed.items()
        if name.startswith(_TAG):
            return {_TAG + name: value}
    return packed


def _restore(value: Any) -> Any:
    if isinstance(value, list):
        return [_restore(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name.startswith(_TAG):
            return _restore_tagged(name, inner)
    return {name: _restore(item) for name, item in value.items()}


def _restore_tagged(name: str, inner: Any) -> Any:
    if name.startswith(_TAG + _TAG):
        return {name[1:]: _restore(inner)}
    try:
        return _RESTORERS[name](inner)
    except (KeyError, TypeError, ValueError, InvalidOperation, binascii.Error) as error:
        raise BackendRejected(f"A stored value with the tag {name!a} cannot be read.") from error


_RESTORERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$datetime": datetime.fromisoformat,
    "$decimal": Decimal,
    "$int": int,
}


def _find_bad_text(value: Any, path: _Path) -> None:
    """Raise for the text that JSON or PostgreSQL cannot hold, saying where it stands."""
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, (*path, name))
            _find_bad_text(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _find_bad_text(item, (*path, index))


def _check_text(text: str, path: _Path) -> None:
    if "\0" in text:
        raise InvalidValue(f"{_at(path)} holds a NUL character.", fix="Remove it, or store the text as bytes.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValue(f"{_at(path)} is not valid Unicode.", fix="Send UTF-8 without surrogates.")


def _at(path: _Path) -> str:
    return "The value at " + ".".join(str(part) for part in path)[:200].encode(errors="backslashreplace").decode()


def _within(path: _Path) -> str:
    return f"within {'.'.join(str(part) for part in path)[:200]!a} " if path else ""
