"""Aggregates of a metric's values, per bucket of time: exact where the values are, and never over half a bucket."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from math import ceil, fsum
from typing import Final

from northstar.errors import FieldError, InvalidRequest
from storage.documents import INTEGER_DIGITS, Number
from storage.errors import ValueTooLarge
from storage.kinds.metrics import MetricValue

PLAIN: Final = ("count", "sum", "min", "max", "avg")
LONGEST_BUCKET: Final = timedelta(days=366)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BUCKET: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_PERCENTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?|100)")
_WIDE: Final = Context(prec=400)
"""Wide enough for the exact sum of as many values as one reading gives, each of up to 38 digits anywhere in its range."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The aggregates of the values from `start` on and before `end`; None is where the query has no bound."""

    start: datetime | None
    end: datetime | None
    values: dict[str, Number]


@dataclass(slots=True)
class Gathering:
    """The values of one bucket as they arrive."""

    start: datetime | None
    end: datetime | None
    values: list[Number] = field(default_factory=list)

    def aggregated(self, aggregates: Sequence[str]) -> Bucket:
        """Return the bucket with what was asked for."""
        exact = _exact(self.values)
        return Bucket(self.start, self.end, {name: _aggregate(name, self.values, exact) for name in aggregates})


def parse_bucket(text: str) -> timedelta:
    """Return a bucket's length, such as `5m`. Raises InvalidRequest, naming the accepted forms."""
    found = _BUCKET.fullmatch(text)
    length = timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else timedelta()
    if not timedelta() < length <= LONGEST_BUCKET:
        raise _refused(
            "bucket", f"{text[:40]!a} is no bucket: send a whole number of s, m, h or d up to 366d, such as 5m."
        )
    return length


def parse_aggregates(text: str) -> tuple[str, ...]:
    """Return the aggregates asked for, separated by commas, each once. Raises InvalidRequest, naming the accepted ones."""
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in PLAIN and not _PERCENTILE.fullmatch(name):
            accepted = f"{', '.join(PLAIN)}, or a percentile such as p50, p95, p99.9"
            raise _refused("aggregate", f"{name[:40]!a} is no aggregate: send {accepted}.")
    return names


def bucket_start(moment: datetime, length: timedelta) -> datetime:
    """Return the start of the bucket in which a moment lies: a whole number of lengths since 1970 in UTC."""
    into = (moment - _EPOCH) % length
    return moment - into if moment - _FIRST >= into else _FIRST


class Buckets:
    """Gathers values, which come in the order of their times, into buckets; one for all of them without a length."""

    def __init__(self, start: datetime | None, end: datetime | None, length: timedelta | None) -> None:
        self._start = start
        self._end = end
        self._length = length
        self.whole: list[Gathering] = []
        """Buckets that no later value belongs to."""
        self.last: Gathering | None = None

    def add(self, value: MetricValue) -> None:
        """Take the next value."""
        if self.last is None or (self.last.end is not None and value.ts >= self.last.end):
            if self.last is not None:
                self.whole.append(self.last)
            self.last = self._bucket_of(value.ts)
        self.last.values.append(value.value)

    @property
    def all(self) -> list[Gathering]:
        """Return every bucket so far; the last is whole if no value follows."""
        return [*self.whole, self.last] if self.last else self.whole

    def _bucket_of(self, moment: datetime) -> Gathering:
        if self._length is None:
            return Gathering(self._start, self._end)
        start = bucket_start(moment, self._length)
        return Gathering(start, _LAST if start > _LAST - self._length else start + self._length)


def _aggregate(name: str, values: Sequence[Number], exact: Sequence[int | Decimal] | None) -> Number:
    """Return one aggregate. With a float among the values the sum and the average are floats; else they are exact."""
    if name == "count":
        return len(values)
    if name in {"min", "max"}:
        return (min if name == "min" else max)(values)
    if name == "sum":
        return _float_total(values) if exact is None else _total(exact)
    if name == "avg":
        return _float_total(values) / len(values) if exact is None else _average(exact)
    return _percentile(values, Decimal(name[1:]))


def _exact(values: Sequence[Number]) -> list[int | Decimal] | None:
    return None if any(isinstance(value, float) for value in values) else list(values)  # type: ignore[arg-type]


def _total(values: Sequence[int | Decimal]) -> int | Decimal:
    with localcontext(_WIDE):
        return sum(values)


def _float_total(values: Sequence[Number]) -> float:
    try:
        return fsum(map(float, values))
    except OverflowError:
        raise ValueTooLarge(
            "The sum of a bucket is larger than a float holds.", fix="Send such values as text."
        ) from None


def _average(values: Sequence[int | Decimal]) -> float | Decimal:
    """Return the mean, of decimals rounded to 38 digits, of integers as a float."""
    mean = Context(prec=INTEGER_DIGITS).divide(Decimal(_total(values)), Decimal(len(values)))
    return mean if any(isinstance(value, Decimal) for value in values) else float(mean)


def _percentile(values: Sequence[Number], percent: Decimal) -> Number:
    """Return the smallest value that at least so many percent of the values do not exceed: always one that was stored."""
    return sorted(values)[max(ceil(percent * len(values) / 100) - 1, 0)]


def _refused(field_name: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, fix="Correct the query.", errors=[FieldError(field_name, "invalid", detail)])
