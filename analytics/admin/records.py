"""Records of a tenant as they were kept: a list, each whole with its findings, and a run in the order of its steps."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from analytics.admin.section import SECTION, SPAN_CHOICES, bounds, span_named
from analytics.api.record_bodies import NOT_SHOWN
from analytics.records.ingest import analytics_store
from northstar.errors import NotFound
from routing.admin.stores import PAGE_SIZE, StorePage, Visit, store_page
from storage.kinds.analytics_rows import StoredRow

OUTCOMES: Final = ("stored", "quarantined", "rejected", "conflict")
FILTERS: Final = (
    "outcome",
    "app",
    "platform",
    "status",
    "channel",
    "utm_campaign",
    "run_id",
    "session_id",
    "analytics_id",
)
APART: Final = frozenset({*NOT_SHOWN, "payload", "findings", "rewrites", "refusal", "submitted"})
"""Fields that the detail page shows in a place of their own."""
RUN_ROWS: Final = 1000


class RecordsForm(forms.Form):
    """Which records."""

    span = forms.ChoiceField(required=False, choices=SPAN_CHOICES)
    outcome = forms.ChoiceField(required=False, choices=[("", "all"), *((name, name) for name in OUTCOMES)])
    app = forms.CharField(required=False, max_length=256)
    channel = forms.CharField(required=False, max_length=256)
    utm_campaign = forms.CharField(required=False, max_length=2048, label="Campaign")
    run_id = forms.CharField(required=False, max_length=256, label="Run")
    session_id = forms.CharField(required=False, max_length=256, label="Session")
    analytics_id = forms.CharField(required=False, max_length=128, label="Id")


@store_page
class RecordsPage(StorePage):
    """Read-only: what was kept is never changed."""

    slug = "records"
    title = "Records"
    section = SECTION
    lead = "Records as they were kept, with what gates and contracts said of them."
    kind = "analytics_store"
    by_surface = False
    views: ClassVar[dict[str, str]] = {"record": "record", "run": "run"}

    def show(self, visit: Visit) -> HttpResponse:
        """List the records of a span, the earliest first."""
        query = {"span": span_named(visit.asked("span")), **_filters(visit)}
        store = visit.opened(analytics_store(visit.context))
        after = visit.after(*query.values())
        start, end = bounds(query["span"])
        found = store.rows(start, end, _filters(visit), limit=PAGE_SIZE, after=tuple(after) if after else None)
        return visit.answer(
            "analytics/records",
            form=RecordsForm(query, auto_id="records_%s"),
            rows=_listed(visit, found.rows),
            pager=visit.pager(after, list(found.after) if found.after else None, query),
        )

    def record(self, visit: Visit) -> HttpResponse:
        """Show one record whole."""
        store = visit.opened(analytics_store(visit.context))
        stored = store.row(visit.asked("row"))
        if stored is None:
            raise NotFound(f"There is no record {visit.asked('row')[:100]!a}.", fix="Open it from the list.")
        row = stored.row
        facts = [(name, value) for name, value in row.items() if name not in APART and value is not None]
        run = row.get("run_id")
        return visit.answer(
            "analytics/record",
            row["analytics_id"],
            row=row,
            row_id=stored.row_id,
            facts=facts,
            to_run=visit.address("run", run=run) if run else "",
        )

    def run(self, visit: Visit) -> HttpResponse:
        """Show the records of a run in the natural order of their steps."""
        run = visit.asked("run")
        rows = visit.opened(analytics_store(visit.context)).run(run)
        return visit.answer(
            "analytics/run", f"Run {run}", rows=_listed(visit, rows[:RUN_ROWS]), total=len(rows), shown=RUN_ROWS
        )


def records_address(visit: Visit, query: Mapping[str, str]) -> str:
    """Return the address of the list at the place of another page's visit, with those of its filters that it has."""
    kept = {name: value for name, value in query.items() if name in {"span", *FILTERS}}
    return f"{reverse('admin:stores_records')}?{urlencode(visit.place.query | kept)}"


def _filters(visit: Visit) -> dict[str, str]:
    return {name: visit.asked(name).strip() for name in FILTERS if visit.asked(name).strip()}


def _listed(visit: Visit, rows: Iterable[StoredRow]) -> list[tuple[dict[str, Any], str]]:
    return [(stored.row, visit.address("record", row=stored.row_id)) for stored in rows]
