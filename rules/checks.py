"""Is a seed consistent in itself? All checks run before anything is written: a store gets a sound seed or nothing."""

from collections.abc import Callable, Iterator
from typing import Final

from northstar.errors import FieldError
from rules.checking.calculation import calculation_findings
from rules.checking.finding import Finding
from rules.checking.limits import limit_findings
from rules.checking.steps import step_findings
from rules.checking.validation import validation_findings
from rules.seeds.reading import InvalidSeed, Seed

_CHECKS: Final[tuple[Callable[[Seed], Iterator[Finding]], ...]] = (
    limit_findings,
    calculation_findings,
    validation_findings,
    step_findings,
)


def findings(seed: Seed) -> list[Finding]:
    """Return everything that does not fit; empty for a good seed."""
    return [finding for check in _CHECKS for finding in check(seed)]


def refuse_inconsistent(seed: Seed) -> None:
    """Raises InvalidSeed with every finding, unless there is none."""
    if found := findings(seed):
        errors = [FieldError(one.place, one.code, one.detail) for one in found]
        raise InvalidSeed("The seed contradicts itself.", fix="Mend the files in rules/data.", errors=errors)
