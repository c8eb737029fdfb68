"""Rules in words: an amount with its unit, what changed, how sure a figure is."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from django.utils.safestring import SafeString

from northstar.rendering import dumps
from routing.differences import differences
from routing.showing import BAD, GOOD, QUIET, WARN, state
from storage.kinds.rules_rows import Figure

_SURE: Final = {
    "confirmed": (GOOD, "At least two independent sources agree."),
    "single": (WARN, "One source says so."),
    "computed": (QUIET, "Computed from confirmed figures."),
    "inferred": (WARN, "Follows from a text, which does not say it."),
    "unverified": (BAD, "Nobody has looked."),
}
_PERCENT: Final = "rate"


def amount(figure: Figure | None) -> str:
    """Return a figure as people read it, with every digit that it has."""
    if figure is None:
        return "-"
    return written(figure.value, figure.unit)


def written(value: Decimal, unit: str) -> str:
    """Return a number with its unit: `$23,000`, `6.2 %`, `7 days`."""
    if unit == _PERCENT:
        return f"{_plain(value.scaleb(2))} %"
    if unit.startswith("USD"):
        per = unit.removeprefix("USD").replace("/", " a ")
        return f"{'-' if value < 0 else ''}${_plain(abs(value))}{per}"
    return f"{_plain(value)} {unit}"


def _plain(value: Decimal) -> str:
    """Return every digit, grouped, without an exponent."""
    return f"{value:,f}"


def sureness(verification: str) -> SafeString:
    """Return how well a figure is verified, in words and colour."""
    tone, title = _SURE[verification]
    return state(verification, tone, title)


class Dated(Protocol):
    """Something that holds on the days `[valid_from, valid_to)`."""

    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...


def days(of: Dated) -> str:
    """Return the days on which something holds, the last one named: `2024-01-01 to 2024-12-31`, `from 2025-01-01`, `always`."""
    begins = "" if of.valid_from.year == 1 else f"{of.valid_from}"
    if of.valid_to is None:
        return f"from {begins}" if begins else "always"
    last = of.valid_to - timedelta(days=1)
    return f"{begins} to {last}" if begins else f"until {last}"


def difference_of(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Return how two bodies differ, field by field, numbers with every digit."""
    return differences(_readable(before), _readable(after))


def _readable(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if body is None else json.loads(dumps(dict(body)))
