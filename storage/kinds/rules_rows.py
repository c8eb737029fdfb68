"""What rules are made of: steps of pipelines, validation rules, calculation rules, annual limits, and who falls back to whom.

Every number is an exact Decimal, given as text, an integer or a Decimal. Every row is valid on the days `[valid_from, valid_to)`.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictInt,
    ValidationError,
    create_model,
    model_validator,
)

from northstar.errors import NorthstarError
from storage.kinds.rules_frozen import frozen
from storage.values import check_number

GLOBAL: Final = "GLOBAL"
"""Owns what everybody falls back to."""
STEP: Final = "step"
VALIDATION: Final = "validation"
CALCULATION: Final = "calculation"
LIMIT: Final = "limit"
CHAIN: Final = "chain"
MARK: Final = "#"
BEGINNING: Final = date(1, 1, 1)
"""The first day of a row that has always been valid."""
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?")
"""What everybody reads alike; Python would also take 1_000, spaces and the digits of other scripts."""

OnFailure = Literal["stop", "review", "retry", "skip"]
"""Of a step: end the run, wait for a person, try again, or go on without it."""
Severity = Literal["error", "warning"]
Verification = Literal["confirmed", "single", "computed", "inferred", "unverified"]
"""Of a figure: two or more independent sources agree; one says so; it was computed; it follows from a text; nobody has looked."""
LimitStatus = Literal["published", "not_published", "not_in_force"]
Rounding = Literal[
    "ROUND_CEILING", "ROUND_DOWN", "ROUND_FLOOR", "ROUND_HALF_DOWN", "ROUND_HALF_EVEN", "ROUND_HALF_UP", "ROUND_UP"
]
"""As `decimal` names them."""


def exact(given: Any) -> Decimal:
    """Return a number that nobody has rounded: of a text, an integer or a Decimal. Raises ValueError for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | str | Decimal):
        raise ValueError("Send an exact number: as text such as '0.05', or as an integer.")  # noqa: TRY004 - pydantic's way
    if isinstance(given, str) and not _DECIMAL.fullmatch(given):
        raise ValueError("The text is no decimal number, such as 0.05 or -1200.")
    try:
        number = Decimal(given)
        check_number("the number", number)
    except NorthstarError as refusal:
        raise ValueError(refusal.detail) from None
    return number


def _listed(value: Any) -> Any:
    """Return the value with lists for tuples: a document holds no tuple."""
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def _named(text: str) -> str:
    if MARK in text or text != text.strip() or not text.isprintable():
        raise ValueError("It may hold no '#', no control character, and no space at either end.")
    return text


def _day(given: Any) -> date:
    if isinstance(given, str):
        given = date.fromisoformat(given) if len(given) == len("2026-01-01") else None
    if type(given) is not date:  # pydantic would also take numbers, and guess their unit
        raise ValueError("Send a day as text, such as 2026-01-01.")
    return given


def _owner(text: str) -> str:
    level, mark, name = text.rpartition(MARK)
    _named(name)
    if mark and not (level.isascii() and level.isalpha() and level.isupper() and level != "CLIENT"):
        raise ValueError("A level is upper-case letters before a '#', such as PLAN#gold; a client stands alone.")
    if not name:
        raise ValueError("It names nobody.")
    return text


Amount = Annotated[Decimal, PlainValidator(exact, json_schema_input_type=int | str)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_named)]
"""Part of a key."""
Owner = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_owner)]
"""A client's id, GLOBAL, or a level between the two, such as PLAN#gold and REGION#west."""
Day = Annotated[date, BeforeValidator(_day)]
Text = Annotated[str, Field(max_length=4000)]
Words = Annotated[Mapping[Name, Text], AfterValidator(frozen)]
Year = Annotated[int, Field(ge=1000, le=9999, strict=True)]


def _check_days(valid_from: date, valid_to: date | None) -> None:
    if valid_from == date.max:
        raise ValueError("valid_from must lie before 9999-12-31, the last day there is.")
    if valid_to is not None and valid_to <= valid_from:
        raise ValueError("valid_to must lie after valid_from: the days are [valid_from, valid_to).")


class Part(BaseModel):
    """A part of a row. Parts never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Part):
    """An exact number with its unit: a currency's code, or a word such as rate, percent, years, count."""

    value: Amount
    unit: Name = "USD"
    places: Annotated[int, Field(ge=0, le=20, strict=True)] | None = None
    """Decimal places that results are rounded to, with `rounding`; None: nothing is rounded."""
    rounding: Rounding | None = None


class Citation(Part):
    """What a row rests on: the law or notice, and where it was read."""

    authority: Text
    sources: tuple[Text, ...] = ()


class BaseRow(Part):
    """A row of a rule set, valid on the days `[valid_from, valid_to)`; without an end until another takes its place."""

    key_fields: ClassVar[tuple[str, ...]]
    """Which fields say what the row is about. No two rows about the same are valid on the same day."""

    kind: str

    valid_from: Day = BEGINNING
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _check_period(self) -> "BaseRow":
        _check_days(self.valid_from, self.valid_to)
        return self

    def body(self) -> dict[str, Any]:
        """Return the row as it is stored: without its period, which stands beside it."""
        body: dict[str, Any] = _listed(self.model_dump(exclude={"kind", "valid_from", "valid_to"}))
        return body


