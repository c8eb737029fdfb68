"""Windows: which span of time an event's usage counts in. Computed from the event's own time, so nothing is ever reset.

A calendar window starts where its zone's clock says so; its key names the start as a moment, so that two zones, two anchors or
two hours of one name on a night when clocks change never share a counter. A rolling window is one counter of sub-buckets.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from northstar.errors import FieldError, InvalidRequest

LIFETIME: Final = "lifetime"
HOUR, DAY, WEEK, MONTH, QUARTER, YEAR = "hour", "day", "week", "month", "quarter", "year"
CALENDAR: Final = (HOUR, DAY, WEEK, MONTH, QUARTER, YEAR)
GRAMMAR: Final = (
    f"lifetime; a calendar window ({', '.join(CALENDAR)}) in an IANA zone; or a rolling one of 60 seconds to 400 days, "
    "such as 900s, 30m, 48h, 30d"
)
ANCHORS: Final = {
    DAY: "HH:MM, such as 06:00",
    WEEK: "the first day: mon, tue, wed, thu, fri, sat or sun",
    MONTH: "the first day of the month: 1 to 31, the last day where a month is shorter",
    QUARTER: "the first month of a quarter: 1 to 12",
    YEAR: "MM-DD, such as 04-01",
}
"""The anchors that a window may have, and what they say. Without one: midnight, Monday, the 1st, January, 1 January."""
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Exclusive. Beyond, windows would begin or end where dates do."""
SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 400 * 86_400
BUCKETS: Final = 100
"""Sub-buckets that a rolling window has at most. Usage leaves the window with its bucket: never early, at most one bucket
late."""

_ROLLING: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BUCKET_SECONDS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 7 * 86_400)
LEAP_YEAR: Final = 2028
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MONTH_DAY: Final = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@dataclass(frozen=True, slots=True)
class Window:
    """One span of time, start inclusive, end exclusive, in UTC. A lifetime has no bounds; a rolling window ends at `now`.

    `key` is its part of a counter's key, `label` for people. `bucket` is the sub-bucket of the event, where the window rolls.
    """

    key: str
    label: str
    start: datetime | None = None
    end: datetime | None = None
    bucket: int | None = None


@dataclass(frozen=True, slots=True)
class WindowRule:
    """A window as a policy states it, checked. Make one with `window_rule`."""

    text: str
    zone: str = "UTC"
    anchor: str = ""

    @property
    def rolls(self) -> bool:
        return self.text[-1] in _UNIT_SECONDS and self.text[0].isdigit()

    @property
    def seconds(self) -> int:
        """How long a rolling window is."""
        return int(self.text[:-1]) * _UNIT_SECONDS[self.text[-1]]

    @property
    def bucket_seconds(self) -> int:
        """How long a sub-bucket of a rolling window is."""
        return next(size for size in _BUCKET_SECONDS if self.seconds <= size * BUCKETS)

    def at(self, moment: datetime) -> Window:
        """Return the window that an event of this moment (aware) counts in.

        Raises InvalidRequest outside the years 1900 to 9000.
        """
        if not EARLIEST <= moment < LATEST:
            raise InvalidRequest(
                f"The time {moment.isoformat()} is not accepted: it lies outside the years 1900 to 9000.",
                fix="Send the time of the usage, or leave it out for now.",
                errors=[FieldError("at", "range", "The years 1900 to 9000 are accepted.")],
            )
        if self.text == LIFETIME:
            return Window(LIFETIME, LIFETIME)
        if self.rolls:
            end = moment.astimezone(UTC)
            bucket = int(end.timestamp()) // self.bucket_seconds
            start = end - timedelta(seconds=self.seconds)
            return Window(f"rolling-{self.seconds}s", f"last {self.text}", start, end, bucket)
        start, end, label = self._bounds(moment)
        return Window(f"{self.text}-{start:%Y%m%dT%H%M%SZ}", label, start, end)

    def is_in(self, moment: datetime, window: Window) -> bool:
        """Whether an event of this moment counts in this window, and where it rolls in its sub-bucket."""
        if window.bucket is not None:
            return int(moment.timestamp()) // self.bucket_seconds == window.bucket
        return window.start is None or window.end is None or window.start <= moment < window.end

    def before(self, window: Window) -> Window | None:
        """Return the calendar window that ends where this one starts, None where there is none."""
        if window.start is None or self.rolls:
            return None
        return self.at(window.start - timedelta(microseconds=1))

    def oldest_bucket(self, moment: datetime) -> int:
        """Return the first sub-bucket that reaches into the rolling window at this moment."""
        return (int(moment.timestamp()) - self.seconds) // self.bucket_seconds

    def leaves_at(self, bucket: int) -> datetime:
        """Return when a sub-bucket leaves the rolling window."""
        return datetime.fromtimestamp((bucket + 1) * self.bucket_seconds + self.seconds, UTC)

    def _bounds(self, moment: datetime) -> tuple[datetime, datetime, str]:
        zone = _zone(self.zone)
        if self.text == HOUR:
            return _hour(moment, zone)
        local = moment.astimezone(zone).date()
        # The clock's own reading may lie on the other side of a start that a change of clocks has moved: look on both sides.
        starts = [self._start(local, step) for step in (-1, 0, 1, 2)]
        moments = [_instant(start, self._clock, zone) for start in starts]
        place = max(index for index, start in enumerate(moments) if start <= moment)
        return moments[place], moments[place + 1], self._label(starts[place])

    @property
    def _clock(self) -> time:
        return time.fromisoformat(self.anchor) if self.text == DAY and self.anchor else time()

    def _start(self, local: date, step: int) -> date:
        """Return the local date on which the window that is `step` windows away from that of this date begins."""
        match self.text:
            case "day":
                return local + timedelta(days=step)
            case "week":
                first = _WEEKDAYS.index(self.anchor) if self.anchor else 0
                return local - timedelta(days=(local.weekday() - first) % 7) + timedelta(weeks=step)
            case "month":
                return _months_from(local, 1, 1, int(self.anchor or 1), step)
            case "quarter":
                return _months_from(local, 3, int(self.anchor or 1), 1, step)
            case _:
                month, day = map(int, (self.anchor or "01-01").split("-"))
                return _months_from(local, 12, month, day, step)

    def _label(self, start: date) -> str:
        match self.text:
            case "week":
                year, week, _ = start.isocalendar()
                return f"{year}-W{week:02}" if not self.anchor or self.anchor == "mon" else f"week of {start}"
            case "month":
                return f"{start:%Y-%m}"
            case "quarter":
                return (
                    f"{start.year}-Q{(start.month - 1) // 3 + 1}" if not self.anchor else f"quarter from {start:%Y-%m}"
                )
            case "year":
                return str(start.year) if not self.anchor else f"year from {start}"
            case _:
                return str(start)


