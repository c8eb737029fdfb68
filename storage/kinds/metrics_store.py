"""MetricsStore: values of named metrics over time, found again by time and tags, aggregated per bucket, the latest at once.

Time here is event time: a value that arrives late takes its place among the others, and the latest is the latest that happened.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary

from uuid_utils import uuid7

from northstar.context import RequestContext
from northstar.instants import instant_text
from storage.documents import ABSENT, BulkPut, Document
from storage.errors import AlreadyExists, ValueTooLarge
from storage.guard import PAGE_LIMIT, GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.metric_buckets import Bucket, Buckets, Gathering
from storage.kinds.metric_reading import SCANS, VALUES, Reading, Span
from storage.kinds.metrics import (
    RECEIPT_LASTS,
    MetricValue,
    NewValue,
    Series,
    check_name,
    check_operation_id,
    checked_values,
    value_of,
)

Tags = Mapping[str, str]
DAYS_REMEMBERED: Final = 10_000
"""Days of metrics of which a process knows that they stand in the list of days."""


@dataclass(frozen=True, slots=True)
class MetricPage:
    """Values in the order of their times. `next_after` is where to go on, None on the last page."""

    values: tuple[MetricValue, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class BucketPage:
    """Whole buckets in the order of their times, without those that have no value; `next_after` as above."""

    buckets: tuple[Bucket, ...]
    next_after: str | None


class MetricsStore:
    """The metrics of one scope. A metric exists as soon as it has a value."""

    def __init__(self, documents: GuardedDocuments, context: RequestContext) -> None:
        self.context = context
        self._documents = documents

    @property
    def served_by(self) -> ServedBy:
        return self._documents.served_by

    @property
    def scope(self) -> Scope:
        return self._documents.scope

    def ingest(self, name: str, values: Sequence[NewValue], *, operation_id: str = "") -> list[MetricValue]:
        """Store 1 to 1000 values and return them as stored, in the order given; a missing `ts` is now.

        All are checked before any is written. The same operation id again, within a day, stores nothing twice. A backend that
        fails in the middle raises: some may be stored, and only a repetition with the same operation id is then safe.
        """
        check_operation_id(operation_id)
        series = self._series(name)
        good = checked_values(values, datetime.now(UTC))
        now = self._moment_of(series, good, operation_id)
        mark = operation_id or uuid7().hex
        puts = [series.put(value, now, f"{mark}-{number:04}") for number, value in enumerate(good)]
        self._announce_days(series, {instant_text(put.fields["ts"])[:10] for put in puts})
        self._store(puts)
        return [MetricValue(**put.fields) for put in puts]

    def query(
        self,
        name: str,
        span: Span = Span(),  # noqa: B008 - frozen
        tags: Tags | None = None,
        *,
        limit: int = 100,
    ) -> MetricPage:
        """Return up to `limit` (1 to 1000) values of a span, in the order of their times, that have all these tags.

        A page may have fewer, even none, and yet a next one: one call reads at most 64,000 values, in at most 400 round trips.
        """
        series = self._series(name)
        reading = Reading(self._documents, series, span, size=PAGE_LIMIT if tags else min(limit + 1, PAGE_LIMIT))
        found: list[Document] = []
        for page in reading.pages():
            found += [document for document in page if _has(document, tags)]
            if len(found) > limit:
                break
        more = len(found) > limit
        kept = found[:limit]
        next_after = kept[-1].ref.key.removeprefix(series.lead) if more else reading.stopped_at
        return MetricPage(tuple(map(value_of, kept)), next_after)

    def latest(self, name: str, tags: Tags | None = None, *, end: datetime | None = None) -> MetricValue | None:
        """Return the value with the latest event time (before `end`) that has all these tags, or None.

        Raises ValueTooLarge when none of the latest 64,000 has them: give an `end`, or fewer tags.
        """
        size = PAGE_LIMIT if tags else 1
        reading = Reading(self._documents, self._series(name), Span(end=end), size=size, reverse=True)
        for page in reading.pages():
            for document in page:
                if _has(document, tags):
                    return value_of(document)
        if reading.stopped_at is not None:
            raise ValueTooLarge(
                f"None of the latest values of {name!a} that one call may read has these tags.",
                fix="Query a span of time instead.",
            )
        return None

    def aggregate(
        self,
        name: str,
        aggregates: Sequence[str],
        span: Span = Span(),  # noqa: B008 - frozen
        tags: Tags | None = None,
        *,
        bucket: timedelta | None = None,
        limit: int = 100,
    ) -> BucketPage:
        """Return aggregates of a span's values that have all these tags, per bucket; without `bucket` over all of them.

        Buckets begin at whole multiples of their length since 1970 in UTC. A page ends with a whole bucket. Raises ValueTooLarge
        for a bucket with more values than one call may read.
        """
        buckets = Buckets(span.start, span.end, bucket)
        reading = Reading(self._documents, self._series(name), span)
        for page in reading.pages():
            for document in page:
                if _has(document, tags):
                    buckets.add(value_of(document))
            if len(buckets.whole) >= limit:
                break
        else:
            if reading.stopped_at is not None:
                return self._unfinished(name, buckets, reading.stopped_at, aggregates)
        found = buckets.all
        whole, rest = found[:limit], found[limit:]
        return BucketPage(_aggregated(whole, aggregates), _begin(rest[0]) if rest else None)

    def _unfinished(self, name: str, buckets: Buckets, stopped_at: str, aggregates: Sequence[str]) -> BucketPage:
        """Return the whole buckets of a reading that was broken off: the last may have more values."""
        if buckets.last is None:
            return BucketPage((), stopped_at)
        if not buckets.whole:
            raise ValueTooLarge(
                f"The first bucket of {name!a} has more values, or values on more days, than one call may read.",
                fix=f"Ask for shorter buckets, or for a shorter span: {VALUES} values or {SCANS} days at most.",
            )
        return BucketPage(_aggregated(buckets.whole, aggregates), _begin(buckets.last))

    def _series(self, name: str) -> Series:
        check_name(name)
        return Series(name, one_log=not self._documents.limits.bounded_partitions)

    def _moment_of(self, series: Series, values: Sequence[NewValue], operation_id: str) -> datetime:
        """Return the time of values that have none: now, or what it was at the first attempt of this operation."""
        now = datetime.now(UTC)
        if not operation_id or all(value.ts for value in values):
            return now
        receipt = series.receipt_ref(operation_id)
        try:
            self._documents.put(receipt, {"at": now}, expect=ABSENT, expires_at=now + RECEIPT_LASTS)
        except AlreadyExists:
            kept = self._documents.get(receipt)
            return now if kept is None else _moment(kept.fields["at"])
        return now

    def _announce_days(self, series: Series, days: set[str]) -> None:
        """Write down which days have values, before they do: no reader then passes over one."""
        if series.one_log:
            return
        known = _known_days(self._documents.cache_anchor)
        new = [day for day in sorted(days) if (self.scope, series.name, day) not in known]
        if new:
            self._store([BulkPut(series.day_ref(day), {"day": day}) for day in new])
            known.add((self.scope, series.name, day) for day in new)

    def _store(self, puts: Sequence[BulkPut]) -> None:
        for outcome in self._documents.put_many(puts):
            if isinstance(outcome, Exception):
                raise outcome


class _Known:
    """The days that this process has seen in the list of days: the newest of them, so that it never grows without end."""

    def __init__(self) -> None:
        self._days: OrderedDict[Any, None] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, day: object) -> bool:
        return day in self._days

    def add(self, days: Any) -> None:
        with self._lock:
            self._days.update(dict.fromkeys(days))
            while len(self._days) > DAYS_REMEMBERED:
                self._days.popitem(last=False)


_known: Final[WeakKeyDictionary[Any, _Known]] = WeakKeyDictionary()


def _known_days(anchor: Any) -> _Known:
    return _known.setdefault(anchor, _Known())


def _has(document: Document, tags: Tags | None) -> bool:
    kept = document.fields["tags"]
    return all(kept.get(name) == value for name, value in (tags or {}).items())


def _moment(value: Any) -> datetime:
    assert isinstance(value, datetime)
    return value


def _aggregated(buckets: Sequence[Gathering], aggregates: Sequence[str]) -> tuple[Bucket, ...]:
    return tuple(bucket.aggregated(aggregates) for bucket in buckets)


def _begin(bucket: Gathering) -> str:
    """Return the place before the first value of a bucket that is not the first."""
    assert bucket.start is not None
    return instant_text(bucket.start)
