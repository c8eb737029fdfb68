"""Checks of calculation rules: one rule per day, limits that exist, and a word on where each comes from."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import Final

from rules.checking.finding import Finding
from rules.seeds.reading import Seed
from rules.seeds.shapes import CalculationRule

_END_OF_TIME: Final = date.max


def calculation_findings(seed: Seed) -> Iterator[Finding]:
    """Yield what does not fit in the calculation rules, the example client's own included."""
    codes = {limit.code for limit in seed.limits.limits}
    for owner, rules in (("GLOBAL", seed.calculation.rules), ("client", seed.client.calculation)):
        yield from _of_validity(owner, rules)
        for rule in rules:
            yield from _of_a_rule(f"{owner}.{rule.rule_id}", rule, codes)
    known = {rule.rule_id for rule in seed.calculation.rules}
    for rule in seed.client.calculation:
        if rule.rule_id not in known:
            yield Finding("overrides_nothing", f"client.{rule.rule_id}", "there is no GLOBAL rule of this name")


def validities(rules: Iterable[CalculationRule]) -> dict[str, list[tuple[date, date]]]:
    """Return the half-open days of each rule, by its name, in order."""
    found = defaultdict(list)
    for rule in rules:
        found[rule.rule_id].append((rule.valid_from, rule.valid_to or _END_OF_TIME))
    return {rule_id: sorted(days) for rule_id, days in found.items()}


def _of_validity(owner: str, rules: list[CalculationRule]) -> Iterator[Finding]:
    for rule_id, days in validities(rules).items():
        for start, end in days:
            if start >= end:
                yield Finding("validity_empty", f"{owner}.{rule_id}", f"valid from {start} up to {end}")
        for (_, end), (start, _) in pairwise(days):
            if start < end:
                yield Finding("validity_overlaps", f"{owner}.{rule_id}", f"two rules hold on {start}")


def _of_a_rule(place: str, rule: CalculationRule, codes: set[str]) -> Iterator[Finding]:
    for code in rule.limits:
        if code not in codes:
            yield Finding("limit_unknown", place, f"reads the limit {code}, which is nowhere")
    if rule.verification == "unverified" and not rule.section:
        yield Finding("unverified_unexplained", place, "an unverified rule names the section that it was written from")
    for name, quantity in rule.parameters.items():
        if quantity.unit == "rate" and not 0 <= quantity.content <= 1:  # type: ignore[operator] # a ratio is a Decimal
            yield Finding("ratio", f"{place}.{name}", f"{quantity.value} is no share of 1")
