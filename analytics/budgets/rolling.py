"""Rolling windows: sub-buckets that have left the window are taken out of its counter, in one conditional write.

Until then they still count: a rolling limit is never passed, and at most one sub-bucket late to be free again.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from analytics.budgets.places import Place
from analytics.budgets.remembered import Remembered
from analytics.budgets.rows import Sums, read_sums
from analytics.budgets.windows import WindowRule
from storage.documents import Put
from storage.errors import VersionConflict

ATTEMPTS: Final = 8
_rolled: Final = Remembered[int]()


def live(sums: Sums, rule: WindowRule, now: datetime) -> Sums:
    """Return the counter without what has left the window."""
    oldest = rule.oldest_bucket(now)
    kept = {bucket: used for bucket, used in sums.buckets.items() if bucket >= oldest}
    gone = sum(sums.buckets.values()) - sum(kept.values())
    return replace(sums, used=sums.used - gone, buckets=kept)


def roll(place: Place, counter: str, rule: WindowRule, now: datetime | None = None) -> bool:
    """Take out what has left the window, and return whether there was anything."""
    moment = now or datetime.now(UTC)
    for _ in range(ATTEMPTS):
        sums = read_sums(place, [counter])[counter]
        after = live(sums, rule, moment)
        if len(after.buckets) == len(sums.buckets):
            return False
        try:
            place.write([Put(counter, after.fields(), sums.version)])
        except VersionConflict:
            continue
        return True
    return False  # others write it all the time, and one of them will get through


def roll_when_due(place: Place, counter: str, rule: WindowRule) -> None:
    """Roll once per sub-bucket and process, so that a counter which nothing refuses keeps its size."""
    bucket = int(datetime.now(UTC).timestamp()) // rule.bucket_seconds
    if _rolled.get(place, counter) != bucket:
        _rolled.keep(place, bucket, counter)
        roll(place, counter, rule)
