"""JSON values as Cosmos DB knows them: numbers are IEEE doubles, and a missing property is `undefined`, which is no value."""

import enum
import json
import math
from typing import Any

from tests.servers.cosmos_errors import bad_request

EXACT_INTEGER = 2**53
"""Up to here a double holds every integer; the service keeps numbers as IEEE 754 doubles ("Service quotas", per-item limits)."""
MAX_NESTING = 128
"""Levels of objects and arrays in an item ("Service quotas", per-item limits)."""

Json = Any


class Undefined(enum.Enum):
    """The type of `UNDEFINED`: what an expression has that leads nowhere."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED


def number(value: float) -> float:
    """Return a number as the service answers it: the nearest double, written as an integer when it is one."""
    try:
        double = float(value)
    except OverflowError as error:
        raise bad_request("a number does not fit into a double") from error
    if not math.isfinite(double):
        raise bad_request("a number does not fit into a double")
    return int(double) if double.is_integer() and abs(double) <= EXACT_INTEGER else double


def _parsed(text: str) -> float:
    return number(float(text))


def _refused(text: str) -> None:
    raise bad_request(f"{text} is no JSON value")


def loads(text: bytes | str, what: str = "the request body") -> Json:
    """Parse JSON, every number as a double. Raises a 400 for what is no JSON, NaN and Infinity included."""
    try:
        value = json.loads(text, parse_int=_parsed, parse_float=_parsed, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"{what} is no JSON: {error}") from error
    opened = text.count(b"{") + text.count(b"[") if isinstance(text, bytes) else text.count("{") + text.count("[")
    if opened > MAX_NESTING and _depth(value) > MAX_NESTING:
        raise bad_request(f"{what} is nested deeper than {MAX_NESTING} levels")
    return value


def _depth(value: Json) -> int:
    level, depth = [value], 0
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def dumps(value: Json) -> bytes:
    """Write JSON for the wire: ASCII, so that any text an item holds can be sent."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def size_of(value: Json) -> int:
    """Return the length in bytes of a value's JSON in UTF-8, which is what the service's limits count."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def type_rank(value: Json) -> int:
    """Return a type's place in a mixed order: undefined, null, false, true, numbers, strings, arrays, objects."""
    if value is UNDEFINED:
        return 0
    if value is None:
        return 1
    if isinstance(value, bool):
        return 3 if value else 2
    for rank, kind in ((4, int | float), (5, str), (6, list)):
        if isinstance(value, kind):
            return rank
    return 7


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sort_key(value: Json) -> tuple[int, Any]:
    """Return what values of any types are ordered by. Strings go by code point."""
    rank = type_rank(value)
    if rank in {4, 5}:
        return rank, value
    return rank, json.dumps(value, sort_keys=True) if rank > 5 else 0


def identical(one: Json, other: Json) -> bool:
    """Whether two defined values are the same, types included: 1 is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(identical(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return type_rank(one) == type_rank(other) and bool(one == other)


def _family(value: Json) -> int:
    rank = type_rank(value)
    return 2 if rank == 3 else rank


def equals(one: Json, other: Json) -> Json:
    """Compare with `=`: undefined for undefined operands and for different types."""
    if one is UNDEFINED or other is UNDEFINED or _family(one) != _family(other):
        return UNDEFINED
    return identical(one, other)


def compare(one: Json, other: Json) -> int | Undefined:
    """Order two values: -1, 0 or 1; undefined across types, and for nulls, arrays and objects."""
    family = _family(one)
    if family != _family(other) or family not in {2, 4, 5}:
        return UNDEFINED
    return int(one > other) - int(one < other)
