"""Numbers as documents keep them here: as the text that was given, so that 0.50 is not 0.5, and -0 not 0, on any service.

Services keep a number's value and not how it was written. A Decimal is stored as `{"~decimal": "0.50"}`; a user's own object of
one member whose name starts with `~` gets a second one in front.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from storage.kinds.rules_errors import DamagedRules
from storage.values import encode

_MARK: Final = "~"
_TAG: Final = "~decimal"


def packed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a document with every Decimal as tagged text."""
    return {name: _pack(value) for name, value in fields.items()}


def unpacked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `packed`. Raises DamagedRules for a tag that it never makes."""
    return {name: _unpack(value) for name, value in fields.items()}


def written(value: Mapping[str, Any]) -> bytes:
    """Return the one way to write a value: two that are written alike say the same, in whatever order their members came."""
    return encode(_sorted(packed(value)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _pack(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {_TAG: str(value)}
    if isinstance(value, Mapping):
        inner = {name: _pack(item) for name, item in value.items()}
        return {_MARK + name: item for name, item in inner.items()} if _is_marked(inner) else inner
    return [_pack(item) for item in value] if isinstance(value, list | tuple) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not _is_marked(value):
        return {name: _unpack(item) for name, item in value.items()}
    ((name, inner),) = value.items()
    if name.startswith(_MARK + _MARK):
        return {name[1:]: _unpack(inner)}
    try:
        return Decimal(inner)
    except (InvalidOperation, TypeError, ValueError):
        raise DamagedRules(f"A stored number with the tag {name!a} cannot be read.") from None


def _is_marked(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(_MARK)
