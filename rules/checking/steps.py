"""Checks of the pipeline: complete steps in order, whose inputs exist and whose rules hold on every day of the years seeded."""

from collections.abc import Iterator
from datetime import date

from rules.checking.calculation import validities
from rules.checking.finding import Finding
from rules.checking.limits import years_of
from rules.seeds.reading import Seed
from rules.seeds.shapes import Step


def step_findings(seed: Seed) -> Iterator[Finding]:
    """Yield what does not fit in the pipeline."""
    steps = seed.pipeline.steps
    yield from _of_numbers(steps)
    yield from _of_data(steps, set(seed.pipeline.given))
    yield from _of_names(seed)
    for step in steps:
        yield from _of_references(step, seed)
    yield from _of_unused(seed)


def _of_numbers(steps: list[Step]) -> Iterator[Finding]:
    expected = [f"STEP#{100 * number:04d}" for number in range(1, len(steps) + 1)]
    for step, number in zip(steps, expected, strict=True):
        if step.step != number:
            yield Finding("step_number", step.step, f"stands where {number} belongs")
    names = [step.name for step in steps]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding("step_twice", name, "two steps have this name")


def _of_names(seed: Seed) -> Iterator[Finding]:
    """A stored step names its rules in one list, so a name says what it names."""
    calculations = {rule.rule_id for rule in seed.calculation.rules}
    limits = {limit.code for limit in seed.limits.limits}
    for name in sorted(calculations & limits):
        yield Finding("name_twice", name, "a calculation rule and a limit have this name")


def _of_data(steps: list[Step], given: set[str]) -> Iterator[Finding]:
    made = set(given)
    for step in steps:
        for name in step.inputs:
            if name not in made:
                yield Finding(
                    "input_missing", step.step, f"reads {name}, which no earlier step makes and the run is not given"
                )
        for name in step.outputs:
            if name in made:
                yield Finding("output_twice", step.step, f"makes {name}, which is there already")
        made.update(step.outputs)
    for name in sorted(given - {name for step in steps for name in step.inputs}):
        yield Finding("given_unused", name, "no step reads it")


def _of_references(step: Step, seed: Seed) -> Iterator[Finding]:
    if step.agent not in {agent.agent for agent in seed.agents.agents}:
        yield Finding("agent_unknown", step.step, f"is done by {step.agent}, which has no configuration")
    for field in step.rules.validation:
        if field not in seed.validation.fields:
            yield Finding("rule_unknown", step.step, f"applies the rules of the field {field}, which has none")
    limits = {limit.code for limit in seed.limits.limits}
    for code in step.rules.limits:
        if code not in limits:
            yield Finding("limit_unknown", step.step, f"reads the limit {code}, which is nowhere")
    yield from _of_calculations(step, seed)


def _of_calculations(step: Step, seed: Seed) -> Iterator[Finding]:
    days = validities(seed.calculation.rules)
    for rule_id in step.rules.calculation:
        if rule_id not in days:
            yield Finding("rule_unknown", step.step, f"reads the rule {rule_id}, which is nowhere")
        elif day := _first_day_without(days[rule_id], date(int(years_of(seed.limits)[0]), 1, 1)):
            yield Finding("rule_gap", step.step, f"reads the rule {rule_id}, which does not hold on {day}")
    read = {code for rule in seed.calculation.rules if rule.rule_id in step.rules.calculation for code in rule.limits}
    for code in sorted(read - set(step.rules.limits)):
        yield Finding("limit_unnamed", step.step, f"has a rule that reads {code}, but does not name it")


def _first_day_without(days: list[tuple[date, date]], first: date) -> date | None:
    """Return the first day from `first` on that no validity covers; None when there is none."""
    for start, end in days:
        if start > first:
            return first
        first = max(first, end)
    return None if first == date.max else first


def _of_unused(seed: Seed) -> Iterator[Finding]:
    used = {rule_id for step in seed.pipeline.steps for rule_id in step.rules.calculation}
    for rule_id in sorted({rule.rule_id for rule in seed.calculation.rules} - used):
        yield Finding("rule_unused", rule_id, "no step reads it")
    fields = {field for step in seed.pipeline.steps for field in step.rules.validation}
    for field in sorted(set(seed.validation.fields) - fields):
        yield Finding("rule_unused", field, "no step applies the rules of this field")
