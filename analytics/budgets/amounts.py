"""Amounts: decimals outside, integers of micro-units inside, never a float."""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from northstar.errors import FieldError, InvalidRequest

MICRO: Final = 1_000_000
"""Micro-units in a unit: amounts have up to six decimals."""
LARGEST: Final = Decimal(10) ** 18
"""Units, exclusive. Its micro-units have 24 digits, far inside the 38 that every backend adds exactly."""
_EXACT: Final = Context(prec=120)
_DECIMAL: Final = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
"""What is read as a decimal. Python would also take digits of other scripts, 1_0, spaces, and exponents beyond all bounds."""


def micros(amount: Any, *, field: str = "amount") -> int:
    """Return an int, Decimal or decimal text as micro-units.

    Raises InvalidRequest for anything else, a float included, for more than six decimals and for 10^18 units or more.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal | str):
        raise _refusal(field, "type", "Send a decimal as text, or an integer.")
    if not isinstance(amount, int) and not _DECIMAL.fullmatch(str(amount)):
        raise _refusal(field, "decimal", "The text is no decimal number of at most 40 digits and 40 decimals.")
    exact = Decimal(amount)
    if exact.copy_abs() >= LARGEST:
        raise _refusal(field, "range", "The amount must be below 10^18 units.")
    scaled = _EXACT.multiply(exact, MICRO)
    if scaled != scaled.to_integral_value(context=_EXACT):
        raise _refusal(field, "decimals", "An amount has at most six decimals.")
    return int(scaled)


def positive(amount: Any, *, field: str = "amount") -> int:
    """As `micros`, for an amount above zero."""
    found = micros(amount, field=field)
    if found <= 0:
        raise _refusal(field, "positive", "The amount must be above zero.")
    return found


def units(micro: int) -> Decimal:
    """Return micro-units as the shortest exact decimal."""
    whole, rest = divmod(abs(micro), MICRO)
    text = f"{whole}.{rest:06}".rstrip("0").rstrip(".") if rest else str(whole)
    return Decimal(f"-{text}" if micro < 0 else text)


def text(micro: int) -> str:
    """Return micro-units as a decimal text, such as 12.5."""
    return f"{units(micro):f}"


def priced(micro: int, rate: str) -> int:
    """Return what an amount costs at a rate per unit, in micro-units, half a micro-unit rounded up."""
    cost = _EXACT.multiply(Decimal(micro), Decimal(rate))
    return int(cost.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=_EXACT))


def _refusal(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {field} is not valid. {detail}",
        fix='Send it as a text such as "12.5".',
        errors=[FieldError(field, code, detail)],
    )
