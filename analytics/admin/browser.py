"""What was counted of a tenant's records: over time, and by outcome, channel, campaign, platform and status."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django import forms
from django.http import HttpResponse

from analytics.admin.records import records_address
from analytics.admin.section import SECTION, SPAN_CHOICES, SPANS, bounds, span_named
from analytics.records.counters import tally_of
from analytics.records.ingest import analytics_store
from routing.admin.stores import StorePage, Visit, store_page
from routing.charts import BAR_WIDTH, COLUMN_STEP, COLUMNS_HEIGHT, Stack, stacks
from storage.kinds.analytics_counts import OUTCOMES
from storage.kinds.analytics_store import Summed

DIMENSIONS: Final = ("outcome", "channel", "utm_campaign", "platform", "status")
"""What the page counts by: one reading of the counters serves all."""
FILTERS: Final = ("app", "channel", "utm_campaign", "platform", "status", "outcome")
TITLES: Final = {
    "channel": "By channel",
    "utm_campaign": "By campaign",
    "platform": "By platform",
    "status": "By status",
    "outcome": "By outcome",
}
ROWS_SHOWN: Final = 10
ROW_OUTCOMES: Final = tuple(name for name in OUTCOMES if name != "duplicate")
"""Outcomes that have rows; a duplicate has none."""
HOURLY: Final = timedelta(days=2)
"""Spans up to this are drawn by the hour, longer ones by the day."""


class BrowserForm(forms.Form):
    """Which counts."""

    span = forms.ChoiceField(required=False, choices=SPAN_CHOICES)
    app = forms.CharField(required=False, max_length=256)


@dataclass(frozen=True, slots=True)
class CountRow:
    """A value with its count, its part of the whole, the length of its bar, and the page that shows it alone."""

    name: str
    count: int
    percent: int
    width: float
    address: str


@store_page
class AnalyticsPage(StorePage):
    """Read-only: counts are kept with the records."""

    slug = "summary"
    title = "Summary"
    section = SECTION
    lead = "Records counted over time and by channel, campaign, platform and status."
    kind = "analytics_store"
    by_surface = False

    def show(self, visit: Visit) -> HttpResponse:
        """Show the counts of a span."""
        span = span_named(visit.asked("span"))
        filters = {name: visit.asked(name) for name in FILTERS if visit.asked(name)}
        store = visit.opened(analytics_store(visit.context))
        start, end = bounds(span)
        bucket: Literal["hour", "day"] = "hour" if SPANS[span][1] <= HOURLY else "day"
        summed = store.summary(start, end, DIMENSIONS, bucket, filters)
        over_time = _over_time(summed, start, end, timedelta(hours=1) if bucket == "hour" else timedelta(days=1))
        query = {"span": span, **filters}
        return visit.answer(
            "analytics/browser",
            form=BrowserForm(query, auto_id="browse_%s"),
            filters=[(name, value, visit.address(**_without(query, name))) for name, value in filters.items()],
            total=sum(one.rows for one in summed),
            told_span=SPANS[span][0],
            tally=tally_of(visit.context, store, start, end).answer(),
            boxes=[(TITLES[name], name, _rows(visit, query, name, summed)) for name in TITLES],
            stacks=over_time,
            chart_width=len(over_time) * COLUMN_STEP,
            chart_height=COLUMNS_HEIGHT,
            outcomes=[(name, count) for name, count in _count(summed, "outcome").items()],
            to_records=records_address(visit, query),
        )


def _count(summed: Iterable[Summed], name: str) -> dict[str, int]:
    place, counts = DIMENSIONS.index(name), Counter[str]()
    for one in summed:
        counts[one.values[place] or ""] += one.rows
    return dict(counts.most_common())


def _rows(visit: Visit, query: Mapping[str, str], name: str, summed: list[Summed]) -> list[CountRow]:
    """Return the greatest counts of a dimension, each with the way to see it alone."""
    counts = _count(summed, name)
    total, longest = sum(counts.values()), max(counts.values(), default=0)
    return [
        CountRow(
            value or "(none)",
            count,
            round(100 * count / total),
            round(BAR_WIDTH * count / longest, 2),
            visit.address(**{**query, name: value}) if value else "",
        )
        for value, count in list(counts.items())[:ROWS_SHOWN]
    ]


def _over_time(summed: list[Summed], start: datetime, end: datetime, step: timedelta) -> list[Stack]:
    """Return a column for each bucket of the span, empty ones too, its parts by outcome."""
    counts: dict[datetime, Counter[str]] = defaultdict(Counter)
    for one in summed:
        counts[one.bucket][one.values[0] or ""] += one.rows
    moment = start.replace(minute=0, second=0, microsecond=0)
    if step >= timedelta(days=1):
        moment = moment.replace(hour=0)
    drawn: dict[str, dict[str, int]] = {}
    while moment < end and (moment <= end - timedelta(days=1) or moment in counts):
        label = f"{moment:%b %d %H:00}" if step < timedelta(days=1) else f"{moment:%b %d}"
        drawn[label] = {name: counts[moment][name] for name in ROW_OUTCOMES}
        moment += step
    return stacks(drawn)


def _without(query: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in query.items() if key != name}
