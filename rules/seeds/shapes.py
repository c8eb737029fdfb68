"""What the files in `rules/data` hold. Every number is a string of digits: it becomes a Decimal and never passes a float."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DIGITS: Final = re.compile(r"-?\d{1,30}(\.\d{1,8})?")


def _exact(given: Any) -> Decimal:
    if not isinstance(given, str) or not _DIGITS.fullmatch(given):
        raise ValueError('write the number as a string of digits, such as "10453.20"')
    return Decimal(given)


def _day(given: Any) -> date:
    if not isinstance(given, str) or not _DAY.fullmatch(given):
        raise ValueError("write the day as a string, such as 2025-01-01")
    return date.fromisoformat(given)


Exact = Annotated[Decimal, BeforeValidator(_exact)]
Day = Annotated[date, BeforeValidator(_day)]
Year = Annotated[str, Field(pattern=r"^\d{4}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,60}$")]
Verification = Literal["confirmed", "single", "computed", "unverified"]
Unit = Literal["USD", "USD/month", "rate", "years", "months", "days", "seconds", "count", "text"]
Basis = Literal["confirmed", "unverified", "design"]
"""Of a calculation: its limits are confirmed; written from the law named; a choice that no law makes."""
OnFailure = Literal["stop", "retry", "review", "skip"]
FIGURES: Final = frozenset({"published", "statutory", "derived"})
"""The states of a year's limit that come with a figure."""


class Shape(BaseModel):
    """A part of a file: nothing unknown in it, nothing converted on the quiet."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Quantity(Shape):
    """A value with its unit."""

    value: str = Field(min_length=1)
    unit: Unit

    @model_validator(mode="after")
    def _is_exact(self) -> "Quantity":
        if self.unit != "text":
            _exact(self.value)
        return self

    @property
    def content(self) -> Decimal | str:
        """The value as it is computed with."""
        return self.value if self.unit == "text" else Decimal(self.value)


class StepRules(Shape):
    """The rules that a step reads, by their names."""

    calculation: list[Code]
    validation: list[Name]
    limits: list[Code]


class Step(Shape):
    """One step of a pipeline."""

    step: str = Field(pattern=r"^STEP#\d{4}$")
    name: Name
    title: str
    agent: str = Field(pattern=r"^[a-z][a-z-]{0,60}$")
    does: str
    inputs: list[Name]
    outputs: list[Name]
    rules: StepRules
    on_failure: OnFailure

    @property
    def number(self) -> int:
        """The step's number alone."""
        return int(self.step.removeprefix("STEP#"))


class PipelineFile(Shape):
    """A pipeline: its steps, and what the run is given before the first one."""

    format: Literal[1]
    about: str
    plan_id: str
    title: str
    given: list[Name]
    on_failure: dict[OnFailure, str]
    steps: list[Step]


class When(Shape):
    """Applies a validation rule to some rows only."""

    field: Name
    equals: str | None = None
    above: Exact | None = None


class Examples(Shape):
    """Values that a rule accepts, and values that it refuses."""

    good: list[str]
    bad: list[str]


class ValidationRule(Shape):
    """One check of one field."""

    rule: int = Field(ge=1, le=99)
    check: Literal[
        "required",
        "pattern",
        "one_of",
        "decimal",
        "date",
        "age",
        "compare",
        "days_since",
        "sum",
        "at_most_limit",
        "unique",
        "one_value",
    ]
    severity: Literal["file", "row", "warning"]
    pattern: str | None = None
    choices: list[str] = Field(default_factory=list)
    minimum: Exact | None = None
    maximum: Exact | None = None
    options: dict[Name, str] = Field(default_factory=dict)
    when: When | None = None
    examples: Examples | None = None
    message: str

    def refers_to(self) -> Iterator[str]:
        """The other fields that the rule reads."""
        yield from self._names("other", "parts")
        if self.when:
            yield self.when.field

    def limits(self) -> Iterator[str]:
        """The limits that the rule reads."""
        yield from self._names("limits", "otherwise")

    def _names(self, *options: str) -> Iterator[str]:
        for option in options:
            yield from self.options.get(option, "").split(",") if option in self.options else ()


class ValidationFile(Shape):
    """The validation rules that hold for every client."""

    format: Literal[1]
    about: str
    client: Literal["GLOBAL"]
    severity: dict[str, str]
    fields: dict[Name, list[ValidationRule]]


class Rounding(Shape):
    """How a result is rounded: Python's name of the mode, and decimals."""

    mode: Literal[
        "ROUND_HALF_UP", "ROUND_HALF_EVEN", "ROUND_HALF_DOWN", "ROUND_DOWN", "ROUND_UP", "ROUND_FLOOR", "ROUND_CEILING"
    ]
    places: Exact = Field(ge=0, le=8)


class CalculationRule(Shape):
    """A calculation, for the days from `valid_from` up to, and without, `valid_to`."""

    rule_id: Code
    title: str
    valid_from: Day
    valid_to: Day | None = None
    formula: str
    parameters: dict[Name, Quantity]
    limits: list[Code]
    rounding: Rounding | None = None
    section: str
    verification: Basis
    note: str = ""


class CalculationFile(Shape):
    """The calculation rules that hold for every client."""

    format: Literal[1]
    about: str
    client: Literal["GLOBAL"]
    verification: dict[Basis, str]
    rules: list[CalculationRule]


class YearLimit(Shape):
    """What is known of one limit in one year."""

    value: Exact | None
    status: Literal["published", "statutory", "derived", "not_in_force", "no_figure"]
    verification: Verification
    instrument: str = ""
    sources: list[str]
    note: str = ""


class Limit(Shape):
    """One limit over the years."""

    code: Code
    title: str
    section: str = Field(min_length=1)
    unit: Unit
    note: str = ""
    years: dict[Year, YearLimit]


class Unpublished(Shape):
    """A year whose limits are not published: it has no figures, not even likely ones."""

    as_of: Day
    last_published_year: int
    note: str


class ControlTotal(Shape):
    """A sum of limits as sources print it."""

    limits: list[Code]
    years: dict[Year, Exact]


class LimitsFile(Shape):
    """The annual limits."""

    format: Literal[1]
    about: str
    known_on: Day
    verification: dict[Verification, str]
    status: dict[str, str]
    addresses: dict[str, str]
    not_published: dict[Year, Unpublished]
    control_totals: dict[str, ControlTotal]
    limits: list[Limit]

    def figure(self, code: str, year: str) -> Decimal | None:
        """Return a figure, or None where there is none."""
        return next(
            (limit.years[year].value for limit in self.limits if limit.code == code and year in limit.years), None
        )


class Agent(Shape):
    """An agent and what it is configured with at first."""

    agent: str = Field(pattern=r"^[a-z][a-z-]{0,60}$")
    does: str
    config: dict[Name, Quantity]


class AgentsFile(Shape):
    """The agents of the pipeline."""

    format: Literal[1]
    about: str
    agents: list[Agent]


class ClientFile(Shape):
    """Rules of its own for one client."""

    format: Literal[1]
    about: str
    calculation: list[CalculationRule]
    validation: dict[Name, list[ValidationRule]]
