"""Checks of validation rules: their examples hold, and what they refer to exists."""

import re
from collections.abc import Iterator, Mapping

from rules.checking.finding import Finding
from rules.field_checks import can_judge, passes
from rules.seeds.reading import Seed
from rules.seeds.rows import validation_row
from rules.seeds.shapes import ValidationRule
from storage.kinds.rules_rows import GLOBAL

Fields = Mapping[str, list[ValidationRule]]


def validation_findings(seed: Seed) -> Iterator[Finding]:
    """Yield what does not fit in the validation rules, the example client's own included."""
    codes = {limit.code for limit in seed.limits.limits}
    known = set(seed.validation.fields)
    for owner, fields in (("GLOBAL", seed.validation.fields), ("client", seed.client.validation)):
        yield from _of_numbers(owner, fields)
        for field, rules in fields.items():
            for rule in rules:
                yield from _of_a_rule(f"{owner}.{field}.{rule.rule}", rule, known, codes)
    for field in seed.client.validation:
        if field not in known:
            yield Finding("overrides_nothing", f"client.{field}", "there is no GLOBAL rule of this field")


def _of_numbers(owner: str, fields: Fields) -> Iterator[Finding]:
    for field, rules in fields.items():
        numbers = [rule.rule for rule in rules]
        if numbers != list(range(1, len(rules) + 1)):
            yield Finding("numbers", f"{owner}.{field}", f"rules are numbered {numbers}")


def _of_a_rule(place: str, rule: ValidationRule, fields: set[str], codes: set[str]) -> Iterator[Finding]:
    for field in rule.refers_to():
        if field not in fields:
            yield Finding("field_unknown", place, f"reads the field {field}, which has no rule")
    for code in rule.limits():
        if code not in codes:
            yield Finding("limit_unknown", place, f"reads the limit {code}, which is nowhere")
    if rule.check != "required":
        yield from _of_examples(place, rule)


def _of_examples(place: str, rule: ValidationRule) -> Iterator[Finding]:
    row = validation_row(GLOBAL, "field", rule)
    if not can_judge(row):
        return
    if rule.examples is None:
        yield Finding("examples_missing", place, "a rule that looks at one value shows examples")
        return
    try:
        for value in rule.examples.good:
            if not passes(row, value):
                yield Finding("example", place, f"refuses {value!r}, which it should accept")
        for value in rule.examples.bad:
            if passes(row, value):
                yield Finding("example", place, f"accepts {value!r}, which it should refuse")
    except re.error as error:
        yield Finding("pattern", place, f"has a pattern that is none: {error}")
