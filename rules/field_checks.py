"""Does a value of one field pass a validation rule? For the checks that look at that value alone."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

Parameters = Mapping[str, Any]

_AMOUNT: Final = re.compile(r"-?\d{1,30}(?:\.(\d+))?")
_ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def can_judge(check: str) -> bool:
    """Whether the check needs nothing but the value: no other field, row or limit."""
    return check in _JUDGES


def passes(check: str, parameters: Parameters, value: str) -> bool:
    """Whether the text of a field passes; an empty one passes every check but `required`. See `can_judge`."""
    if check != "required" and not value:
        return True
    return _JUDGES[check](parameters, value)


def _required(_parameters: Parameters, value: str) -> bool:
    return bool(value.strip())


def _pattern(parameters: Parameters, value: str) -> bool:
    return re.fullmatch(parameters["pattern"], value) is not None


def _one_of(parameters: Parameters, value: str) -> bool:
    return value in parameters["values"]


def _decimal(parameters: Parameters, value: str) -> bool:
    found = _AMOUNT.fullmatch(value)
    if found is None or len(found[1] or "") > int(parameters["places"]):
        return False
    return Decimal(parameters["least"]) <= Decimal(value) <= Decimal(parameters["most"])


def _date(_parameters: Parameters, value: str) -> bool:
    if not _ISO_DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


_JUDGES: Final[dict[str, Callable[[Parameters, str], bool]]] = {
    "date": _date,
    "decimal": _decimal,
    "one_of": _one_of,
    "pattern": _pattern,
    "required": _required,
}
