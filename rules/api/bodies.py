"""What the calls of rules take and give. Numbers are exact: text or integers in, text out."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from northstar.inputs import PageSize, PlainInt, Timestamp
from routing.patterns import ENV_PATTERN
from storage.kinds.rules_publishing import Difference, Published, Said
from storage.kinds.rules_reading import Answer
from storage.kinds.rules_records import AgentConfig, AuditEntry, BatchState, StepResult
from storage.kinds.rules_revisions import Revision
from storage.kinds.rules_rows import (
    GLOBAL,
    BaseRow,
    CalculationRule,
    Chain,
    Day,
    Limit,
    Name,
    Owner,
    Retire,
    Step,
    Text,
    ValidationRule,
)

AnyChange = Annotated[
    Step | ValidationRule | CalculationRule | Limit | Chain | Retire,
    Field(discriminator="kind"),
]
PositiveInt = Annotated[PlainInt, Field(ge=1, le=2**53)]
MOST_CHANGES = 2000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RuleQuery(BaseModel):
    """How a rule is asked for."""

    client_id: Owner = GLOBAL
    as_of: Day | None = None
    revision: PositiveInt | None = None
    max_stale: Annotated[PlainInt, Field(ge=0, le=31_536_000)] | None = None


class RulesPageQuery(BaseModel):
    """Which page of a list."""

    limit: PageSize = 100
    cursor: str | None = None


class RulesAuditQuery(RulesPageQuery):
    """Which day's audit entries."""

    date: Day | None = None


class AgentConfigQuery(BaseModel):
    """Which revision of an agent's config."""

    revision: PositiveInt | None = None


class RulesDiffQuery(BaseModel):
    """Which other revision a revision is compared with."""

    against: Annotated[PlainInt, Field(ge=0, le=2**53)] | None = None


class RulesPublicationIn(_Strict):
    """Rows to publish and others to take back, as one revision, and why."""

    changes: list[AnyChange] = Field(min_length=1, max_length=MOST_CHANGES)
    reason: Text = ""
    dry_run: bool = False
    keep_existing: bool = False


class RulesRollbackIn(_Strict):
    """Why an earlier revision is to stand again."""

    reason: Text = ""
    dry_run: bool = False


class RulesPromotionIn(RulesRollbackIn):
    """Which rules of another environment are to stand in this one."""

    from_env: Annotated[str, Field(pattern=rf"^(?:{ENV_PATTERN})$")]
    revision: Annotated[int, Field(ge=1, strict=True)] | None = None


class BatchStateIn(_Strict):
    """Where a batch stands. `rules_revision` pins a revision; left out, the first save pins the newest."""

    state: dict[str, Any]
    rules_revision: Annotated[int, Field(ge=0, strict=True)] | None = None


class StepResultIn(_Strict):
    """What a step came to."""

    step: Annotated[int, Field(ge=1, le=9999, strict=True)]
    result: dict[str, Any]


class RulesAuditIn(_Strict):
    """An audit entry. With `entry_id` and `at` its key is yours: a second one is refused."""

    entry: dict[str, Any]
    entry_id: Name | None = None
    at: Timestamp | None = None


class AgentConfigIn(_Strict):
    """An agent's config, whole."""

    config: dict[str, Any]


class RuleCandidateOut(BaseModel):
    """Whose rule was looked for, and how many of it were valid on that day."""

    owner: str
    entries: int


class RuleAnswerOut(BaseModel):
    """How an answer came to be."""

    resolved_from: str
    owner: str
    rules_revision: int
    as_of: date
    cache_tier: Literal["process", "cache", "store"]
    stale: bool
    considered: list[RuleCandidateOut]
    recorded_at: datetime | None


class PipelineOut(RuleAnswerOut):
    """A pipeline's steps, by number."""

    plan_id: str
    steps: list[Step]


class ValidationOut(RuleAnswerOut):
    """A field's rules, by number."""

    field: str
    rules: list[ValidationRule]


class CalculationOut(RuleAnswerOut):
    """One calculation rule."""

    rule: CalculationRule


class LimitsOut(RuleAnswerOut):
    """The limits of a year, by code."""

    year: int
    limits: list[Limit]