def window_rule(text: str, zone: str = "UTC", anchor: str = "") -> WindowRule:
    """Return the rule. Raises InvalidRequest, naming the accepted forms, for another grammar, zone or anchor: all at once."""
    wrong = list(_wrong(text, zone, anchor))
    if wrong:
        raise InvalidRequest(
            " ".join(f"The budget's {one.field} is not valid: {one.detail}" for one in wrong),
            fix="Correct the field in `errors`.",
            errors=wrong,
        )
    return WindowRule(text, zone, anchor)


def _wrong(text: str, zone: str, anchor: str) -> Iterator[FieldError]:
    known = text == LIFETIME or text in CALENDAR or _is_rolling(text)
    if not known:
        yield FieldError("window", "grammar", f"{text[:40]!a} is no window. Accepted: {GRAMMAR}.")
    if not _is_zone(zone):
        accepted = "Accepted: UTC and IANA names such as Europe/Copenhagen."
        yield FieldError("timezone", "grammar", f"{zone[:60]!a} is no zone. {accepted}")
    if known and anchor and not _is_anchor(text, anchor):
        accepted = f"Accepted: {ANCHORS[text]}." if text in ANCHORS else f"A window {text} has none."
        yield FieldError("anchor", "grammar", f"{anchor[:40]!a} is no anchor of the window {text}. {accepted}")


def _is_rolling(text: str) -> bool:
    found = _ROLLING.fullmatch(text)
    return bool(found) and SHORTEST_SECONDS <= int(found[1]) * _UNIT_SECONDS[found[2]] <= LONGEST_SECONDS  # type: ignore[index]


def _is_zone(zone: str) -> bool:
    if not _ZONE.fullmatch(zone):
        return False
    try:
        _zone(zone)
    except (KeyError, ValueError, OSError):  # unknown, no key, a folder of the database
        return False
    return True


def _is_anchor(window: str, anchor: str) -> bool:
    match window:
        case "day":
            return bool(_CLOCK.fullmatch(anchor))
        case "week":
            return anchor in _WEEKDAYS
        case "month":
            return anchor.isascii() and anchor.isdecimal() and 1 <= int(anchor) <= 31
        case "quarter":
            return anchor.isascii() and anchor.isdecimal() and 1 <= int(anchor) <= 12
        case "year":
            return bool(_MONTH_DAY.fullmatch(anchor)) and int(anchor[3:]) <= monthrange(LEAP_YEAR, int(anchor[:2]))[1]
    return False


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _hour(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime, str]:
    """An hour of the zone's clock, counted back as a span: the second 02:00 of an autumn night is an hour of its own."""
    local = moment.astimezone(zone)
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = moment.astimezone(UTC) - into
    return start, start + timedelta(hours=1), f"{start.astimezone(zone):%Y-%m-%dT%H:%M%z}"


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The first moment at which the zone's clock reads so, or would have where it was moved past it."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


def _months_from(local: date, span: int, first_month: int, first_day: int, step: int) -> date:
    """Return the start of a window of `span` months, counted from (first_month, first_day), `step` windows on."""
    months = local.year * 12 + local.month - 1
    begun = months - (months - (first_month - 1)) % span
    if _clamped(begun, first_day) > local:
        begun -= span
    return _clamped(begun + step * span, first_day)


def _clamped(months: int, day: int) -> date:
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))


def bounds(window: Window) -> dict[str, Any]:
    """Return a window as an answer shows it."""
    return {"label": window.label, "start": window.start, "end": window.end}
