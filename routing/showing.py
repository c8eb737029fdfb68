"""Small pieces of pages: a time with its age, a state in words and colour, a difference as a table. Everything is escaped."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from northstar.rendering import dumps

GOOD: Final = "good"
WARN: Final = "warn"
BAD: Final = "bad"
QUIET: Final = "quiet"

BRIEF: Final = 160
"""Characters of a value in a list."""

_JUST_NOW: Final = timedelta(seconds=5)
_STEPS: Final = (
    (timedelta(minutes=2), timedelta(seconds=1), "s"),
    (timedelta(hours=2), timedelta(minutes=1), "min"),
    (timedelta(days=2), timedelta(hours=1), "h"),
    (timedelta(days=60), timedelta(days=1), "days"),
    (timedelta(days=730), timedelta(days=30), "months"),
    (timedelta.max, timedelta(days=365), "years"),
)
"""Up to which distance a unit is used: one step before the next would read 1."""

_DIFFERENCE: Final = (
    "<table class='northstar-difference'><thead><tr><th scope='col'>Field</th><th scope='col'>{}</th>"
    "<th scope='col'>{}</th></tr></thead><tbody>{}</tbody></table>"
)


def age(then: datetime, now: datetime | None = None) -> str:
    """Return how long ago or ahead a time is, such as `3 min ago` or `in 5 days`."""
    distance = (now or datetime.now(UTC)) - then
    if abs(distance) < _JUST_NOW:
        return "now"
    size, unit = next((size, unit) for upto, size, unit in _STEPS if abs(distance) < upto)
    number = abs(distance) // size
    return f"{number} {unit} ago" if distance > timedelta() else f"in {number} {unit}"


def moment(then: datetime | None, missing: str = "-") -> SafeString:
    """Return a time in UTC with its age; `missing` stands for none."""
    if then is None:
        return format_html("<span class='northstar-none'>{}</span>", missing)
    at = then.astimezone(UTC)
    return format_html(
        "<time datetime='{}' title='{} UTC'>{} UTC <span class='northstar-age'>{}</span></time>",
        at.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S.%f}",
        f"{at:%Y-%m-%d %H:%M}",
        age(at),
    )


def state(words: str, tone: str, title: str = "") -> SafeString:
    """Return a state in words, coloured by its tone: GOOD, WARN, BAD or QUIET."""
    return format_html("<span class='northstar-state {}' title='{}'>{}</span>", tone, title, words)


def difference_table(rows: Iterable[tuple[str, str, str]], before: str = "Before", after: str = "After") -> SafeString:
    """Return a table of `(field, before, after)`, its columns headed as given; in words when nothing differs."""
    shown = format_html_join(
        "",
        "<tr><th scope='row'>{}</th><td class='northstar-before'>{}</td><td class='northstar-after'>{}</td></tr>",
        rows,
    )
    if not shown:
        return format_html("<p class='northstar-none'>{}</p>", "Nothing differs.")
    return format_html(_DIFFERENCE, before, after, shown)


def pretty(value: Any) -> str:
    """Return a stored value as JSON over several lines, as the API answers with it: exact decimals as text, bytes as base64."""
    return json.dumps(json.loads(dumps(value)), indent=2, ensure_ascii=False)


def said(value: Any) -> str:
    """Return a text as it is, and anything else as `pretty` does."""
    return value if isinstance(value, str) else pretty(value)


def brief(value: Any, characters: int = BRIEF) -> str:
    """Return a stored value as JSON on one line, cut off where it is long."""
    told = json.dumps(json.loads(dumps(value)), ensure_ascii=False)
    return told if len(told) <= characters else f"{told[:characters]}…"


def clock(text: str) -> SafeString | str:
    """Return a time that is kept as text, as `moment` shows one; any other text as it is."""
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        return text
