"""Charts as numbers for server-side SVG: templates draw them, style sheets colour them, no script is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

BAR_WIDTH: Final = 100.0
COLUMN_STEP: Final = 20
COLUMNS_HEIGHT: Final = 64
LINE_WIDTH: Final = 600
LINE_HEIGHT: Final = 90


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar: `x` and `width` in hundredths of the longest bar."""

    name: str
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart with its parts."""

    name: str
    total: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A day of a column chart: `others` stand below `marked`, heights and tops in the chart's own units."""

    day: date
    marked: int
    others: int
    x: int
    marked_height: float
    marked_top: float
    others_height: float
    others_top: float


def bars(counts: Mapping[str, Mapping[str, int]]) -> list[Bar]:
    """Return a stacked bar for each row of counts, in the order given, to one common scale."""
    longest = max((sum(parts.values()) for parts in counts.values()), default=0)
    return [Bar(name, sum(parts.values()), _segments(parts, longest)) for name, parts in counts.items()]


def _segments(parts: Mapping[str, int], longest: int) -> tuple[Segment, ...]:
    segments, x = [], 0.0
    for name, count in parts.items():
        width = round(BAR_WIDTH * count / longest, 2) if longest else 0.0
        segments.append(Segment(name, count, x, width))
        x = round(x + width, 2)
    return tuple(segments)


def columns(days: Sequence[tuple[date, int, int]]) -> list[Column]:
    """Return a column for each `(day, marked, others)`, to one common scale."""
    highest = max((marked + others for _, marked, others in days), default=0) or 1
    return [_column(number, *day, highest) for number, day in enumerate(days)]


def _column(number: int, day: date, marked: int, others: int, highest: int) -> Column:
    below = round(COLUMNS_HEIGHT * others / highest, 2)
    above = round(COLUMNS_HEIGHT * marked / highest, 2)
    return Column(
        day=day,
        marked=marked,
        others=others,
        x=number * COLUMN_STEP,
        marked_height=above,
        marked_top=round(COLUMNS_HEIGHT - below - above, 2),
        others_height=below,
        others_top=round(COLUMNS_HEIGHT - below, 2),
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A line over a band, in units of LINE_WIDTH and LINE_HEIGHT: texts for the `points` of SVG, and the ends of the scale."""

    points: str
    band: str
    lowest: float
    highest: float


def line(places: Sequence[tuple[float, float, float, float]]) -> Line:
    """Return a line through `(x, low, middle, high)`: x from 0 to 1, the values to one scale that begins at 0 or below."""
    lowest = min(0.0, *(low for _, low, _, _ in places)) if places else 0.0
    highest = max(0.0, *(high for _, _, _, high in places)) if places else 0.0
    span = highest - lowest or 1.0

    def at(x: float, value: float) -> str:
        return f"{round(x * LINE_WIDTH, 2)},{round(LINE_HEIGHT * (1 - (value - lowest) / span), 2)}"

    upper = [at(x, high) for x, _, _, high in places]
    lower = [at(x, low) for x, low, _, _ in reversed(places)]
    return Line(" ".join(at(x, middle) for x, _, middle, _ in places), " ".join(upper + lower), lowest, highest)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a stack: `top` and `height` in the units of COLUMNS_HEIGHT."""

    name: str
    count: int
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Stack:
    """A column made of parts, the first at the bottom."""

    label: str
    total: int
    x: int
    parts: tuple[Part, ...]


def stacks(counts: Mapping[str, Mapping[str, int]]) -> list[Stack]:
    """Return a column for each row of counts, in the order given, to one common scale."""
    highest = max((sum(parts.values()) for parts in counts.values()), default=0) or 1
    return [
        Stack(label, sum(parts.values()), number * COLUMN_STEP, _stacked(parts, highest))
        for number, (label, parts) in enumerate(counts.items())
    ]


def _stacked(counts: Mapping[str, int], highest: int) -> tuple[Part, ...]:
    parts, top = [], float(COLUMNS_HEIGHT)
    for name, count in counts.items():
        height = round(COLUMNS_HEIGHT * count / highest, 2)
        top = round(top - height, 2)
        parts.append(Part(name, count, top, height))
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class Gauge:
    """What is used and held of a limit, in hundredths of the bar; `limit` and `marks` are places on it, None without a limit."""

    used: float
    held: float
    limit: float | None
    marks: tuple[float, ...]


def gauge(used: int, held: int, limit: int | None, marks: Sequence[int] = ()) -> Gauge:
    """Return a bar as long as the greatest of the limit, the marks and what is taken."""
    whole = max(used + held, limit or 0, *marks) if marks else max(used + held, limit or 0)

    def place(value: int) -> float:
        return round(BAR_WIDTH * max(value, 0) / whole, 2) if whole else 0.0

    return Gauge(place(used), place(held), None if limit is None else place(limit), tuple(map(place, marks)))