class RulesSaidOut(BaseModel):
    """What is said on the days `[valid_from, valid_to)`."""

    valid_from: date
    valid_to: date | None
    body: dict[str, Any]


class RulesDifferenceOut(BaseModel):
    """How what is said of one thing differs."""

    kind: str
    owner: str
    name: str
    slot: str
    before: list[RulesSaidOut]
    after: list[RulesSaidOut]


class RulesPublishedOut(BaseModel):
    """The revision that stands, and what changed with it."""

    rules_revision: int
    changed: bool
    dry_run: bool
    differences: list[RulesDifferenceOut]


class RulesDiffOut(BaseModel):
    """How two revisions differ."""

    before: int
    after: int
    differences: list[RulesDifferenceOut]


class RulesRevisionOut(BaseModel):
    """One revision: who, when and why; of which other one, after a rollback or a promotion; what it touched."""

    rules_revision: int
    action: Literal["publish", "rollback", "promote"]
    actor: str
    reason: str
    request_id: str
    at: datetime
    of_revision: int | None
    units: list[str]


class RulesRevisionPageOut(BaseModel):
    """Revisions, the newest first."""

    items: list[RulesRevisionOut]
    next_cursor: str | None


class BatchStateOut(BaseModel):
    """Where a batch stands."""

    batch_id: str
    state: dict[str, Any]
    rules_revision: int
    version: int
    updated_at: datetime


class StepResultOut(BaseModel):
    """What a step came to, once."""

    batch_id: str
    step: int
    result: dict[str, Any]
    recorded_at: datetime


class StepResultPageOut(BaseModel):
    """Results by step and time."""

    items: list[StepResultOut]
    next_cursor: str | None


class RulesAuditOut(BaseModel):
    """One audit entry."""

    entry_id: str
    at: datetime
    actor: str
    request_id: str
    entry: dict[str, Any]


class RulesAuditPageOut(BaseModel):
    """One day's entries, by time."""

    items: list[RulesAuditOut]
    next_cursor: str | None


class AgentConfigOut(BaseModel):
    """One revision of an agent's config."""

    agent: str
    revision: int
    config: dict[str, Any]
    saved_by: str
    saved_at: datetime


def answer_facts(answer: Answer[Any]) -> dict[str, Any]:
    return {
        "resolved_from": answer.resolved_from,
        "owner": answer.owner,
        "rules_revision": answer.revision,
        "as_of": answer.as_of.isoformat(),
        "cache_tier": answer.tier,
        "stale": answer.stale,
        "considered": [asdict(candidate) for candidate in answer.considered],
        "recorded_at": answer.recorded_at,
    }


def row_answer(row: BaseRow) -> dict[str, Any]:
    return {"kind": row.kind, **row.body(), **_days(row.valid_from, row.valid_to)}


def _days(valid_from: date, valid_to: date | None) -> dict[str, str | None]:
    return {"valid_from": valid_from.isoformat(), "valid_to": valid_to.isoformat() if valid_to else None}


def published_answer(published: Published) -> dict[str, Any]:
    return {
        "rules_revision": published.revision,
        "changed": published.changed,
        "dry_run": published.dry_run,
        "differences": [difference_answer(one) for one in published.differences],
    }


def difference_answer(difference: Difference) -> dict[str, Any]:
    return {
        "kind": difference.kind,
        "owner": difference.owner,
        "name": difference.name,
        "slot": difference.slot,
        "before": [_said(one) for one in difference.before],
        "after": [_said(one) for one in difference.after],
    }


def _said(said: Said) -> Mapping[str, Any]:
    return {**_days(said.valid_from, said.valid_to), "body": said.body}


def revision_answer(revision: Revision) -> dict[str, Any]:
    return {
        "rules_revision": revision.number,
        "action": revision.action,
        "actor": revision.actor,
        "reason": revision.reason,
        "request_id": revision.request_id,
        "at": revision.at,
        "of_revision": revision.of_revision,
        "units": [change.unit.text.strip("#") for change in revision.changes],
    }


def record_answer(record: BatchState | StepResult | AuditEntry | AgentConfig) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
