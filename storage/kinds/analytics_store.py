"""AnalyticsStore: rows that are kept once, by time, by run, and counted. Nothing that was acknowledged is lost or stands twice.

How rows lie is `analytics_rows`, how they are kept `analytics_keeping`, how they are read `analytics_reading`, and how they are
counted `analytics_counts`. What a record is, and whether it may come in, is the business of `analytics.records`.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final, Literal
from weakref import WeakKeyDictionary

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ABSENT, Delete, Document, Put
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.analytics_counts import (
    COUNT_BYTES,
    COUNT_PREFIX,
    DIMENSIONS,
    MERGED_AT_ONCE,
    RECEIVED,
    Counts,
    count_key,
)
from storage.kinds.analytics_keeping import Keeping, Kept, count_puts
from storage.kinds.analytics_reading import (
    After,
    Filters,
    Range,
    count_documents,
    days_with_rows,
    rows_at,
    rows_in,
    rows_of_run,
)
from storage.kinds.analytics_rows import (
    COLLECTION,
    SHARDS,
    NewRow,
    StoredRow,
    claim_of,
    claim_ref,
    day_of,
    hour_of,
    instant,
    place_named,
)
from storage.values import checked

Bucket = Literal["hour", "day", "week", "all"]
_ALL_TIME: Final = "2000010100"
"""Stands for one bucket that holds everything."""
MERGE_AFTER: Final = MERGED_AT_ONCE
"""Writes of this process into one partition after which its counts are merged."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows in the order of their instants. `after` is where the next page begins, None on the last one."""

    rows: tuple[StoredRow, ...]
    after: After | None


@dataclass(frozen=True, slots=True)
class Summed:
    """Rows and distinct sessions of one bucket, which begins at `bucket`, with the same values."""

    bucket: datetime
    values: tuple[str | None, ...]
    rows: int
    sessions: int


class _Memory:
    """What a process remembers of one scope of a driver: days whose pointers are there, and writes since the last merge."""

    def __init__(self) -> None:
        self.days: set[str] = set()
        self.writes: Counter[tuple[str, int]] = Counter()


_memories: Final[WeakKeyDictionary[object, dict[tuple[str, ...], _Memory]]] = WeakKeyDictionary()
_lookup: Final = threading.Lock()


