"""What the verbs on routes take and give: switch, rollback, lock, history, the view over all tenants."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from northstar.inputs import Timestamp
from routing.api.bodies import ChangeOut, Name, PageQuery, ProbeOut, RouteOut, Strict, Text, Why


class SwitchIn(Why):
    """Where the route is to lead, and why."""

    backend_type: Name = Field(description="Any case; see GET /routing/kinds.")
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="The whole config. On the same backend a secret that is left out or `****` is kept.",
    )
    tier: Annotated[str | None, Field(max_length=64)] = None
    cost_notes: Text | None = None
    dry_run: bool = Field(default=False, description="Say what would happen; change nothing.")


class RollbackIn(Why):
    """Which revision to return to, and why."""

    revision: Annotated[int, Field(ge=1, description="An earlier revision of the route; see its history.")]
    secrets: dict[str, Any] = Field(
        default_factory=dict,
        description="Secrets by name, where the dry run says that they must be given again: the trail keeps none.",
    )
    dry_run: bool = Field(default=False, description="Say what would happen; change nothing.")


class DifferenceOut(BaseModel):
    """A field that is another one afterwards, in words; `-` where there is nothing."""

    name: str
    before: str
    after: str


class LeftoversOut(BaseModel):
    """What stays where it is. `at_least` is a lower bound, null when nothing is known."""

    at_least: int | None
    what: str
    said: str


class FieldErrorOut(BaseModel):
    """One wrong field."""

    field: str
    code: str
    detail: str


class LockOut(BaseModel):
    """A strategy lock. Without a resource kind it covers all routes of the environment; without `until` it has no end."""

    id: int
    route_id: int | None
    resource_kind: str | None
    tenant_id: str
    env: str
    project_id: str | None
    owner: str
    reason: str
    until: datetime | None
    holds_ingest: bool
    created_at: datetime | None
    released_at: datetime | None
    released_by: str | None
    active: bool


class BlockerOut(BaseModel):
    """Why the change should not be made. `enforced`: it would be refused; else it is a warning."""

    error_code: str
    detail: str
    fix: str
    enforced: bool
    errors: list[FieldErrorOut]
    locks: list[LockOut]


class PlanOut(BaseModel):
    """What a change would do. `allowed`: it would be accepted; `ready`: nothing at all speaks against it."""

    dry_run: bool
    route_id: int
    revision: int
    action: str | None
    allowed: bool
    ready: bool
    changes: list[DifferenceOut]
    capabilities: list[DifferenceOut]
    probe: ProbeOut | None
    left_behind: LeftoversOut | None
    blockers: list[BlockerOut]
    before: dict[str, Any]
    after: dict[str, Any] | None


class RouteOrPlan(RootModel[RouteOut | PlanOut]):
    """The changed route, or with `dry_run` what would happen."""


class LockIn(Strict):
    """Why nothing may move, and until when; without an end the lock holds until it is released."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    until: Timestamp | None = None
    holds_ingest: Annotated[
        bool,
        Field(description="Also refuse analytics records; they are kept, and may be replayed after the lock's end."),
    ] = False


class EnvLockIn(LockIn):
    """Which environment to lock, for all kinds; tenant and environment come from the context when they are left out."""

    tenant_id: Name | None = None
    env: Name | None = None


class EnvQuery(BaseModel):
    """Which environment; the context's when left out."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str | None = None
    env: str | None = None
    switch_rationale: Annotated[str, Field(max_length=2000)] = ""
    override_lock: bool = False


class LockQuery(PageQuery):
    """Which locks, the newest first; those that are over only with `active=false`."""

    tenant_id: str | None = None
    env: str | None = None
    resource_kind: str | None = None
    active: bool = True


class LockPage(BaseModel):
    """One page of locks."""

    items: list[LockOut]
    next_cursor: str | None


class HistoryEntry(ChangeOut):
    """One change of a route, and what it changed. `revision` is the one it made, null where it made none."""

    revision: int | None
    can_roll_back: bool
    differences: list[DifferenceOut]


class HistoryPage(BaseModel):
    """One page of a route's history, the newest first."""

    items: list[HistoryEntry]
    next_cursor: str | None


class SeenRoute(RouteOut):
    """A route as an operator sees it beside all others."""

    mode: str
    locked: bool


class ViewPage(BaseModel):
    """One page of all tenants' routes."""

    items: list[SeenRoute]
    next_cursor: str | None
