"""What the calls of analytics records take and give."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from analytics.records.instants import EARLIEST
from analytics.records.shapes import Platform, RecordFields, Status
from northstar.inputs import PageSize, Timestamp
from storage.kinds.analytics_counts import DIMENSIONS
from storage.kinds.analytics_rows import StoredRow

Outcome = Literal["stored", "duplicate", "conflict", "quarantined", "rejected", "spooled"]
RowOutcome = Literal["stored", "conflict", "quarantined", "rejected"]
NOT_SHOWN = frozenset({"claim", "sent"})
"""Fields of a row that are the store's own."""


class AnalyticsRecordIn(RootModel[RecordFields]):
    """One record."""


class RecordsIn(BaseModel):
    """Records that are judged and kept each for itself. `sent_at` stands for all that bring none of their own."""

    records: Annotated[list[RecordFields], Field(min_length=1, max_length=5000)]
    sent_at: str | None = None


class IngestIn(RootModel[RecordFields | RecordsIn]):
    """One record, or several; `application/x-ndjson` is taken too, a record a line."""


class WrongField(BaseModel):
    """One wrong field."""

    field: str
    code: str
    detail: str


class RecordOutcomeOut(BaseModel):
    """What became of one record. `row_id` names its row; of a duplicate, the row that it repeats; none while it is spooled."""

    outcome: Outcome
    analytics_id: str
    row_id: str | None
    gate: str | None = None
    error_code: str | None = None
    detail: str | None = None
    fix: str | None = None
    errors: list[WrongField] | None = None
    findings: list[dict[str, Any]] | None = None
    conflicts_with: str | None = None


class OutcomesOut(BaseModel):
    """One outcome per record in the order given, and how many had each."""

    items: list[RecordOutcomeOut]
    counts: dict[str, int]


class IngestOut(RootModel[RecordOutcomeOut | OutcomesOut]):
    """The answer in the form in which the records came."""


class AnalyticsRecordOut(BaseModel):
    """A row: what was sent, the times, and what was made of it. Further fields stand in it where they were sent or matter."""

    model_config = ConfigDict(extra="allow")

    row_id: str
    analytics_id: str
    outcome: RowOutcome
    status: Status
    platform: Platform | None
    timestamp: datetime
    corrected_at: datetime
    created_at: datetime
    payload: Any


class AnalyticsRecordPageOut(BaseModel):
    """Rows by `corrected_at`, the earliest first."""

    items: list[AnalyticsRecordOut]
    next_cursor: str | None


class RangeQuery(BaseModel):
    """A half-open range of time: start <= corrected_at < end. Without them, everything."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[Timestamp | None, Field(description="The first instant.")] = None
    end: Annotated[Timestamp | None, Field(description="The first instant after the range.")] = None

    def span(self) -> tuple[datetime, datetime]:
        return self.start or EARLIEST, self.end or datetime.now(UTC) + timedelta(days=1)


class DimensionsQuery(RangeQuery):
    """A range of time, and what rows must say."""

    app: str | None = None
    channel: str | None = None
    outcome: RowOutcome | None = None
    platform: Platform | None = None
    status: Status | None = None
    utm_campaign: str | None = None
    utm_content: str | None = None
    utm_medium: str | None = None
    utm_source: str | None = None
    utm_term: str | None = None


class RecordsQuery(DimensionsQuery):
    """Which rows."""

    analytics_id: str | None = None
    request_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    surface: str | None = None
    user_id: str | None = None
    limit: PageSize = 100
    cursor: str | None = None

    def filters(self) -> dict[str, Any]:
        return self.model_dump(exclude={"start", "end", "limit", "cursor"}, exclude_none=True)


class RunQuery(BaseModel):
    """Which part of a run."""

    model_config = ConfigDict(extra="forbid")

    limit: PageSize = 100
    cursor: str | None = None


class SummaryQuery(DimensionsQuery):
    """What to count rows by. Only whole hours are counted: the range grows to those that it touches."""

    by: Annotated[str, Field(description=f"One or two of {', '.join(DIMENSIONS)}, with a comma between them.")]
    bucket: Literal["hour", "day", "week"] = "day"

    @field_validator("by")
    @classmethod
    def _known(cls, given: str) -> str:
        names = given.split(",")
        if not 1 <= len(names) <= 2 or len(set(names)) < len(names) or not set(names) <= set(DIMENSIONS):
            raise ValueError(f"Give one or two different ones of {', '.join(DIMENSIONS)}, with a comma between them.")
        return given

    @property
    def dimensions(self) -> list[str]:
        return self.by.split(",")

    def filters(self) -> dict[str, Any]:
        return self.model_dump(exclude={"start", "end", "by", "bucket"}, exclude_none=True)


class SummedOut(BaseModel):
    """Rows and distinct sessions of one bucket (named by its first instant) with the same values."""

    model_config = ConfigDict(extra="allow")

    bucket: datetime
    count: int
    sessions: int


class SummaryOut(BaseModel):
    """Counts by bucket and values, in their order; `start` and `end` are the whole hours that were counted."""

    items: list[SummedOut]
    by: list[str]
    bucket: str
    start: datetime
    end: datetime


class CountersOut(BaseModel):
    """What became of what was submitted: received = stored + duplicate + conflict + quarantined + rejected + spooled.

    `spooled` is what waits on the machine that answers. `replayed` rows were submitted before.
    """

    received: int
    stored: int
    duplicate: int
    conflict: int
    quarantined: int
    rejected: int
    spooled: int
    replayed: int
    balanced: bool


class ReplayIn(BaseModel):
    """Which rows to judge again: those named, or those of a range that a gate kept from being counted, some at a time."""

    model_config = ConfigDict(extra="forbid")

    row_ids: Annotated[list[str] | None, Field(min_length=1, max_length=1000)] = None
    start: Timestamp | None = None
    end: Timestamp | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 500
    cursor: str | None = None


class ReplayedOut(BaseModel):
    """What became of one row. `replayed_as` is the row that came in, now or before."""

    row_id: str
    analytics_id: str
    result: Literal["stored", "already_stored", "still_refused", "not_replayable"]
    replayed_as: str | None
    error_code: str | None
    detail: str | None


class ReplayOut(BaseModel):
    """One result per row. `next_cursor` goes on in the range."""

    items: list[ReplayedOut]
    next_cursor: str | None


def row_answer(stored: StoredRow) -> dict[str, Any]:
    """A row as it is answered."""
    return {"row_id": stored.row_id} | {name: value for name, value in stored.row.items() if name not in NOT_SHOWN}
