"""A seed as the rows of a rules store."""

from collections.abc import Iterator
from typing import Final

from rules.seeds import shapes
from rules.seeds.reading import Seed
from rules.seeds.shapes import FIGURES, LimitsFile
from storage.kinds.rules_rows import (
    GLOBAL,
    AnyRow,
    CalculationRule,
    Citation,
    Figure,
    Limit,
    LimitStatus,
    Severity,
    Step,
    ValidationRule,
)

PLAN_SUFFIX: Final = "_BiWeeklyFri"
_SEVERITIES: Final[dict[str, Severity]] = {"file": "error", "row": "error", "warning": "warning"}


def rows_of(seed: Seed, client: str | None = None) -> list[AnyRow]:
    """Return every row: GLOBAL ones and the default pipeline, and for a client its own pipeline and the example's rules.

    A limit of which the seed knows no figure, though there is one, has no row.
    """
    rows: list[AnyRow] = list(_steps(seed.pipeline, seed.pipeline.plan_id))
    rows += _validations(GLOBAL, seed.validation.fields)
    rows += (calculation_row(GLOBAL, rule) for rule in seed.calculation.rules)
    rows += _limits(seed.limits)
    if client is not None:
        rows += _steps(seed.pipeline, client + PLAN_SUFFIX)
        rows += _validations(client, seed.client.validation)
        rows += (calculation_row(client, rule) for rule in seed.client.calculation)
    return rows


def _steps(pipeline: shapes.PipelineFile, plan_id: str) -> Iterator[Step]:
    for step in pipeline.steps:
        yield Step(
            plan_id=plan_id,
            number=step.number,
            name=step.name,
            agent=step.agent,
            description=f"{step.title}. {step.does}",
            inputs=tuple(step.inputs),
            outputs=tuple(step.outputs),
            rules=(*step.rules.calculation, *step.rules.validation, *step.rules.limits),
            on_failure=step.on_failure,
        )


def _validations(owner: str, fields: dict[str, list[shapes.ValidationRule]]) -> Iterator[ValidationRule]:
    for field, rules in fields.items():
        for rule in rules:
            yield validation_row(owner, field, rule)


def validation_row(owner: str, field: str, rule: shapes.ValidationRule) -> ValidationRule:
    """Return one validation rule as a row. Its options say what is refused, and on which rows it applies."""
    options = dict(rule.options)
    if rule.severity != "warning":
        options["refuses"] = rule.severity
    if rule.when:
        when = {"field": rule.when.field, "equals": rule.when.equals, "above": rule.when.above}
        options |= {f"when_{name}": str(value) for name, value in when.items() if value is not None}
    return ValidationRule(
        owner=owner,
        field=field,
        number=rule.rule,
        check=rule.check,
        pattern=rule.pattern,
        choices=tuple(rule.choices),
        minimum=rule.minimum,
        maximum=rule.maximum,
        severity=_SEVERITIES[rule.severity],
        message=rule.message,
        options=options,
    )


def calculation_row(owner: str, rule: shapes.CalculationRule) -> CalculationRule:
    """Return one calculation rule as a row: numbers are figures, rounded as the rule says; words are options."""
    rounding = {} if rule.rounding is None else {"places": int(rule.rounding.places), "rounding": rule.rounding.mode}
    figures: dict[str, Figure] = {}
    options: dict[str, str] = {"verification": rule.verification}
    for name, quantity in rule.parameters.items():
        if isinstance(quantity.content, str):
            options[name] = quantity.content
        else:
            figures[name] = Figure.model_validate({"value": quantity.content, "unit": quantity.unit, **rounding})
    return CalculationRule(
        owner=owner,
        rule_id=rule.rule_id,
        name=rule.title,
        description=rule.note,
        formula=rule.formula,
        figures=figures,
        options=options,
        limits=tuple(rule.limits),
        citation=Citation(authority=_authority(rule.section)) if rule.section else None,
        valid_from=rule.valid_from,
        valid_to=rule.valid_to,
    )


def _limits(file: LimitsFile) -> Iterator[Limit]:
    for limit in file.limits:
        for year, known in limit.years.items():
            if known.status != "no_figure":
                yield _limit(limit, int(year), known)
        for year, unpublished in file.not_published.items():
            yield _unpublished(limit, int(year), unpublished)


def _limit(limit: shapes.Limit, year: int, known: shapes.YearLimit) -> Limit:
    status: LimitStatus = "published" if known.status in FIGURES else "not_in_force"
    authority = "; ".join(filter(None, [_authority(limit.section), known.instrument]))
    return Limit(
        year=year,
        code=limit.code,
        name=limit.title,
        figure=None if known.value is None else Figure(value=known.value, unit=limit.unit),
        status=status,
        citation=Citation(authority=authority, sources=tuple(known.sources)),
        verification=known.verification,
        note=" ".join(filter(None, [limit.note, known.note])),
    )


def _unpublished(limit: shapes.Limit, year: int, unpublished: shapes.Unpublished) -> Limit:
    return Limit(
        year=year,
        code=limit.code,
        name=limit.title,
        status="not_published",
        citation=Citation(authority=_authority(limit.section)),
        note=f"As of {unpublished.as_of:%Y-%m-%d}. {unpublished.note}",
    )


def _authority(section: str) -> str:
    """Return a section as it is cited: one of the Internal Revenue Code, unless it names another law."""
    return f"IRC {section}" if section[0].isdigit() and "CFR" not in section else section


__all__ = ["PLAN_SUFFIX", "calculation_row", "rows_of", "validation_row"]
