"""Records: take them in, list them by time, replay a run, count them, judge again what was kept from being counted."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.record_bodies import (
    AnalyticsRecordOut,
    AnalyticsRecordPageOut,
    CountersOut,
    IngestIn,
    IngestOut,
    RangeQuery,
    RecordsQuery,
    ReplayIn,
    ReplayOut,
    RunQuery,
    SummaryOut,
    SummaryQuery,
    row_answer,
)
from analytics.records.bodies import NDJSON, read_records
from analytics.records.counters import tally_of
from analytics.records.ingest import analytics_store, ingest
from analytics.records.outcomes import CONFLICT, DUPLICATE, QUARANTINED, REJECTED, SPOOLED, Outcome
from analytics.records.replaying import is_replayable, replay, replay_claim
from northstar.api import page
from northstar.errors import Conflict, NorthstarError, NotFound
from northstar.idempotency import IdempotentPost
from northstar.inputs import check_json_type
from routing.api.description import parameters_of
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.cursors import seal, unseal
from storage.kinds.analytics_rows import StoredRow
from storage.kinds.analytics_store import AnalyticsStore

BATCH_BYTES: Final = 5 * 1024 * 1024
_LAST_HOUR: Final = datetime.max.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
_STATUS: Final = {DUPLICATE: 200, QUARANTINED: 202, SPOOLED: 202}
"""Of the answer to a single record; a stored one is 201."""


class IdTaken(Conflict):
    """Another record with this id is stored, and says something else; both were kept."""

    retryable = False

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(
            f"The analytics_id {outcome.analytics_id!a} belongs to a record that says something else; both were kept.",
            fix="Give each record an id of its own; send a record again exactly as it was.",
        )
        self._outcome = outcome

    def facts(self) -> dict[str, Any]:
        return {"outcome": CONFLICT, "row_id": self._outcome.row_id, "conflicts_with": self._outcome.conflicts_with}


class RecordView(DataView):
    """A view over the analytics store of the context."""

    def records(self) -> AnalyticsStore:
        """Open the store. Raises as `open_store`."""
        store = analytics_store(self.context)
        self._served, self._store = store.served_by, store
        return store


class RecordsView(IdempotentPost, RecordView):
    """The records of the context's tenant, environment and project."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "analytics:write"}
    max_json_bytes: ClassVar[int] = BATCH_BYTES

    @extend_schema(
        operation_id="ingest_records", request=IngestIn, responses={200: IngestOut, 201: IngestOut, 202: IngestOut}
    )
    def post(self, request: Request) -> Response:
        """Take in one record, `{"records": […]}`, a list, or NDJSON: at most 5000 records and 5 MiB.

        Each record is kept once and has exactly one outcome. A single record that a gate refuses is kept, and answered with the
        gate's own error; a batch is answered 200 with an outcome per record, or 202 when its store is away and it was spooled.
        """
        media_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if media_type not in NDJSON:
            check_json_type(request)
        submitted = read_records(self.raw_body(), media_type)
        outcomes = ingest(
            self.records(),
            self.context,
            submitted.records,
            sent_at=submitted.sent_at,
            operation_id=self.operation_id,
        )
        return _one(outcomes[0]) if submitted.alone else _many(outcomes)

    @extend_schema(
        operation_id="list_analytics_records",
        parameters=parameters_of(RecordsQuery),
        responses={200: AnalyticsRecordPageOut},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List rows of a half-open range of time, the earliest first; each filter must fit."""
        query = self.query(RecordsQuery)
        store, filters = self.records(), query.filters()
        binding = _binding(store, filters, query)
        after = None if query.cursor is None else tuple(unseal("analytics_records", binding, query.cursor))
        start, end = query.span()
        found = store.rows(start, end, filters, limit=query.limit, after=after)
        cursor = None if found.after is None else seal("analytics_records", binding, list(found.after))
        return page([row_answer(stored) for stored in found.rows], cursor)


class OneRecordView(RecordView):
    """One row."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_analytics_record", responses={200: AnalyticsRecordOut})
    def get(self, request: Request, row_id: str) -> Response:  # noqa: ARG002
        """Read one row by its `row_id`; `replayed_as` names the row that a replay made of it."""
        store = self.records()
        stored = store.row(row_id)
        if stored is None:
            raise NotFound(f"There is no row {row_id[:100]!a}.")
        told = row_answer(stored)
        if is_replayable(stored.row):
            claim = replay_claim(stored)
            holder = store.holders([claim]).get(claim)
            told["replayed_as"] = holder.row_id if holder else None
        return Response(told)


