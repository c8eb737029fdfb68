"""What the pages over rules are asked for: a day, a revision, a year. Whatever is no such thing is refused with its fix."""

from datetime import UTC, date, datetime
from typing import Final

from northstar.errors import InvalidRequest
from routing.admin.stores import Visit
from storage.kinds.rules_rows import CALCULATION, LIMIT, STEP, VALIDATION
from storage.kinds.rules_store import RulesStore

SECTION: Final = "Rules"
KIND: Final = "rules_store"
TITLES: Final = {
    STEP: "pipeline step",
    VALIDATION: "validation rule",
    CALCULATION: "calculation rule",
    LIMIT: "limit",
}


def asked_day(visit: Visit) -> date | None:
    """Return the day that is asked for, None for today. Raises InvalidRequest."""
    text = visit.asked("as_of")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text[:40]!a} is no day.", fix="Write it as 2026-12-31.") from None


def asked_number(visit: Visit, name: str) -> int | None:
    """Return a whole number that is asked for, such as a revision; None where none is. Raises InvalidRequest."""
    text = visit.asked(name)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < len(text) <= 9):
        raise InvalidRequest(f"{text[:40]!a} is no {name}.", fix="Write it in digits.")
    return int(text)


def today() -> date:
    """Return the day on which rules are read where none is named."""
    return datetime.now(UTC).date()


def names_of(store: RulesStore, kind: str) -> list[str]:
    """Return what there are rules about, each once: plans, years, or names of rules."""
    units = store.units(kind)
    return sorted({unit.name or unit.owner for unit in units})
