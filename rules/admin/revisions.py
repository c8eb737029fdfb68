"""The revisions of a tenant's rules: who made each, when, why, and what it changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Final

from django.http import HttpResponse

from northstar.errors import InvalidRequest
from routing.admin.stores import PAGE_SIZE, StorePage, Visit, store_page
from routing.showing import BAD, GOOD, WARN
from rules.admin.asking import KIND, SECTION, TITLES, asked_number
from rules.admin.showing import days, difference_of
from storage.kinds.rules_layout import YEARS
from storage.kinds.rules_publishing import Difference, Said
from storage.kinds.rules_revisions import Revision

SHOWN: Final = 100
"""Differences on one page."""
TOLD: Final = 4
"""Things that the list names of a revision."""


@dataclass(frozen=True, slots=True)
class Spell:
    """What one period of days says now, beside what it said before."""

    days: str
    fields: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Changed:
    """How one rule differs: its name, what happened (added, taken back, changed), and how, period by period."""

    title: str
    verb: str
    tone: str
    spells: list[Spell]


@store_page
class RevisionsPage(StorePage):
    """Read-only: a rollback goes through the API, as a publication does."""

    slug = "rules-revisions"
    title = "Revisions"
    section = SECTION
    lead = "Every publication of rules: who, when, why, and what it changed."
    kind = KIND
    views: ClassVar[dict[str, str]] = {"revision": "revision", "compare": "compare"}

    def show(self, visit: Visit) -> HttpResponse:
        """List revisions, the newest first."""
        store = visit.open()
        after = visit.after()
        found = store.revisions(limit=PAGE_SIZE, after=after)
        rows = [(one, _touched(one), visit.address("revision", number=one.number)) for one in found.items]
        pager = visit.pager(after, found.next_after, {})
        return visit.answer("rules/revisions", rows=rows, pager=pager)

    def revision(self, visit: Visit) -> HttpResponse:
        """Show one revision whole."""
        store = visit.open()
        number = asked_number(visit, "number") or 0
        revision = store.revision(number)
        return visit.answer(
            "rules/revision", f"Revision {number}", revision=revision, **_compared(store.diff(number - 1, number))
        )

    def compare(self, visit: Visit) -> HttpResponse:
        """Show how two revisions differ."""
        before, after = asked_number(visit, "before"), asked_number(visit, "after")
        if before is None or after is None:
            raise InvalidRequest("Two revisions are compared.", fix="Give the numbers of both.")
        found = visit.open().diff(before, after)
        return visit.answer(
            "rules/compared", f"Revisions {before} and {after}", before=before, after=after, **_compared(found)
        )


def _touched(revision: Revision) -> dict[str, Any]:
    """Return what a revision touched: how many rules, and the names of the first few."""
    units = [change.unit for change in revision.changes if change.unit != YEARS]
    names = [" ".join(filter(None, [unit.owner, unit.name])) for unit in units]
    rows = sum(len(change.added) for change in revision.changes if change.unit != YEARS)
    return {"rows": rows, "names": names[:TOLD], "more": len(names) - TOLD}


def _compared(differences: Sequence[Difference]) -> dict[str, Any]:
    shown = [_changed(one) for one in differences[:SHOWN]]
    return {"shown": shown, "total": len(differences)}


def _changed(one: Difference) -> Changed:
    what = " ".join(filter(None, [TITLES.get(one.kind, one.kind), one.name, one.slot]))
    verb, tone = ("added", GOOD) if not one.before else ("taken back", BAD) if not one.after else ("changed", WARN)
    return Changed(f"{one.owner}: {what}", verb, tone, list(_spells(one)))


def _spells(one: Difference) -> Iterator[Spell]:
    """Yield each period that is said now with what its days said before, then the periods that nothing is said of any more."""
    left = list(one.before)
    for now in one.after:
        then = next((said for said in one.before if _overlap(said, now)), None)
        left = [said for said in left if not _overlap(said, now)]
        yield Spell(days(now), difference_of(_body(then), _body(now)))
    for gone in left:
        yield Spell(days(gone), difference_of(_body(gone), None))


def _overlap(one: Said, other: Said) -> bool:
    return one.valid_from < (other.valid_to or date.max) and other.valid_from < (one.valid_to or date.max)


def _body(said: Said | None) -> Mapping[str, Any] | None:
    if said is None:
        return None
    body = {name: value for name, value in said.body.items() if name != "kind"}
    return body | {"valid_from": f"{said.valid_from}", "valid_to": f"{said.valid_to or ''}"}
