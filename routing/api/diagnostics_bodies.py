"""What the diagnostics take and give."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from northstar.inputs import PlainInt
from routing.api.bodies import ProbeOut, RouteQuery
from routing.operations.usage import KEPT_DAYS

Days = Annotated[PlainInt, Field(ge=1, le=KEPT_DAYS)]


class DiagnosticsQuery(RouteQuery):
    """Which routes, and the usage of how many days (UTC), today included."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    days: Days = 2


class FailureOut(BaseModel):
    """The last time that a request heard an error of the service, redacted."""

    at: datetime
    operation: str
    error_code: str
    error: str


class UsageOut(BaseModel):
    """What requests used since a day. `errors` are failures of the service; a conflict is a good answer. Units as in docs."""

    since: date
    operations: int
    errors: int
    bytes_in: int
    bytes_out: int
    documents_read: int
    documents_written: int
    documents_deleted: int
    read_units: int
    write_units: int
    object_reads: int
    object_writes: int


class LatencyOut(BaseModel):
    """Milliseconds within which a share of the operations ended, retries included, from a histogram of fixed places."""

    p50: float
    p95: float
    p99: float


class CostLineOut(BaseModel):
    """Some units at a list price."""

    measure: str
    count: int
    per: int
    price: str
    amount: str
    terms: str
    source: str
    source_date: str | None
    confidence: str


class CostOut(BaseModel):
    """An estimate, never a bill. `amount` is null where no price is known; `note` says why, else what is not included."""

    currency: str
    amount: str | None
    lines: list[CostLineOut]
    note: str


class QuotaOut(BaseModel):
    """One budget in the window that is on: decimal texts; `limit` is null where there is none."""

    provider: str
    metric: str
    level: str
    window: str
    used: str
    reserved: str
    limit: str | None


class QuotasOut(BaseModel):
    """The budgets that count over a tabular route, as they were at a time."""

    at: datetime
    items: list[QuotaOut]


class DiagnosisOut(BaseModel):
    """One route: how it does, what it used, what it may hold, what it costs."""

    route_id: int
    resource_kind: str
    tenant_id: str
    env: str
    project_id: str | None
    backend_type: str
    enabled: bool
    revision: int
    tier: str
    cost_notes: str
    health: Literal["ok", "failing", "unknown"]
    probe: ProbeOut | None
    failures_in_a_row: int
    next_probe_at: datetime | None
    last_error: FailureOut | None
    usage: UsageOut
    latency_ms: LatencyOut | None
    limits: dict[str, Any]
    estimated_cost: CostOut
    quotas: QuotasOut | None = None


class ProcessOut(BaseModel):
    """A server process: which snapshot revision it has, since when, and when it said so."""

    name: str
    role: str
    started_at: datetime
    revision: int
    revision_since: datetime
    seen_at: datetime


class AnsweringOut(BaseModel):
    """The process that answers."""

    name: str
    revision: int
    revision_since: datetime


class DiagnosticsPage(BaseModel):
    """One page of routes, the process that answers, and, for operators, all processes that were heard of lately."""

    items: list[DiagnosisOut]
    next_cursor: str | None
    answered_by: AnsweringOut
    processes: list[ProcessOut] | None