class AnalyticsStore:
    """The rows of one scope."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = documents
        with _lookup:
            scopes = _memories.setdefault(documents.cache_anchor, {})
            self._memory = scopes.setdefault(documents.scope.parts, _Memory())

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def scope(self) -> Scope:
        return self._documents.scope

    def keep(self, rows: Sequence[NewRow], token: str) -> Kept:
        """Keep rows with different claims, each exactly once, and count them. The answer says what became of each.

        A row whose claim another row has is not kept: the answer has the row that it met. The same rows may be kept again with
        the same token after a failure; those that had come in are then met with that token. Raises Conflict and what the store
        raises; then some of the rows may have come in.
        """
        if not rows:
            return Kept()
        kept = Keeping(self._documents, token, self._memory.days).keep(rows)
        for partition in kept.partitions:
            self._memory.writes[partition] += 1
            if self._memory.writes[partition] >= MERGE_AFTER:
                self._memory.writes[partition] = 0
                self.merge_counts(*partition)
        return kept

    def count(self, tally: Mapping[str, int], at: datetime, name: str) -> None:
        """Count what was submitted and has no row of its own, such as duplicates. The same `name` counts once."""
        if not any(tally.values()):
            return
        text = instant(at)
        counts = Counts(tally=Counter(tally))
        (put,) = count_puts({hour_of(text): counts}, name)
        day = day_of(text)
        Keeping(self._documents, name, self._memory.days).point_to_days({day})
        try:
            self._documents.write(COLLECTION, (day, "0"), [put], operation_id=name)
        except AlreadyExists:  # counted before
            return

    def rows(self, start: datetime, end: datetime, filters: Filters, *, limit: int, after: After | None) -> RowPage:
        """Return rows with start <= corrected_at < end that say what the filters ask, in order, strictly after a place."""
        found = list(islice(rows_in(self._documents, Range.of(start, end), filters, after), limit + 1))
        page = tuple(found[:limit])
        return RowPage(page, page[-1].order if len(found) > limit else None)

    def run(self, run_id: str) -> list[StoredRow]:
        """Return all rows of a run in the natural order of their steps."""
        return rows_of_run(self._documents, run_id)

    def row(self, row_id: str) -> StoredRow | None:
        """Return one row. Raises InvalidRequest for what is no row's id."""
        place, _, number = row_id.rpartition(".")
        rows = rows_at(self._documents, [place_named(place)])
        return next((row for row in rows if row.row_id == f"{place}.{number}"), None)

    def holders(self, claims: Sequence[str]) -> dict[str, StoredRow]:
        """Return the rows that hold these claims, by claim; none for a claim that nobody holds."""
        found = self._documents.get_many([claim_ref(claim) for claim in claims])
        places = {claim: document.fields["at"] for claim, document in zip(claims, found, strict=True) if document}
        rows = rows_at(self._documents, [place_named(place) for place in dict.fromkeys(places.values())])
        holders = {claim_of(stored.row): stored for stored in rows}
        return {claim: holders[claim] for claim in places if claim in holders}

    def summary(
        self, start: datetime, end: datetime, by: Sequence[str], bucket: Bucket, filters: Filters
    ) -> list[Summed]:
        """Return rows and distinct sessions by these DIMENSIONS and bucket, of the whole hours that the range touches."""
        wanted = [(DIMENSIONS.index(name), value) for name, value in filters.items()]
        places = [DIMENSIONS.index(name) for name in by]
        sums: dict[tuple[str, tuple[str | None, ...]], tuple[int, set[str]]] = {}
        for hour, fields in count_documents(self._documents, Range.of(start, end)):
            for values, rows, sessions in fields["groups"]:
                if all(values[place] == value for place, value in wanted):
                    key = (bucket_of(hour, bucket), tuple(values[place] for place in places))
                    before, seen = sums.get(key, (0, set()))
                    sums[key] = (before + rows, seen | set(sessions))
        order = sorted(sums, key=lambda key: (key[0], [value or "" for value in key[1]]))
        return [
            Summed(datetime.strptime(key[0], "%Y%m%d%H").replace(tzinfo=UTC), key[1], sums[key][0], len(sums[key][1]))
            for key in order
        ]

    def tally(self, start: datetime, end: datetime) -> Counter[str]:
        """Return what became of the submitted records, from the counts of the whole hours that the range touches."""
        total: Counter[str] = Counter()
        for _, fields in count_documents(self._documents, Range.of(start, end)):
            total.update(fields["tally"])
        return total

    def merge_all_counts(self, start: datetime, end: datetime) -> int:
        """Merge counts wherever there are many in the range, and return how many documents were replaced."""
        days = days_with_rows(self._documents, Range.of(start, end))
        return sum(self.merge_counts(day, shard) for day in days for shard in range(SHARDS))

    def merge_counts(self, day: str, shard: int) -> int:
        """Replace small documents of counts of one partition by merged ones, and return how many were replaced."""
        total = 0
        while True:
            page = self._documents.scan(COLLECTION, (day, str(shard)), prefix=COUNT_PREFIX, limit=1000)
            replaced = sum(self._merge(day, shard, group) for group in _mergeable(page.documents))
            total += replaced
            if not replaced:
                return total

    def _merge(self, day: str, shard: int, documents: Sequence[Document]) -> int:
        counts = Counts()
        for document in documents:
            counts.merge(document.fields)
        _, hour, level, name = documents[0].ref.key.split("/")
        merged = counts.documents(hour, [document.ref.key for document in documents])
        if len(merged) > 1:
            return 0
        put = Put(count_key(hour, int(level) + 1, name), merged[0], ABSENT)
        removed = [Delete(document.ref.key, document.version) for document in documents]
        try:
            self._documents.write(COLLECTION, (day, str(shard)), [put, *removed])
        except (AlreadyExists, VersionConflict):  # another process merges them
            return 0
        return len(documents)


def _mergeable(documents: Iterable[Document]) -> list[list[Document]]:
    """Groups of documents of one hour and level that are worth merging: many, and together not too large."""
    groups: dict[tuple[str, str], list[Document]] = {}
    sizes: Counter[tuple[str, str]] = Counter()
    for document in documents:
        _, hour, level, _ = document.ref.key.split("/")
        size = len(checked(document.fields).encoded)
        group = groups.setdefault((hour, level), [])
        if len(group) < MERGED_AT_ONCE and sizes[hour, level] + size <= COUNT_BYTES:
            group.append(document)
            sizes[hour, level] += size
    return [group for group in groups.values() if len(group) >= MERGED_AT_ONCE // 2]


def bucket_of(hour: str, bucket: Bucket) -> str:
    """The first hour of the bucket that an hour lies in: itself, its day's, its ISO week's, or that of all time."""
    if bucket == "hour":
        return hour
    if bucket == "all":
        return _ALL_TIME
    if bucket == "day":
        return hour[:8] + "00"
    day = date(int(hour[:4]), int(hour[4:6]), int(hour[6:8]))
    return (day - timedelta(days=day.weekday())).strftime("%Y%m%d") + "00"


__all__ = ["DIMENSIONS", "RECEIVED", "AnalyticsStore", "Bucket", "NewRow", "RowPage", "StoredRow", "Summed"]
