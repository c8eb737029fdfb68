"""Reading rows: ranges of time in order, the rows of a run, and counts by hour.

A range is read window by window (ten seconds each): the shards of a day are scanned side by side, and what lies in one window
is sorted in memory. Memory holds one window of rows and a page of segments per shard, however long the range is.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby
from typing import Any, Final

from storage.documents import Document
from storage.guard import GuardedDocuments
from storage.kinds.analytics_counts import COUNT_PREFIX, current
from storage.kinds.analytics_rows import (
    COLLECTION,
    DAYS,
    SEGMENT_PREFIX,
    SHARDS,
    Place,
    Row,
    StoredRow,
    day_of,
    index_partition,
    instant,
    place_named,
    place_of,
    rows_of,
    run_prefix,
    window_of,
)

SEGMENTS_AT_ONCE: Final = 25
PAGE: Final = 1000
ONE_DAY: Final = timedelta(days=1)
_DIGITS: Final = re.compile(r"(\d+)")

Filters = Mapping[str, Any]
"""What a row must say, by field."""
After = tuple[str, str]
"""The instant and the id of the row that a page follows."""


@dataclass(frozen=True, slots=True)
class Range:
    """A half-open range of time, as the texts by which rows are ordered."""

    start: str
    end: str

    @classmethod
    def of(cls, start: datetime, end: datetime) -> "Range":
        return cls(instant(start), instant(end))

    def holds(self, at: str) -> bool:
        return self.start <= at < self.end


def days_with_rows(documents: GuardedDocuments, span: Range) -> list[str]:
    """The days of a range that have rows, in order."""
    first, last = day_of(span.start), day_of(span.end)
    found = _all(documents, DAYS, "")
    return [document.ref.key for document in found if first <= document.ref.key <= last]


def rows_in(documents: GuardedDocuments, span: Range, filters: Filters, after: After | None) -> Iterator[StoredRow]:
    """Yield the rows of a range that the filters let through, by instant and id, strictly after a place."""
    begin = max(span.start, after[0]) if after else span.start
    for day in days_with_rows(documents, Range(begin, span.end)):
        low = window_of(begin) if day == day_of(begin) else ""
        high = window_of(span.end) if day == day_of(span.end) else ""
        for window in _windows(documents, day, low, high):
            rows = [row for row in window if span.holds(row.row["corrected_at"]) and matches(row.row, filters)]
            rows.sort(key=lambda row: row.order)
            yield from (row for row in rows if after is None or row.order > after)


def _windows(documents: GuardedDocuments, day: str, low: str, high: str) -> Iterator[list[StoredRow]]:
    shards = [_segments(documents, day, shard, low, high) for shard in range(SHARDS)]
    merged = merge(*shards, key=lambda found: found[0].window)
    for _, group in groupby(merged, key=lambda found: found[0].window):
        yield [row for place, document in group for row in rows_of(document, place)]


def _segments(
    documents: GuardedDocuments, day: str, shard: int, low: str, high: str
) -> Iterator[tuple[Place, Document]]:
    cursor = f"{SEGMENT_PREFIX}{low}" if low else None
    bound = f"{SEGMENT_PREFIX}{high}~" if high else None  # after every segment of the last window
    while True:
        page = documents.scan(
            COLLECTION,
            (day, str(shard)),
            prefix=SEGMENT_PREFIX,
            after=cursor,
            before=bound,
            limit=SEGMENTS_AT_ONCE,
        )
        yield from ((place_of(document), document) for document in page.documents)
        if page.cursor is None:
            return
        cursor = page.cursor


def matches(row: Row, filters: Filters) -> bool:
    """Whether a row says what is asked; a reported value counts before the raw one."""
    if not filters:
        return True
    reported = row.get("reported", {})
    return all(reported.get(name, row.get(name)) == wanted for name, wanted in filters.items())


def rows_of_run(documents: GuardedDocuments, run_id: str) -> list[StoredRow]:
    """The rows of a run in the order of their steps: 1, 2, 10, and text beside numbers as people read it."""
    pointers = _all(documents, index_partition(run_id), run_prefix(run_id))
    places = [place_named(pointer.fields["at"]) for pointer in pointers]
    rows = [row for row in rows_at(documents, places) if row.row.get("run_id") == run_id]
    return sorted(rows, key=lambda row: (natural(row.row.get("step_id")), *row.order))


def rows_at(documents: GuardedDocuments, places: list[Place]) -> Iterator[StoredRow]:
    """Yield the rows of these segments; one that never came has none."""
    for start in range(0, len(places), SEGMENTS_AT_ONCE):
        some = places[start : start + SEGMENTS_AT_ONCE]
        for place, document in zip(some, documents.get_many([place.ref for place in some]), strict=True):
            if document:
                yield from rows_of(document, place)


def natural(step: Any) -> tuple[tuple[int, int, str], ...]:
    """Order steps as people do: numbers by value, also inside of text. Rows without a step come last."""
    if step is None:
        return ((2, 0, ""),)
    parts = _DIGITS.split(str(step))
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def count_documents(
    documents: GuardedDocuments, span: Range, wanted: Callable[[str], bool] = lambda _hour: True
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the counts of a range with the hour that each is of, as `YYYYMMDDHH`."""
    first, last = day_of(span.start) + span.start[11:13], day_of(span.end) + span.end[11:13]
    at_the_hour = span.end[13:] <= ":00:00.000000Z"
    for day in days_with_rows(documents, span):
        for shard in range(SHARDS):
            for document in current(_all(documents, (day, str(shard)), COUNT_PREFIX)):
                hour = day + document.fields["hour"]
                if first <= hour and (hour < last if at_the_hour else hour <= last) and wanted(hour):
                    yield hour, document.fields


def _all(documents: GuardedDocuments, partition: tuple[str, ...], prefix: str) -> Iterator[Document]:
    cursor: str | None = None
    while True:
        page = documents.scan(COLLECTION, partition, prefix=prefix, cursor=cursor, limit=PAGE)
        yield from page.documents
        if page.cursor is None:
            return
        cursor = page.cursor
