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
