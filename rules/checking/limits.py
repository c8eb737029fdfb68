"""Checks of the annual limits: arithmetic that the law prescribes, who says so, and no figure for an unpublished year."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rules.checking.finding import Finding
from rules.seeds.reading import Seed
from rules.seeds.shapes import FIGURES, Limit, LimitsFile, YearLimit

_FORECAST: Final = re.compile(r"\b(forecasts?|projections?|projected|estimated?|CBO)\b", re.IGNORECASE)
_NEEDED_SOURCES: Final = {"confirmed": 2, "single": 1, "computed": 2, "unverified": 0}


@dataclass(frozen=True, slots=True)
class _Multiple:
    """`code` is `factor` times `base`; in every year, or in `year` of the base's figure in `base_year`."""

    code: str
    factor: Decimal
    base: str
    year: str = ""
    base_year: str = ""


_MULTIPLES: Final = (
    _Multiple("HEALTH_FSA_CARRY_OVER", Decimal("0.2"), "HEALTH_FSA_125I"),
    _Multiple("CATCH_UP_60_63_414V", Decimal("1.5"), "CATCH_UP_50_414V", "2025", "2024"),
    _Multiple("SIMPLE_CATCH_UP_60_63", Decimal("1.5"), "SIMPLE_CATCH_UP_50", "2025", "2025"),
    _Multiple("ELECTIVE_DEFERRAL_457B", Decimal(1), "ELECTIVE_DEFERRAL_402G"),
    _Multiple("PARKING_132F", Decimal(1), "TRANSIT_132F"),
    _Multiple("DEPENDENT_CARE_SEPARATE_129", Decimal("0.5"), "DEPENDENT_CARE_JOINT_129"),
    _Multiple("HDHP_MIN_DEDUCTIBLE_FAMILY", Decimal(2), "HDHP_MIN_DEDUCTIBLE_SELF"),
    _Multiple("HDHP_MAX_OUT_OF_POCKET_FAMILY", Decimal(2), "HDHP_MAX_OUT_OF_POCKET_SELF"),
)


def limit_findings(seed: Seed) -> Iterator[Finding]:
    """Yield what does not fit in the limits."""
    limits = seed.limits
    yield from _of_the_list(limits)
    for limit in limits.limits:
        for year, known in limit.years.items():
            yield from _of_a_year(limit, year, known, limits)
    for multiple in _MULTIPLES:
        yield from _of_a_multiple(multiple, limits)
    yield from _of_totals(limits)
    yield from _of_the_greatest_tax(limits)


def years_of(limits: LimitsFile) -> list[str]:
    """Return the years that any limit has something to say about, in order."""
    return sorted({year for limit in limits.limits for year in limit.years})


def _of_the_list(limits: LimitsFile) -> Iterator[Finding]:
    codes = [limit.code for limit in limits.limits]
    for code in sorted({code for code in codes if codes.count(code) > 1}):
        yield Finding("limit_twice", code, "stands twice")
    every = set(years_of(limits))
    for limit in limits.limits:
        for year in sorted(every - set(limit.years)):
            yield Finding(
                "year_missing",
                f"{limit.code}.{year}",
                "other limits have this year: say what is known",
            )


def _of_a_year(limit: Limit, year: str, known: YearLimit, limits: LimitsFile) -> Iterator[Finding]:
    place = f"{limit.code}.{year}"
    if (known.status in FIGURES) != (known.value is not None):
        yield Finding("figure_and_status", place, f"status {known.status} with value {known.value}")
    if known.value is None:
        return
    if year in limits.not_published or int(year) > limits.known_on.year:
        yield Finding("not_published", place, f"a figure for a year whose limits are not published: {known.value}")
    told = " ".join([known.instrument, known.note, *known.sources])
    if _FORECAST.search(told):
        yield Finding("forecast", place, f"a forecast is not law: {told}")
    if not known.instrument:
        yield Finding("citation_missing", place, "no instrument is named")
    if len(set(known.sources)) < _NEEDED_SOURCES[known.verification]:
        yield Finding(
            "sources", place, f"verification {known.verification} with sources {', '.join(known.sources) or 'none'}"
        )
    if known.verification == "unverified" and not known.note:
        yield Finding("unverified_unexplained", place, "an unverified figure says in a note where it comes from")


def _of_a_multiple(multiple: _Multiple, limits: LimitsFile) -> Iterator[Finding]:
    pairs = [(multiple.year, multiple.base_year)] if multiple.year else [(year, year) for year in years_of(limits)]
    for year, base_year in pairs:
        found, base = limits.figure(multiple.code, year), limits.figure(multiple.base, base_year)
        if found is None or base is None:
            continue
        if found != multiple.factor * base:
            detail = (
                f"{found}, but {multiple.factor} * {multiple.base} of {base_year} ({base}) is {multiple.factor * base}"
            )
            yield Finding("multiple", f"{multiple.code}.{year}", detail)


def _of_totals(limits: LimitsFile) -> Iterator[Finding]:
    for name, control in limits.control_totals.items():
        for year, printed in control.years.items():
            parts = [limits.figure(code, year) for code in control.limits]
            total = sum((part for part in parts if part is not None), Decimal(0))
            if None in parts or total != printed:
                yield Finding(
                    "control_total", f"{name}.{year}", f"{' + '.join(map(str, parts))} is {total}, not {printed}"
                )


def _of_the_greatest_tax(limits: LimitsFile) -> Iterator[Finding]:
    for year in years_of(limits):
        base, rate = (limits.figure(f"SOCIAL_SECURITY_{name}", year) for name in ("WAGE_BASE", "RATE"))
        tax = limits.figure("SOCIAL_SECURITY_MAX_EMPLOYEE_TAX", year)
        if base is None or rate is None or tax != base * rate:
            yield Finding("greatest_tax", f"SOCIAL_SECURITY_MAX_EMPLOYEE_TAX.{year}", f"{tax}, but {base} * {rate}")
