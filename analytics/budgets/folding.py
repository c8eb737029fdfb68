"""Folding: rows that nobody asks for any more become one sum per counter, in atomic writes that change no counter.

So a counter stays the sum over what is kept of its rows, and keeping them costs days of usage, not years.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from analytics.budgets.names import COUNTERS, FOLDED, ROWS
from analytics.budgets.places import Place, open_place
from analytics.budgets.rows import BUCKET_MARK, SETTLED, Row, Sums, stored_row, stored_sums
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ABSENT, ATOMIC_OPERATIONS, Delete, Increment, Operation, Put

ROWS_KEPT: Final = timedelta(days=2)
"""For so long after it was settled a row answers to its key: twice as long as the API remembers an Idempotency-Key."""
TOGETHER: Final = 20


def fold(context: RequestContext, place: Place, now: datetime) -> int:
    """Fold what was settled more than two days ago, and return how many rows that were."""
    folded, after, before = 0, None, now - ROWS_KEPT
    while True:
        page = place.page(ROWS, after)
        rows = [
            stored_row(record.key, record.data, record.version)
            for record in page.records
            if record.updated_at < before and record.data["state"] in SETTLED
        ]
        owed = _owed(context, rows)
        ready = [row for row in rows if row.key not in owed]
        for start in range(0, len(ready), TOGETHER):
            folded += _fold(place, ready[start : start + TOGETHER])
        after = page.next_after
        if after is None:
            return folded


def _owed(context: RequestContext, rows: Sequence[Row]) -> set[str]:
    """The keys of rows that another place still needs: a home row until its leg is settled, a leg until its home row is gone."""
    homes = [row for row in rows if row.leg]
    owed = set()
    if homes:
        legs = open_place(context, None).get_many([row.leg for row in homes])
        owed = {
            row.key for row, leg in zip(homes, legs, strict=True) if leg is None or leg.data["state"] not in SETTLED
        }
    by_project: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.home:
            by_project[row.facts["project"]].append(row)
    for project, legs_there in by_project.items():
        found = open_place(context, project).get_many([row.home for row in legs_there])
        owed |= {row.key for row, home in zip(legs_there, found, strict=True) if home is not None}
    return owed


def _fold(place: Place, rows: Sequence[Row]) -> int:
    """Fold some rows in one write, or half of them where their counters are too many. Somebody else's change leaves them be."""
    sums = _sums(rows)
    if len(rows) + 2 * len(sums) > ATOMIC_OPERATIONS:
        middle = len(rows) // 2
        return _fold(place, rows[:middle]) + _fold(place, rows[middle:])
    keys = [FOLDED + counter.removeprefix(COUNTERS) for counter in sums]
    folded, counters = place.get_many(keys), place.get_many(list(sums))
    operations: list[Operation] = [Delete(row.key, row.version) for row in rows]
    for (counter, gained), key, record, current in zip(sums.items(), keys, folded, counters, strict=True):
        kept: dict[str, Any] = record.data if record else {}
        total = {name: kept.get(name, 0) + gained.get(name, 0) for name in {**kept, **gained}}
        total = _without_gone(total, stored_sums(current.data, current.version)) if current else total
        operations += [Put(key, total, record.version if record else ABSENT), Increment(counter, {"used": 0})]
    try:
        place.write(operations)
    except (AlreadyExists, VersionConflict):
        return 0
    return len(rows)


def _without_gone(total: dict[str, int], counter: Sums) -> dict[str, int]:
    """Leave out sub-buckets that have left their window and the counter: they are never compared again, and would fill the
    document."""
    oldest = min(counter.buckets, default=None)
    buckets = stored_sums(total, 0).buckets
    gone = [bucket for bucket in buckets if oldest is None or bucket < oldest]
    kept = {name: value for name, value in total.items() if name not in {f"{BUCKET_MARK}{bucket}" for bucket in gone}}
    return {**kept, "used": total["used"] - sum(buckets[bucket] for bucket in gone)}


def _sums(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        for charge in row.charges:
            gained = sums.setdefault(charge.counter, {"used": 0})
            gained["used"] += charge.used
            if charge.bucket is not None:
                name = f"{BUCKET_MARK}{charge.bucket}"
                gained[name] = gained.get(name, 0) + charge.used
    return sums
