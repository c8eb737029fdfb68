"""What the calls of attribution contracts take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from analytics.contracts.channels import sources_version
from analytics.contracts.diffing import Difference, decisions_told, told
from analytics.contracts.editing import Edit
from analytics.contracts.known import compiled
from analytics.contracts.model import Mode, Parent, Rules, Status, Version
from analytics.contracts.reading import Resolved
from analytics.contracts.store import row_of
from analytics.contracts.templates import generate
from analytics.contracts.trying import Made, Tried
from northstar.inputs import PageSize, Timestamp

Phase = Literal["template", "landing"]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Values = Annotated[dict[str, Annotated[str, Field(max_length=16_384)]], Field(max_length=100)]
Url = Annotated[str, Field(max_length=65_536)]

_TOLD = "The server's own; an answer may be sent back as it is."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ContractIn(_Strict):
    """A contract: in its plain form (`utm_template`, `allowed_fields`), or with its whole `rules`."""

    utm_template: dict[str, str] | Annotated[str, Field(max_length=4096)] | None = Field(
        default=None,
        description="Values by field, with or without utm_, or a URL or suffix that has them. A macro must be filled in.",
    )
    allowed_fields: list[str] | dict[str, list[str]] | None = Field(
        default=None, description="Fields that may come besides, or each with its allowed values (none: any)."
    )
    rules: Rules | None = Field(default=None, description="Everything a contract can say. It replaces the whole rules.")
    inherit: bool = Field(
        default=False,
        description="Take what `rules` leave out from the contract that applies now: fields, rules and click ids by name.",
    )
    version: Version | None = Field(default=None, description="Left out: the next one, unless the rules stay the same.")
    status: Status | None = Field(default=None, description="active when left out.")
    mode: Mode | None = Field(
        default=None,
        description="What is done about errors. Left out it stays; a first contract has observe, and block in the plain form.",
    )
    notes: Annotated[str | None, Field(max_length=10_000)] = None
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None
    contract_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = Field(
        default=None, description="Chosen once, with the first contract of the platform."
    )
    tenant_id: Name | None = Field(default=None, description="Repeats the context's.")
    platform: Name | None = Field(default=None, description="Repeats that of the address.")
    rationale: Annotated[str, Field(max_length=10_000)] = Field(default="", description="Why; for the audit trail.")
    url_template: Any = Field(default=None, description=_TOLD)
    checksum: Any = Field(default=None, description=_TOLD)
    parent: Any = Field(default=None, description=_TOLD)
    resolved_from: Any = Field(default=None, description=_TOLD)
    created_at: Any = Field(default=None, description=_TOLD)
    created_by: Any = Field(default=None, description=_TOLD)
    updated_at: Any = Field(default=None, description=_TOLD)
    updated_by: Any = Field(default=None, description=_TOLD)

    def edit(self) -> Edit:
        """Return what is asked for."""
        return Edit(
            template=self.utm_template,
            allowed=self.allowed_fields,
            rules=self.rules,
            inherit=self.inherit,
            version=self.version,
            status=self.status,
            mode=self.mode,
            notes=self.notes,
            contract_id=self.contract_id,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
        )


class ContractOut(BaseModel):
    """A version of a contract. `resolved_from` says whose it is; `url_template` is what its rules make for the platform."""

    contract_id: str
    tenant_id: str
    platform: str
    utm_template: dict[str, str]
    allowed_fields: list[str]
    url_template: str
    version: str
    status: Status
    mode: Mode
    notes: str
    rules: Rules
    checksum: str
    parent: Parent | None
    valid_from: datetime | None
    valid_to: datetime | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    resolved_from: Literal["CLIENT", "GLOBAL"]


class ContractPage(BaseModel):
    """Contracts."""

    items: list[ContractOut]
    next_cursor: str | None


class ContractQuery(BaseModel):
    """Which version of a contract; the one that applies when left out."""

    model_config = ConfigDict(extra="forbid")

    version: Version | None = None


class VersionsQuery(BaseModel):
    """Which part of the versions."""

    model_config = ConfigDict(extra="forbid")

    limit: PageSize = 100
    cursor: str | None = None


class ValidateIn(_Strict):
    """What to judge: a URL, or fields by name."""

    url: Url | None = Field(default=None, description="A landing URL, a URL template, or a suffix of parameters.")
    utm: Values | None = Field(
        default=None, description="utm fields, with or without utm_, and click ids, by their names."
    )
    phase: Phase = Field(default="landing", description="template: before launch; landing: what arrived.")
    version: Version | None = Field(default=None, description="Judge by this version, a draft perhaps.")
    referrer: Annotated[str, Field(max_length=65_536)] = ""


class FindingOut(BaseModel):
    """One thing that is wrong. `position` is an index in the URL, or in the field's value where no URL was sent."""

    code: str
    field: str
    position: int | None
    got: str
    expected: str
    severity: Literal["error", "warn", "info"]
    hint: str
    rule_id: str