class RunView(RecordView):
    """The rows of one run."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="get_analytics_run", parameters=parameters_of(RunQuery), responses={200: AnalyticsRecordPageOut}
    )
    def get(self, request: Request, run_id: str) -> Response:  # noqa: ARG002
        """List the rows of a run in the natural order of their steps: 1, 2, … 10."""
        query = self.query(RunQuery)
        store = self.records()
        binding = (*store.scope.parts, run_id)
        start = 0 if query.cursor is None else int(unseal("analytics_run", binding, query.cursor))
        rows = store.run(run_id)
        end = start + query.limit
        cursor = seal("analytics_run", binding, end) if end < len(rows) else None
        return page([row_answer(stored) for stored in rows[start:end]], cursor)


class SummaryView(RecordView):
    """Counts of rows."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="summarise_analytics", parameters=parameters_of(SummaryQuery), responses={200: SummaryOut}
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Count rows and distinct sessions by one or two dimensions per hour, day or ISO week, in UTC, from counters."""
        query = self.query(SummaryQuery)
        start, end = query.span()
        first, last = _whole_hours(start, end)
        summed = self.records().summary(start, end, query.dimensions, query.bucket, query.filters())
        items = [
            {
                "bucket": one.bucket,
                **dict(zip(query.dimensions, one.values, strict=True)),
                "count": one.rows,
                "sessions": one.sessions,
            }
            for one in summed
        ]
        return Response({"items": items, "by": query.dimensions, "bucket": query.bucket, "start": first, "end": last})


class CountersView(RecordView):
    """What became of what was submitted."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="analytics_counters", parameters=parameters_of(RangeQuery), responses={200: CountersOut}
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Tell how many records had each outcome: received is always their sum. Only whole hours are counted."""
        start, end = self.query(RangeQuery).span()
        return Response(tally_of(self.context, self.records(), start, end).answer())


class ReplayView(IdempotentPost, RecordView):
    """Rows judged again."""

    scopes: ClassVar[dict[str, str]] = {"POST": "analytics:write"}

    @extend_schema(operation_id="replay_records", request=ReplayIn, responses={200: ReplayOut})
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Judge quarantined rows, and rows that a gate refused, by what holds now; those that pass come in, each once."""
        body = self.body(ReplayIn)
        store = self.records()
        rows, cursor = self._rows(store, body)
        return page(replay(self.context, store, rows), cursor)

    def _rows(self, store: AnalyticsStore, body: ReplayIn) -> tuple[Sequence[StoredRow], str | None]:
        if body.row_ids is not None:
            found = {row_id: store.row(row_id) for row_id in dict.fromkeys(body.row_ids)}
            missing = [row_id for row_id, stored in found.items() if stored is None]
            if missing:
                raise NotFound(f"There is no row {missing[0][:100]!a}.")
            return [stored for stored in found.values() if stored], None
        binding = (*store.scope.parts, str(body.start), str(body.end))
        after = None if body.cursor is None else tuple(unseal("analytics_replay", binding, body.cursor))
        start, end = RangeQuery(start=None, end=None).span()
        span = (body.start or start, body.end or end)
        found_page = store.rows(*span, {}, limit=body.limit, after=after)
        cursor = None if found_page.after is None else seal("analytics_replay", binding, list(found_page.after))
        return [stored for stored in found_page.rows if is_replayable(stored.row)], cursor


def _one(outcome: Outcome) -> Response:
    if outcome.outcome == REJECTED and outcome.refusal:
        error: NorthstarError = outcome.refusal.error
        raise error
    if outcome.outcome == CONFLICT:
        raise IdTaken(outcome)
    return Response(outcome.answer(), status=_STATUS.get(outcome.outcome, 201))


def _many(outcomes: list[Outcome]) -> Response:
    counts = Counter(outcome.outcome for outcome in outcomes)
    status = 202 if counts[SPOOLED] else 200
    return Response({"items": [outcome.answer() for outcome in outcomes], "counts": counts}, status=status)


def _binding(store: AnalyticsStore, filters: dict[str, Any], query: RecordsQuery) -> tuple[str, ...]:
    asked = (f"{name}={value}" for name, value in sorted(filters.items()))
    return (*store.scope.parts, str(query.start), str(query.end), *asked)


def _whole_hours(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    first = start.replace(minute=0, second=0, microsecond=0)
    last = end.replace(minute=0, second=0, microsecond=0)
    if last == end:
        return first, last
    return first, end if last >= _LAST_HOUR else last + timedelta(hours=1)


urlpatterns: list[URLPattern] = [
    path("analytics/records", RecordsView.as_view(), name="analytics-records"),
    path("analytics/records/replay", ReplayView.as_view(), name="analytics-replay"),
    path("analytics/records/<key:row_id>", OneRecordView.as_view(), name="analytics-record"),
    path("analytics/runs/<key:run_id>", RunView.as_view(), name="analytics-run"),
    path("analytics/summary", SummaryView.as_view(), name="analytics-summary"),
    path("analytics/counters", CountersView.as_view(), name="analytics-counters"),
]
