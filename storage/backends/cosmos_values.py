"""Fields as Cosmos can hold them: JSON whose numbers are doubles, so a float and a large int are tagged beside all other tags.

`{"$float": "1.0"}` because the service answers 1.0 as 1; ints beyond 53 bits as `{"$int": "…"}`; the rest as in `storage.values`.
Fields that grow too much by their tags, and a single one that looks like a tag, are stored as one text instead: the Base64 of
`storage.values.encode`.
"""

import base64
import binascii
from typing import Any, Final

import orjson

from storage.documents import Fields
from storage.errors import BackendRejected
from storage.values import decode, encode, restore_fields

SAFE_INTEGER: Final = 2**53 - 1
"""No int of this magnitude or less shares its double with another."""
LOOKED_AT_BYTES: Final = 1024
MOST_GROWTH: Final = 1.4
"""An atomic write of 1 MiB stays inside a request of 2 MiB: Base64 grows by a third, so tags may not grow by more than this."""

_PLAIN: Final = frozenset({bool, str, type(None)})
_TAG: Final = "$"
_FLOAT: Final = "$float"
_ANY_TAG: Final = b'"$'


def packed(fields: Fields) -> dict[str, Any] | str:
    """Return checked fields as JSON for the service, or as one text where that would be much longer."""
    encoded = encode(fields)
    if _looks_tagged(fields):  # a native increment may add a second member, and then it would not look so any more
        return base64.b64encode(encoded).decode("ascii")
    if all(_is_plain(value) for value in fields.values()):
        return dict(fields)
    tagged: dict[str, Any] = _tagged(orjson.loads(encoded))
    if len(encoded) > LOOKED_AT_BYTES and len(orjson.dumps(tagged)) > MOST_GROWTH * len(encoded):
        return base64.b64encode(encoded).decode("ascii")
    return tagged


def unpacked(stored: Any) -> dict[str, Any]:
    """Return the fields of `packed`'s JSON or text, each value with its type. Raises BackendRejected for anything else."""
    if isinstance(stored, str):
        return decode(_bytes_of(stored))
    if not isinstance(stored, dict):
        raise BackendRejected("Stored fields are not a JSON object.")
    return restore_fields(_floated(stored), _ANY_TAG) if _has_tags(stored) else stored


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is int:
        return bool(-SAFE_INTEGER <= value <= SAFE_INTEGER)
    if kind is dict:
        return not _looks_tagged(value) and all(_is_plain(item) for item in value.values())
    return kind is list and all(_is_plain(item) for item in value)


def _looks_tagged(value: Fields) -> bool:
    return len(value) == 1 and any(name.startswith(_TAG) for name in value)


def _tagged(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return {_FLOAT: repr(value)}
    if kind is int and not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        return {"$int": str(value)}
    if kind is dict:
        return {name: _tagged(item) for name, item in value.items()}
    return [_tagged(item) for item in value] if kind is list else value


def _has_tags(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return _looks_tagged(value) or any(_has_tags(item) for item in value.values())
    return kind is list and any(_has_tags(item) for item in value)


def _floated(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        if len(value) == 1 and _FLOAT in value:
            return _float_of(value[_FLOAT])
        return {name: _floated(item) for name, item in value.items()}
    return [_floated(item) for item in value] if kind is list else value


def _float_of(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise BackendRejected(f"A stored value with the tag {_FLOAT!a} cannot be read.") from None


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BackendRejected("Stored fields are neither JSON nor Base64.") from None