class Step(BaseRow):
    """One step of a pipeline: who does it with what, what comes out, and what happens when it fails."""

    key_fields: ClassVar[tuple[str, ...]] = ("plan_id", "number")

    kind: Literal["step"] = "step"
    plan_id: Name
    number: Annotated[int, Field(ge=1, le=9999, strict=True)]
    name: Name
    agent: Name
    description: Text = ""
    inputs: tuple[Name, ...] = ()
    outputs: tuple[Name, ...] = ()
    rules: tuple[Name, ...] = ()
    """Ids of the calculation rules, names of the fields and codes of the limits that the step uses."""
    on_failure: OnFailure = "stop"


class ValidationRule(BaseRow):
    """One check of one field of a payroll file."""

    key_fields: ClassVar[tuple[str, ...]] = ("owner", "field", "number")

    kind: Literal["validation"] = "validation"
    owner: Owner = GLOBAL
    field: Name
    number: Annotated[int, Field(ge=1, le=9999, strict=True)] = 1
    check: Name
    """What is checked, such as required, pattern, one_of, between, date."""
    pattern: Text | None = None
    choices: tuple[Text, ...] = ()
    minimum: Amount | None = None
    maximum: Amount | None = None
    options: Words = Field(default_factory=dict, validate_default=True)
    """Further words of the check, such as the other field of a comparison."""
    severity: Severity = "error"
    message: Text = ""
    citation: Citation | None = None


class CalculationRule(BaseRow):
    """How pay or a contribution is calculated."""

    key_fields: ClassVar[tuple[str, ...]] = ("owner", "rule_id")

    kind: Literal["calculation"] = "calculation"
    owner: Owner = GLOBAL
    rule_id: Name
    name: Text = ""
    description: Text = ""
    formula: Text = ""
    figures: Annotated[Mapping[Name, Figure], AfterValidator(frozen)] = Field(
        default_factory=dict, validate_default=True
    )
    options: Words = Field(default_factory=dict, validate_default=True)
    limits: tuple[Name, ...] = ()
    """Codes of the annual limits that the formula uses."""
    citation: Citation | None = None


class Limit(BaseRow):
    """One figure of one year as an authority sets it. Without other days it is valid through that calendar year."""

    key_fields: ClassVar[tuple[str, ...]] = ("year", "code")

    kind: Literal["limit"] = "limit"
    year: Year
    code: Name
    name: Text = ""
    figure: Figure | None = None
    status: LimitStatus = "published"
    citation: Citation | None = None
    verification: Verification = "unverified"
    note: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _through_its_year(cls, given: Any) -> Any:
        year = given.get("year") if isinstance(given, dict) else None
        if not isinstance(year, int) or not 1000 <= year < 9999:
            return given
        return {"valid_from": date(year, 1, 1), "valid_to": date(year + 1, 1, 1), **given}

    @model_validator(mode="after")
    def _check_figure(self) -> "Limit":
        if (self.figure is not None) != (self.status == "published"):
            raise ValueError("A published limit has a figure, and no other has one.")
        return self


class Chain(BaseRow):
    """Whom an owner falls back to. Who has no row falls back to GLOBAL."""

    key_fields: ClassVar[tuple[str, ...]] = ("owner",)

    kind: Literal["chain"] = "chain"
    owner: Owner
    parent: Owner

    @model_validator(mode="after")
    def _check_levels(self) -> "Chain":
        if self.owner == GLOBAL:
            raise ValueError("GLOBAL falls back to nobody.")
        if self.parent != GLOBAL and MARK not in self.parent:
            raise ValueError("A client is nobody's fallback: name a level, such as PLAN#gold, or GLOBAL.")
        return self


AnyRow = Step | ValidationRule | CalculationRule | Limit | Chain
ROWS: Final[dict[str, type[AnyRow]]] = {
    STEP: Step,
    VALIDATION: ValidationRule,
    CALCULATION: CalculationRule,
    LIMIT: Limit,
    CHAIN: Chain,
}


class Retire(Part):
    """Take back what is said of something on the days `[valid_from, valid_to)`; what earlier revisions say stays.

    `key` holds the key fields of the row: plan_id and number of a step, owner and rule_id of a calculation.
    """

    kind: Literal["retire"] = "retire"
    of: Literal["step", "validation", "calculation", "limit", "chain"]
    key: dict[Name, Owner | StrictInt]
    valid_from: Day = BEGINNING
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _check_key(self) -> "Retire":
        wanted = ROWS[self.of].key_fields
        if set(self.key) != set(wanted):
            raise ValueError(f"The key of a {self.of} is {', '.join(wanted)}.")
        try:
            _key_model(self.of)(**self.key)
        except ValidationError as refusal:
            told = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in refusal.errors())
            raise ValueError(f"The key names no {self.of}. {told}") from None
        _check_days(self.valid_from, self.valid_to)
        return self

    def row(self) -> AnyRow:
        """Return a row with this key and nothing else."""
        return ROWS[self.of].model_construct(**self.key)  # type: ignore[arg-type]


@cache
def _key_model(kind: str) -> type[BaseModel]:
    """Return what checks the key fields of a kind of rows as the rows themselves do."""
    row = ROWS[kind]
    fields: dict[str, Any] = {
        name: (row.model_fields[name].annotation, row.model_fields[name]) for name in row.key_fields
    }
    return create_model(f"{row.__name__}Key", **fields)


Change = AnyRow | Retire
