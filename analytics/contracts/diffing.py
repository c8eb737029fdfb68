"""What a version of a contract would change: stored records judged by what applies now, and as if that version did."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from analytics.contracts.judging import Judge, Verdict
from analytics.contracts.known import compiled
from analytics.contracts.model import AttributionContract
from analytics.contracts.reading import version_of
from northstar.context import NO_SURFACE, RequestContext
from storage.kinds.analytics_reading import After
from storage.kinds.analytics_rows import StoredRow
from storage.kinds.analytics_store import AnalyticsStore
from storage.opening import open_store

PAGE: Final = 500
"""Rows that are read at once."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a verdict comes to: what is decided, in which channel the record counts, and which errors and warnings it has."""

    version: str | None
    decision: str
    channel: str
    codes: tuple[str, ...]

    @classmethod
    def of(cls, verdict: Verdict) -> "Said":
        codes = sorted({f"{one.field}:{one.code}:{one.severity}" for one in verdict.findings})
        return cls(verdict.version, verdict.decision, verdict.channel, tuple(codes))

    @property
    def outcome(self) -> tuple[str, str, tuple[str, ...]]:
        """What counts as a change; the version alone does not."""
        return (self.decision, self.channel, self.codes)


@dataclass(frozen=True, slots=True)
class Change:
    """A stored record whose verdict would be another one."""

    stored: StoredRow
    before: Said
    after: Said


@dataclass(slots=True)
class Difference:
    """What was found in some rows. `after` is where to go on; None where all were looked at."""

    looked_at: int = 0
    judged: int = 0
    changes: list[Change] = field(default_factory=list)
    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    after: After | None = None


class Comparison:
    """Two judges: one as things are, one with a version of a platform's contract in place."""

    def __init__(self, context: RequestContext, platform: str, version: str) -> None:
        """Read the contracts. Raises NotFound for a version that there is not, or as `Judge`."""
        draft = version_of(context, platform, version).contract
        self.draft: Final[AttributionContract] = draft.model_copy(update={"status": "active"})
        self._now = Judge(context)
        self._then = self._now.with_contract(compiled(self.draft))

    def change(self, stored: StoredRow) -> tuple[bool, Change | None]:
        """Return whether the version judges the record, and what would be other than now."""
        before, after = self._now.judge(stored.row), self._then.judge(stored.row)
        judged = self.draft.contract_id in {before.contract_id, after.contract_id}
        change = Change(stored, Said.of(before), Said.of(after))
        return judged, change if change.before.outcome != change.after.outcome else None


def differences(
    context: RequestContext,
    platform: str,
    version: str,
    start: datetime,
    end: datetime,
    *,
    rows: int,
    after: After | None = None,
) -> Difference:
    """Judge up to so many rows of a range of time, strictly after a place, and tell which verdicts would change.

    Whatever came in counts, also what was quarantined or refused. Raises NotFound, or as `open_store`.
    """
    comparison = Comparison(context, platform, version)
    store = _records(context)
    found = Difference(after=after)
    for stored in islice(_rows(store, start, end, after), rows):
        judged, change = comparison.change(stored)
        found.looked_at += 1
        found.judged += judged
        found.after = stored.order
        if change:
            found.changes.append(change)
            found.decisions[change.before.decision, change.after.decision] += 1
    if found.looked_at < rows:
        found.after = None
    return found


def _records(context: RequestContext) -> AnalyticsStore:
    store: Any = open_store("analytics_store", replace(context, surface_id=NO_SURFACE))
    assert isinstance(store, AnalyticsStore)
    return store


def _rows(store: AnalyticsStore, start: datetime, end: datetime, after: After | None) -> Iterator[StoredRow]:
    while True:
        page = store.rows(start, end, {}, limit=PAGE, after=after)
        yield from page.rows
        after = page.after
        if after is None:
            return


def told(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return changes as answers and commands show them."""
    return [
        {
            "row_id": one.stored.row_id,
            "analytics_id": one.stored.row["analytics_id"],
            "corrected_at": one.stored.row["corrected_at"],
            "before": one.before,
            "after": one.after,
        }
        for one in changes
    ]


def decisions_told(found: Difference) -> list[dict[str, Any]]:
    """Return how many records would be decided otherwise, as answers and commands show it."""
    return [
        {"before": before, "after": after, "count": count} for (before, after), count in sorted(found.decisions.items())
    ]
