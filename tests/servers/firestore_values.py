"""The order of Firestore's values, across types and within each, as keys that Python compares."""

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from tests.servers.firestore_errors import unknown
from tests.servers.firestore_messages import Value, ValueMessage

Key = tuple[Any, ...]
"""A value as something to compare: the rank of its type first. Equal keys mean equal values, so 1 equals 1.0."""

RANKS: Mapping[str, int] = {
    "null_value": 0,
    "boolean_value": 1,
    "integer_value": 2,
    "double_value": 2,
    "timestamp_value": 3,
    "string_value": 4,
    "bytes_value": 5,
    "reference_value": 6,
    "geo_point_value": 7,
    "array_value": 8,
    "map_value": 9,
}
"""The documented order of the types. Integers and doubles are one."""

NULL = Value(null_value=0)
_NUMERIC_ID = re.compile(r"__id(-?\d+)__")
NULL_KEY: Key = (RANKS["null_value"],)
NAN_KEY: Key = (RANKS["double_value"], 0, 0)


def key(value: ValueMessage) -> Key:
    """Return a value's place in the order of all values. Strings compare by code point, which is the order of UTF-8."""
    kind = value.WhichOneof("value_type")
    if kind not in RANKS:
        raise unknown(f"values of the kind {kind}")
    content = getattr(value, kind)
    return (RANKS[kind], *_CONTENTS[kind](content)) if kind in _CONTENTS else (RANKS[kind], content)


def _number(content: float) -> Key:
    """NaN comes before all numbers. Integers and doubles compare exactly, as Python compares them."""
    return (0, 0) if math.isnan(content) else (1, content)


@lru_cache(maxsize=65_536)
def reference_key(name: str) -> Key:
    """Return the place of a document's name in the order: by its parts, so that a parent comes before its children."""
    return (RANKS["reference_value"], *map(_part, name.split("/")))


def _part(part: str) -> Key:
    """Numeric ids come before all others. No document here has one, but the SDK bounds queries by the least of them."""
    match = _NUMERIC_ID.fullmatch(part)
    return (0, int(match.group(1))) if match else (1, part)


_CONTENTS: Mapping[str, Callable[[Any], Key]] = {
    "null_value": lambda _: (),
    "integer_value": _number,
    "double_value": _number,
    "timestamp_value": lambda moment: (moment.seconds, moment.nanos),
    "reference_value": lambda name: reference_key(name)[1:],
    "geo_point_value": lambda point: (point.latitude, point.longitude),
    "array_value": lambda array: tuple(map(key, array.values)),
    "map_value": lambda held: tuple((name, key(held.fields[name])) for name in sorted(held.fields)),
}


def is_number(value: ValueMessage) -> bool:
    return value.WhichOneof("value_type") in {"integer_value", "double_value"}


def number(value: ValueMessage) -> int | float:
    """Return the content of a value that is a number."""
    return getattr(value, value.WhichOneof("value_type"))  # type: ignore[no-any-return]
