"""A pipeline, step by step: who does what with what, by which rules, and what happens when it fails."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from routing.admin.stores import StorePage, Visit, store_page
from routing.showing import QUIET, WARN
from rules.admin.asking import KIND, SECTION, asked_day, asked_number, today
from storage.kinds.rules_layout import Unit
from storage.kinds.rules_rows import CALCULATION, STEP, VALIDATION, Step

DEFAULT: Final = "DEFAULT_BiWeeklyFri"
_FAILURES: Final = {
    "stop": ("stops the batch", QUIET),
    "retry": ("is tried again", WARN),
    "review": ("waits for a person", WARN),
    "skip": ("goes on without it", QUIET),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A rule that a step uses, and where it is shown."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step with its rules by what they are."""

    step: Step
    calculations: list[Named]
    validations: list[Named]
    limits: list[Named]
    failure: tuple[str, str]

    @property
    def number(self) -> str:
        """As the store's key has it."""
        return f"{self.step.number:04}"


@store_page
class PipelinesPage(StorePage):
    """Read-only: rules are published through the API or by `seed_rules`."""

    slug = "rules-pipelines"
    title = "Pipelines"
    section = SECTION
    lead = "What a run does, step by step, by which rules."
    kind = KIND
    views: ClassVar[dict[str, str]] = {}

    def show(self, visit: Visit) -> HttpResponse:
        """Show the steps of one plan on one day."""
        store = visit.open()
        units = store.units()
        plans = sorted(unit.owner for unit in units if unit.kind == STEP)
        query = {name: visit.asked(name) for name in ("plan", "client", "as_of", "revision")}
        plan = query["plan"] or (DEFAULT if DEFAULT in plans or not plans else plans[0])
        context: dict[str, Any] = {"plans": plans, "query": query | {"plan": plan}, "today": today()}
        if not plans and not query["plan"]:
            return visit.answer("rules/pipelines", **context)
        answer = store.get_pipeline(
            plan, asked_day(visit), client_id=query["client"] or None, revision=asked_number(visit, "revision")
        )
        steps = [_shown(visit, step, units, query) for step in answer.value]
        return visit.answer("rules/pipelines", f"Pipeline {answer.owner}", answer=answer, steps=steps, **context)


def _shown(visit: Visit, step: Step, units: Iterable[Unit], query: dict[str, str]) -> ShownStep:
    names = {kind: {unit.name for unit in units if unit.kind == kind} for kind in (CALCULATION, VALIDATION)}
    parts: dict[str, list[Named]] = {CALCULATION: [], VALIDATION: [], "": []}
    for name in step.rules:
        kind = next((kind for kind, known in names.items() if name in known), "")
        parts[kind].append(Named(name, _address(visit, kind, name, query)))
    return ShownStep(step, parts[CALCULATION], parts[VALIDATION], parts[""], _FAILURES[step.on_failure])


def _address(visit: Visit, kind: str, name: str, query: dict[str, str]) -> str:
    if not kind:
        given = {"code": name, "revision": query["revision"]}
        return f"{reverse('admin:stores_rules-limits_limit')}?{urlencode(visit.place.query | _said(given))}"
    given = {"of": kind, "name": name} | {one: query[one] for one in ("client", "as_of", "revision")}
    return f"{reverse('admin:stores_rules-chosen')}?{urlencode(visit.place.query | _said(given))}"


def _said(query: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}
