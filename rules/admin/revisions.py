"""The revisions of a tenant's rules: who made each, when, why, and what it changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.http import HttpResponse

from northstar.errors import InvalidRequest
from routing.admin.stores import PAGE_SIZE, StorePage, Visit, store_page
from rules.admin.asking import KIND, SECTION, TITLES, asked_number
from rules.admin.showing import difference_of
from storage.kinds.rules_layout import YEARS
from storage.kinds.rules_publishing import Difference, Said
from storage.kinds.rules_revisions import Revision

SHOWN: Final = 100
"""Differences on one page."""
TOLD: Final = 4
"""Things that the list names of a revision."""


@dataclass(frozen=True, slots=True)
class Changed:
    """How one rule differs: its name, what it did (added, taken back, changed), and the fields that differ."""

    title: str
    verb: str
    tone: str
    days: str
    fields: list[tuple[str, str, str]]


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
            "rules/compared", f"Revision {before} and {after}", before=before, after=after, **_compared(found)
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
    verb, tone = (
        ("added", "good") if not one.before else ("taken back", "bad") if not one.after else ("changed", "warn")
    )
    return Changed(
        f"{one.owner}: {what}",
        verb,
        tone,
        _days(one.after or one.before),
        difference_of(_body(one.before), _body(one.after)),
    )


def _days(said: Sequence[Said]) -> str:
    return "; ".join(
        ("always" if one.valid_from.year == 1 else f"from {one.valid_from}")
        + (f" up to, and without, {one.valid_to}" if one.valid_to else "")
        for one in said
    )


def _body(said: Sequence[Said]) -> Mapping[str, Any] | None:
    """Return what is said as one body: of several periods, each under its first day."""
    if len(said) == 1:
        return {name: value for name, value in said[0].body.items() if name != "kind"}
    return {f"from {one.valid_from}": dict(one.body) for one in said} or None
