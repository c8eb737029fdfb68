"""JSON from outside, read strictly: what two parsers could understand differently, or what no store could hold, is refused."""

import json
import math
import re
from typing import Any, Final, NoReturn

from northstar.errors import FieldError, InvalidRequest

MAX_DEPTH: Final = 64
MAX_DIGITS: Final = 400
"""Digits of one integer: far beyond what a store may hold, and short of what makes parsing slow."""

# The closing quote may be missing, so that a text without one is still read once and not from each of its quotes anew.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_BOM: Final = b"\xef\xbb\xbf"


def parse(raw: bytes) -> Any:
    """Return the value of a JSON text.

    Integers keep every digit. Raises InvalidRequest, saying what is wrong and where: not UTF-8, a byte order mark, malformed,
    nested more than 64 levels, a name twice in one object, NUL or half a surrogate pair in a text, NaN, Infinity, or a number
    too large to hold.
    """
    text = _decoded(raw)
    if _depth(raw) > MAX_DEPTH:
        _refuse(f"The JSON is nested deeper than {MAX_DEPTH} levels.", "too_deep")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        _refuse(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", "malformed")
    except RecursionError:
        _refuse(f"The JSON is nested deeper than {MAX_DEPTH} levels.", "too_deep")
    if "\\u" in text:  # only an escape can bring in what UTF-8 and the JSON grammar have not refused already
        _check_texts(value, "")
    return value


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the members of a JSON object. Raises InvalidRequest as `parse`, and for any other value."""
    value = parse(raw)
    if not isinstance(value, dict):
        _refuse("The body must be a JSON object.", "not_an_object")
    return value


def _decoded(raw: bytes) -> str:
    if raw.startswith(_BOM):
        _refuse("The body starts with a byte order mark.", "byte_order_mark")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(f"The body is not UTF-8: byte {error.start} does not belong there.", "not_utf8")


def _depth(raw: bytes) -> int:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return 0
    deepest = depth = 0
    for bracket in _STRINGS.sub(b"", raw).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        _refuse(f"The name {twice[:100]!a} stands twice in one object.", "duplicate_name")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _refuse(f"A number has {len(digits)} digits; {MAX_DIGITS} are allowed.", "number_too_long")
    return int(digits)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse(f"The number {text[:40]} is too large.", "number_too_large")
    return number


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not JSON.", "not_a_number")


def _check_texts(value: Any, where: str) -> None:
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_text(name, where)
            _check_texts(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_texts(inner, f"{where}.{index}" if where else str(index))


def _check_text(text: str, where: str) -> None:
    if "\0" in text:
        _refuse("A text holds the character NUL, which no store can keep.", "nul", where)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        _refuse("A text holds half of a surrogate pair: it is not Unicode.", "lone_surrogate", where)


def _refuse(detail: str, code: str, where: str = "") -> NoReturn:
    field = where.encode("ascii", "backslashreplace").decode("ascii")[:200]
    raise InvalidRequest(detail, fix="Correct the request's body.", errors=[FieldError(field, code, detail)])
