"""Do the counts agree with the rows? Everything is counted anew from the rows, and each difference is named."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from storage.kinds.analytics_counts import DIMENSIONS, OUTCOMES, RECEIVED, REPLAYED, Group, group_of
from storage.kinds.analytics_store import AnalyticsStore

PAGE: Final = 1000
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of what was submitted, with what waits in this machine's spool. `received` is all."""

    counts: dict[str, int]
    spooled: int

    @property
    def received(self) -> int:
        return self.counts.get(RECEIVED, 0) + self.spooled

    @property
    def balanced(self) -> bool:
        """Whether received = stored + duplicate + conflict + quarantined + rejected + spooled."""
        return self.received == sum(self.counts.get(name, 0) for name in OUTCOMES) + self.spooled

    def answer(self) -> dict[str, int | bool]:
        told = {name: self.counts.get(name, 0) for name in OUTCOMES}
        replayed = self.counts.get(REPLAYED, 0)
        return {RECEIVED: self.received, **told, "spooled": self.spooled, REPLAYED: replayed, "balanced": self.balanced}


def differences(store: AnalyticsStore, start: datetime, end: datetime, tally: Tally) -> list[str]:
    """Return a sentence for each way in which counts and rows of whole hours disagree; none when they agree."""
    groups: Counter[Group] = Counter()
    outcomes: Counter[str] = Counter()
    sessions: dict[Group, set[str]] = {}
    after = None
    while True:
        page = store.rows(start, end, {}, limit=PAGE, after=after)
        for stored in page.rows:
            group = group_of(stored.row)
            groups[group] += 1
            sessions.setdefault(group, set())
            if stored.row.get("session_id") is not None:
                sessions[group].add(stored.row["session_id"])
            outcomes[REPLAYED if "replay_of" in stored.row else stored.row["outcome"]] += 1
        after = page.after
        if after is None:
            break
    found = [] if tally.balanced else ["received is not the sum of the outcomes"]
    for name in (*OUTCOMES, REPLAYED):
        counted = tally.counts.get(name, 0)
        if name != "duplicate" and counted != outcomes[name]:
            found.append(f"{name}: {counted} counted, {outcomes[name]} rows")
    summed = {one.values: one for one in store.summary(start, end, DIMENSIONS, "all", {})}
    for group in sorted(groups.keys() | summed.keys(), key=str):
        one = summed.get(group)
        counted, seen = (one.rows, one.sessions) if one else (0, 0)
        if counted != groups[group] or seen != len(sessions.get(group, ())):
            found.append(f"{dict(zip(DIMENSIONS, group, strict=True))}: {counted} counted, {groups[group]} rows")
    return found[:SHOWN]
