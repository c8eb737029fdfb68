"""Which rule a client gets on a day, and why: whose it is, since when, in which revision, and who else was asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.http import HttpResponse

from northstar.errors import InvalidRequest
from routing.admin.stores import StorePage, Visit, store_page
from rules.admin.asking import KIND, SECTION, asked_day, asked_number, names_of, today
from rules.admin.showing import difference_of
from storage.kinds.rules_errors import RuleNotFoundError
from storage.kinds.rules_history import Entry
from storage.kinds.rules_layout import Unit
from storage.kinds.rules_reading import Answer, row_of
from storage.kinds.rules_rows import CALCULATION, GLOBAL, VALIDATION, AnyRow
from storage.kinds.rules_store import RulesStore

KINDS: Final = {CALCULATION: "Calculation rule", VALIDATION: "Validation rules of a field"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page is asked: which rule, for whom, on which day, in which revision."""

    of: str
    name: str
    client: str
    day: date | None
    revision: int | None

    @property
    def unit(self) -> Unit:
        """What GLOBAL says of it."""
        return Unit(self.of, GLOBAL, self.name)

    def read(self, store: RulesStore, client: str) -> Answer[Any]:
        """Return the answer that a client gets. Raises RuleNotFoundError."""
        if self.of == CALCULATION:
            return store.get_calculation_rule(client, self.name, self.day, revision=self.revision)
        return store.get_validation_rules(client, self.name, self.day, revision=self.revision)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody whose rule could have been the answer, and why it was, or was not."""

    owner: str
    verdict: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of the rule in some revisions about some days."""

    entry: Entry
    row: AnyRow
    stands: bool


@store_page
class ChosenPage(StorePage):
    """Read-only."""

    slug = "rules-chosen"
    title = "Rules for a client"
    section = SECTION
    lead = "Which rule a client gets on a day, and why."
    kind = KIND

    def show(self, visit: Visit) -> HttpResponse:
        """Answer what a client would be answered, and explain it."""
        store = visit.open()
        asked = _asked(visit)
        names = {kind: names_of(store, kind) for kind in KINDS}
        query = {name: visit.asked(name) for name in ("name", "client", "as_of", "revision")} | {"of": asked.of}
        context: dict[str, Any] = {"query": query, "kinds": KINDS, "names": names, "today": today()}
        if not asked.name:
            return visit.answer("rules/chosen", **context)
        try:
            answer = asked.read(store, asked.client or GLOBAL)
        except RuleNotFoundError as refusal:
            return visit.answer("rules/chosen", asked.name, refusal=refusal, asked=asked, status=404, **context)
        context |= _explained(store, asked, answer)
        return visit.answer("rules/chosen", f"{asked.name} for {asked.client or 'everybody'}", **context)


def _asked(visit: Visit) -> Asked:
    of = visit.asked("of", CALCULATION)
    if of not in KINDS:
        raise InvalidRequest(f"{of[:40]!a} is no kind of rule.", fix=f"Ask for one of: {', '.join(KINDS)}.")
    client = visit.asked("client").strip()
    return Asked(of, visit.asked("name").strip(), client, asked_day(visit), asked_number(visit, "revision"))


def _explained(store: RulesStore, asked: Asked, answer: Answer[Any]) -> dict[str, Any]:
    general = _general(store, asked, answer)
    rows = _rows(answer)
    return {
        "asked": asked,
        "answer": answer,
        "rows": rows,
        "found": bool(rows),
        "candidates": _candidates(answer, general),
        "general": general,
        "differs": _differs(rows, _rows(general)) if general else [],
        "history": _history(store, Unit(asked.of, answer.owner, asked.name), rows),
    }


def _rows(answer: Answer[Any] | None) -> Sequence[AnyRow]:
    if answer is None:
        return ()
    return answer.value if isinstance(answer.value, tuple) else (answer.value,)


def _general(store: RulesStore, asked: Asked, answer: Answer[Any]) -> Answer[Any] | None:
    """Return what GLOBAL would have said, where somebody else's rule won."""
    if answer.owner == GLOBAL:
        return None
    try:
        general = asked.read(store, GLOBAL)
    except RuleNotFoundError:
        return None
    return general if _rows(general) else None


def _candidates(answer: Answer[Any], general: Answer[Any] | None) -> list[Candidate]:
    shown = [
        Candidate(
            one.owner, "chosen: the first that has one" if one.entries else "has none on this day", bool(one.entries)
        )
        for one in answer.considered
    ]
    if answer.owner != GLOBAL:
        verdict = "has one, but was not needed" if general else "has none on this day"
        shown.append(Candidate(GLOBAL, verdict, chosen=False))
    return shown


def _differs(own: Sequence[AnyRow], general: Sequence[AnyRow]) -> list[tuple[str, str, str]]:
    return difference_of(_bodies(general), _bodies(own))


def _bodies(rows: Sequence[AnyRow]) -> dict[str, Any]:
    """Return rows as one body: a single one as it is, several by their numbers."""
    bodies = {
        getattr(row, "number", None): {name: value for name, value in row.body().items() if name != "owner"}
        for row in rows
    }
    if list(bodies) == [None]:
        return bodies[None]
    return {f"rule {number}": body for number, body in bodies.items()}


def _history(store: RulesStore, unit: Unit, rows: Sequence[AnyRow]) -> list[Said]:
    said = [(entry, row_of(unit.kind, entry)) for entry in store.history(unit)]
    return [Said(entry, row, row in rows) for entry, row in said]
