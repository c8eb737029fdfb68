"""What the control plane's calls take and give: strict models, so that an unknown field is refused and never ignored."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from northstar.inputs import PageSize, Timestamp

Name = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(max_length=10_000)]


class Strict(BaseModel):
    """Unknown fields are refused, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Why(Strict):
    """Why a change is made, and whether it may pass a strategy lock."""

    switch_rationale: Text = Field(
        default="", description="Why; required outside of lab when the data's place changes."
    )
    override_lock: bool = Field(
        default=False,
        description="Pass a strategy lock: needs the scope routes:override and a switch_rationale, and is audited.",
    )


class RouteEdit(Why):
    """The fields of a route that may change; those that are left out stay as they are."""

    backend_type: Name = Field(default="", validate_default=False, description="Any case; see GET /routing/kinds.")
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="Replaces the whole config. A secret that is left out or `****` is kept; null removes it.",
    )
    tier: Annotated[str, Field(max_length=64)] = ""
    cost_notes: Text = ""
    enabled: bool = True


class RouteIn(RouteEdit):
    """A whole route. Tenant and environment come from the context when they are left out."""

    resource_kind: Name
    backend_type: Name = Field(description="Any case; see GET /routing/kinds.")
    tenant_id: Name | None = None
    env: Name | None = None
    project_id: Name | None = None


class RouteOut(BaseModel):
    """A route as anybody with access may see it: secrets in `config` are `****`."""

    id: int
    resource_kind: str
    tenant_id: str
    env: str
    project_id: str | None
    backend_type: str
    config: dict[str, Any]
    tier: str
    cost_notes: str
    previous_backend_type: str | None
    switch_rationale: str
    last_switch_time: datetime | None
    revision: int
    enabled: bool
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class PageQuery(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: PageSize = 100
    cursor: str | None = None


class RouteQuery(PageQuery):
    """Which routes. The names of a route's own fields are understood too: `resource_kind`, `tenant_id` and so on."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    resource_kind: Annotated[str | None, Field(alias="kind")] = None
    tenant_id: Annotated[str | None, Field(alias="tenant")] = None
    env: str | None = None
    project_id: Annotated[str | None, Field(alias="project")] = None
    backend_type: Annotated[str | None, Field(alias="backend")] = None


class AuditQuery(PageQuery):
    """Which audit rows, the newest first."""

    route: int | None = None
    actor: str | None = None
    since: Timestamp | None = None
    tenant_id: str | None = None


class UndoQuery(BaseModel):
    """Why something is removed or released: a DELETE has no body."""

    model_config = ConfigDict(extra="forbid")

    switch_rationale: Annotated[str, Field(max_length=2000, description="Why.")] = ""
    override_lock: Annotated[
        bool, Field(description="Pass a strategy lock: needs the scope routes:override and a switch_rationale.")
    ] = False


class KindQuery(BaseModel):
    """Which resource kind."""

    model_config = ConfigDict(extra="forbid")

    resource_kind: str


class ListedRouteOut(RouteOut):
    """A route in a list. `health` is what its last probe saw: ok, failing, or unknown before the first."""

    health: str
    probed_at: datetime | None


class RoutePage(BaseModel):
    """One page of routes."""

    items: list[ListedRouteOut]
    next_cursor: str | None


class ChangeOut(BaseModel):
    """One row of the audit trail."""

    change_id: str
    at: datetime
    actor: str
    action: str
    subject: str
    route_id: int | None
    resource_kind: str
    tenant_id: str
    env: str
    project_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    rationale: str
    request_id: str
    previous_hash: str
    hash: str


class ChangePage(BaseModel):
    """One page of the audit trail."""

    items: list[ChangeOut]
    next_cursor: str | None


class StepOut(BaseModel):
    """A step that was done: write, read, list or delete."""

    name: str
    milliseconds: float


class ProbeOut(BaseModel):
    """What a probe saw. Where it is not `ok`, `error_code`, `error` and `fix` say why the step after the last one failed."""

    ok: bool
    at: datetime
    steps: list[StepOut]
    error_code: str
    error: str
    fix: str


class ChainOut(BaseModel):
    """Whether the hash chain holds. Where it breaks, and how long it is, is for operators."""

    ok: bool
    reason: str
    rows: int | None
    first_broken: str | None


class BackendOut(BaseModel):
    """A backend of a kind: whether a driver has landed, whether the caller's mode allows it, what it takes and can."""

    backend_type: str
    title: str
    backend_class: str
    available: bool
    allowed: bool
    config_schema: dict[str, Any] | None
    limits: dict[str, Any] | None


class KindOut(BaseModel):
    """A resource kind with every backend that could serve it."""

    resource_kind: str
    title: str
    primitive: str
    needs: dict[str, Any]
    backends: list[BackendOut]


class KindPage(BaseModel):
    """All kinds."""

    items: list[KindOut]
    next_cursor: None = None


class CandidateOut(BaseModel):
    """A route that was looked at. `verdict` is chosen, missing, disabled, shadowed, refused or elsewhere."""

    verdict: str
    reason: str
    env: str
    project_id: str | None
    route_id: int | None
    revision: int | None
    backend_type: str | None


class ErrorOut(BaseModel):
    """What an operation would answer instead."""

    error_code: str
    detail: str
    fix: str


class ExplanationOut(BaseModel):
    """Which route serves a kind in the caller's context, and why not another."""

    resource_kind: str
    tenant_id: str
    env: str
    project_id: str | None
    mode: str
    snapshot_revision: int
    route_id: int | None
    revision: int | None
    backend_type: str | None
    candidates: list[CandidateOut]
    error: ErrorOut | None
