"""Annual limits of several years side by side: what changed, who says so, how sure it is, and which year has no figures yet."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from django.http import HttpResponse

from northstar.errors import InvalidRequest, NotFound
from routing.admin.stores import StorePage, Visit, store_page
from rules.admin.asking import KIND, SECTION, asked_number, names_of
from rules.admin.showing import amount, sureness, written
from storage.kinds.rules_errors import NotPublishedError, RuleNotFoundError
from storage.kinds.rules_rows import LIMIT, Limit
from storage.kinds.rules_store import RulesStore

MOST_YEARS: Final = 6
USUAL_YEARS: Final = 4

Codes = Mapping[str, Limit]


@dataclass(frozen=True, slots=True)
class Year:
    """What a store says of a year: its limits by code, or why there are none."""

    number: int
    limits: Codes
    not_published: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One limit in one year, beside the year before."""

    year: Year
    limit: Limit | None
    before: Limit | None

    @property
    def amount(self) -> str:
        """The figure, or in words why there is none."""
        if self.year.not_published:
            return "not published"
        if self.limit is None:
            return "no figure"
        if self.limit.figure is None:
            return self.limit.status.replace("_", " ")
        return amount(self.limit.figure)

    @property
    def has_figure(self) -> bool:
        """Whether there is a figure to read."""
        return self.limit is not None and self.limit.figure is not None

    @property
    def change(self) -> str:
        """How far it moved since the year before: `+$500`; empty where it did not, or where that year is not shown."""
        now, then = (one.figure if one else None for one in (self.limit, self.before))
        if now is None or self.before is None:
            return ""
        if then is None:
            return "new"
        moved = now.value - then.value
        return "" if not moved else f"{'+' if moved > 0 else '-'}{written(abs(moved), now.unit.partition('/')[0])}"

    @property
    def sureness(self) -> str:
        """How well the figure is verified."""
        return sureness(self.limit.verification) if self.limit else ""

    @property
    def instrument(self) -> str:
        """The notice, procedure or law that set the figure."""
        return cited(self.limit)[1]


@dataclass(frozen=True, slots=True)
class Line:
    """One limit over the years that are shown."""

    code: str
    name: str
    section: str
    cells: list[Cell]
    address: str

    @property
    def moved(self) -> bool:
        """Whether any year that is shown differs from the one before it."""
        return any(cell.change for cell in self.cells)


@store_page
class LimitsPage(StorePage):
    """Read-only."""

    slug = "rules-limits"
    title = "Limits"
    section = SECTION
    lead = "Annual limits of several years side by side, with what changed and who says so."
    kind = KIND
    views: ClassVar[dict[str, str]] = {"limit": "limit"}

    def show(self, visit: Visit) -> HttpResponse:
        """Compare years."""
        store = visit.open()
        known = [int(year) for year in names_of(store, LIMIT)]
        if not known:
            return visit.answer("rules/limits", known=known)
        first, last = _asked_years(visit, known)
        revision = asked_number(visit, "revision")
        years = [_year(store, number, revision) for number in range(first, last + 1)]
        only_moved = bool(visit.asked("moved"))
        lines = [line for line in _lines(visit, years) if line.moved or not only_moved]
        query = {"first": first, "last": last, "revision": visit.asked("revision"), "moved": only_moved}
        return visit.answer("rules/limits", known=known, years=years, lines=lines, query=query)

    def limit(self, visit: Visit) -> HttpResponse:
        """Show one limit in every year that there is, with all that is known of it."""
        store = visit.open()
        code, revision = visit.asked("code"), asked_number(visit, "revision")
        years = [_year(store, int(number), revision) for number in names_of(store, LIMIT)]
        found = [year.limits[code] for year in years if code in year.limits]
        if not found:
            raise NotFound(f"No year has the limit {code!a}.", fix="Open it from the list of limits.")
        cells = _cells(years, code)
        return visit.answer("rules/limit", found[-1].name or code, code=code, cells=cells, section=cited(found[-1])[0])


def cited(limit: Limit | None) -> tuple[str, str]:
    """Return the section of the law, and the instrument that set the figure."""
    authority = limit.citation.authority if limit and limit.citation else ""
    section, _, instrument = authority.partition("; ")
    return section, instrument


def _asked_years(visit: Visit, known: list[int]) -> tuple[int, int]:
    last = asked_number(visit, "last") or known[-1]
    first = asked_number(visit, "first") or max(known[0], last - USUAL_YEARS + 1)
    if not 0 <= last - first < MOST_YEARS:
        raise InvalidRequest(
            f"{first} to {last} cannot be shown.", fix=f"Ask for 1 to {MOST_YEARS} years, the earlier first."
        )
    return first, last


def _year(store: RulesStore, number: int, revision: int | None) -> Year:
    try:
        found = store.get_irs_limits(number, revision=revision).value
    except NotPublishedError as refusal:
        return Year(number, {}, refusal.detail)
    except RuleNotFoundError:
        return Year(number, {})
    return Year(number, {limit.code: limit for limit in found})


def _lines(visit: Visit, years: list[Year]) -> list[Line]:
    newest: dict[str, Limit] = {}
    for year in years:
        newest |= year.limits
    return [
        Line(code, limit.name or code, cited(limit)[0], _cells(years, code), visit.address("limit", code=code))
        for code, limit in sorted(newest.items(), key=lambda one: _place(*one))
    ]


def _place(code: str, limit: Limit) -> tuple[int, str, str]:
    """By the number of the section, as people look for it: 125, 402, 3101."""
    section = cited(limit)[0]
    number = re.search(r"\d+", section)
    return (int(number[0]) if number else 0, section, code)


def _cells(years: list[Year], code: str) -> list[Cell]:
    before = [None, *years]
    return [
        Cell(year, year.limits.get(code), then.limits.get(code) if then else None)
        for then, year in zip(before, years, strict=False)
    ]