class RewriteOut(BaseModel):
    """A repair that `normalised` has and `raw` has not."""

    field: str
    rewrite: str
    before: str
    after: str


class ContractValidationOut(BaseModel):
    """What a contract says of parameters. `valid`: no finding is an error."""

    valid: bool
    phase: Phase
    findings: list[FindingOut]
    channel: str
    channel_rule: str
    sources_version: str
    raw: dict[str, str]
    normalised: dict[str, str]
    rewrites: list[RewriteOut]
    click_ids: dict[str, str]
    contract_id: str
    version: str
    mode: Mode
    resolved_from: Literal["CLIENT", "GLOBAL"]


class TemplateIn(_Strict):
    """What the template shall have in place of the rules' own."""

    values: Values = Field(
        default_factory=dict, description="Values by field, with or without utm_; macros may stand in them."
    )
    page: Url = Field(default="", description="The landing page, where the platform does not put its own.")
    version: Version | None = None


class TemplateOut(BaseModel):
    """A URL template, and a landing that a click on its ad may lead to, both judged."""

    template: str
    suffix: str
    fields: dict[str, str]
    findings: list[FindingOut]
    simulated: str
    simulated_findings: list[FindingOut]


class DiffIn(_Strict):
    """Which version to try on which stored records: those of a half-open range of time."""

    version: Version
    start: Timestamp
    end: Timestamp
    rows: Annotated[int, Field(ge=1, le=5000, description="How many records to look at.")] = 1000
    cursor: str | None = None


class SaidOut(BaseModel):
    """What is said of a record. `codes` are `field:code:severity`."""

    version: str | None
    decision: Literal["accept", "quarantine", "block"]
    channel: str
    codes: list[str]


class VerdictChangeOut(BaseModel):
    """A stored record whose verdict would be another one."""

    row_id: str
    analytics_id: str
    corrected_at: datetime
    before: SaidOut
    after: SaidOut


class DecisionsOut(BaseModel):
    """How many records would be decided so instead."""

    before: str
    after: str
    count: int


class DiffOut(BaseModel):
    """What the version would change in the records that were looked at. `judged` are those that it or its predecessor judges."""

    items: list[VerdictChangeOut]
    next_cursor: str | None
    looked_at: int
    judged: int
    changed: int
    decisions: list[DecisionsOut]


def diff_answer(found: Difference, cursor: str | None) -> dict[str, Any]:
    """Return differences as answers show them."""
    return {
        "items": told(found.changes),
        "next_cursor": cursor,
        "looked_at": found.looked_at,
        "judged": found.judged,
        "changed": len(found.changes),
        "decisions": decisions_told(found),
    }


def contract_answer(resolved: Resolved) -> dict[str, Any]:
    """Return a contract as answers show it."""
    contract = resolved.contract
    url_template = generate(compiled(contract)).template
    return {**row_of(contract), "url_template": url_template, "resolved_from": resolved.resolved_from}


def validation_answer(tried: Tried, phase: Phase) -> dict[str, Any]:
    """Return what a contract says of parameters as answers show it."""
    report, contract = tried.report, tried.resolved.contract
    return {
        "valid": report.valid,
        "phase": phase,
        "findings": report.findings,
        "channel": report.channel.name,
        "channel_rule": report.channel.rule,
        "sources_version": sources_version(),
        "raw": report.raw,
        "normalised": report.normalised,
        "rewrites": report.rewrites,
        "click_ids": tried.click_ids,
        "contract_id": contract.contract_id,
        "version": contract.version,
        "mode": contract.mode,
        "resolved_from": tried.resolved.resolved_from,
    }


def template_answer(made: Made) -> dict[str, Any]:
    """Return a template as answers show it."""
    return {
        "template": made.template.template,
        "suffix": made.template.suffix,
        "fields": made.template.fields,
        "findings": made.template.findings,
        "simulated": made.simulated,
        "simulated_findings": made.findings,
    }
