"""The values of a metric, the latest first told, drawn over the last hours or days."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.http import HttpResponse

from routing.admin.stores.pages import StorePage, store_page
from routing.admin.stores.visits import PAGE_SIZE, Visit
from routing.admin_site import STORES
from routing.charts import LINE_HEIGHT, LINE_WIDTH, Line, line
from storage.kinds.metric_buckets import Bucket
from storage.kinds.metric_reading import Span
from storage.kinds.metrics_store import MetricsStore

SPANS: Final = {
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 hours", timedelta(days=1)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
    "all": ("all time", None),
}
BUCKETS: Final = 60
"""Buckets of a chart at most."""


class MetricForm(forms.Form):
    """Which values of which metric."""

    metric = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}))
    tag = forms.CharField(
        required=False,
        label="Tag",
        widget=forms.TextInput(attrs={"placeholder": "region:eu", "autocomplete": "off"}),
    )
    span = forms.ChoiceField(required=False, choices=[(name, told) for name, (told, _) in SPANS.items()])

    def clean_tag(self) -> dict[str, str]:
        """Return the tag as the store takes it."""
        name, colon, value = self.cleaned_data["tag"].partition(":")
        if not colon and name:
            raise forms.ValidationError("Write a tag as name:value.")
        return {name: value} if name else {}


@store_page
class MetricsPage(StorePage):
    """Read-only: a value that happened is never changed."""

    slug = "metrics"
    title = "Metrics"
    section = STORES
    lead = "Values of a metric over time, and the latest."
    kind = "metrics_store"

    def show(self, visit: Visit) -> HttpResponse:
        """Show a metric."""
        query = {name: visit.asked(name) for name in ("metric", "tag", "span")}
        query["span"] = query["span"] if query["span"] in SPANS else "24h"
        form = MetricForm(query if query["metric"] else None, initial=query, auto_id="metric_%s")
        metrics: MetricsStore = visit.open()
        if not form.is_valid():
            return visit.answer("stores/metrics", form=form)
        return visit.answer("stores/metrics", form=form, **_shown(visit, metrics, query, form.cleaned_data["tag"]))


def _shown(visit: Visit, metrics: MetricsStore, query: dict[str, str], tags: dict[str, str]) -> dict[str, Any]:
    name, now = query["metric"], datetime.now(UTC)
    length = SPANS[query["span"]][1]
    start = now - length if length else None
    after = visit.after(*query.values())
    page = metrics.query(name, Span(start, None, after), tags, limit=PAGE_SIZE)
    return {
        "metric": name,
        "latest": metrics.latest(name, tags),
        "rows": page.values,
        "pager": visit.pager(after, page.next_after, query),
        "told_span": SPANS[query["span"]][0],
        **(_chart(metrics, name, tags, now, length) if length else {}),
    }


def _chart(metrics: MetricsStore, name: str, tags: dict[str, str], now: datetime, length: timedelta) -> dict[str, Any]:
    """Draw averages between the least and the greatest, per bucket of the span."""
    start, bucket = now - length, length / BUCKETS
    found = metrics.aggregate(name, ("min", "avg", "max", "count"), Span(start), tags, bucket=bucket, limit=BUCKETS + 1)
    drawn = _line(found.buckets, start, length)
    return {"chart": drawn, "chart_width": LINE_WIDTH, "chart_height": LINE_HEIGHT, "since": start} if drawn else {}


def _line(buckets: Sequence[Bucket], start: datetime, length: timedelta) -> Line | None:
    if len(buckets) < 2:
        return None
    places = []
    for bucket in buckets:
        assert bucket.start is not None
        x = min(max((bucket.start - start) / length, 0.0), 1.0)
        places.append((x, float(bucket.values["min"]), float(bucket.values["avg"]), float(bucket.values["max"])))
    return line(places)
