"""Touches and conversions: what somebody came by, in which channel it counts, and what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from analytics.contracts.channels import DIRECT, classify
from analytics.contracts.parameters import click_ids
from northstar.errors import FieldError, InvalidRequest

MICROS: Final = 1_000_000
"""Micro-units in one unit of a currency."""
LARGEST: Final = 10**30
"""Micro-units of one conversion, up to."""
_LEAST_POWER, _GREATEST_POWER = -6, 24
"""Powers of ten of the first digit of a value that is not zero."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One time that somebody came. `key` is what two touches must share to be one repeated touch."""

    at: datetime
    channel: str
    channel_rule: str
    utm: Mapping[str, str] = field(default_factory=dict)
    touch_id: str = ""

    @property
    def is_direct(self) -> bool:
        """Whether nothing says where from."""
        return self.channel == DIRECT

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Channel, source, medium and campaign."""
        utm = self.utm
        return (self.channel, utm.get("utm_source", ""), utm.get("utm_medium", ""), utm.get("utm_campaign", ""))


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is to be shared: `micros` are micro-units of whatever the value is in, negative for what was taken back."""

    at: datetime
    micros: int
    type: str = ""
    conversion_id: str = ""


def touch_of(
    at: datetime,
    utm: Mapping[str, str],
    *,
    clicks: Iterable[str] = (),
    referrer_host: str = "",
    channel: str = "",
    touch_id: str = "",
) -> Touch:
    """Return a touch; its channel is worked out unless it is known."""
    if channel:
        return Touch(at, channel, "given", utm, touch_id)
    known = [click_ids()[name] for name in clicks if name in click_ids()]
    found = classify(utm, clicks=known, referrer_host=referrer_host)
    return Touch(at, found.name, found.rule, utm, touch_id)


def micros_of(value: Decimal) -> int:
    """Return a value in micro-units. Raises InvalidRequest for one that has more than six decimals, or is too large."""
    if value.is_finite() and (not value or _LEAST_POWER <= value.adjusted() <= _GREATEST_POWER):
        numerator, denominator = value.as_integer_ratio()  # Decimal's own arithmetic would round to 28 digits
        micros, rest = divmod(numerator * MICROS, denominator)
        if not rest and abs(micros) <= LARGEST:
            return micros
    detail = "A value is a finite number with at most six decimals, up to 10^24."
    raise InvalidRequest(detail, fix="Round it.", errors=[FieldError("value", "micros", detail)])


def units_of(micros: int) -> Decimal:
    """Return micro-units as a value, exactly."""
    return Decimal(f"{micros}E-6")
