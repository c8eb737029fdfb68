"""What a metric's value is: its rules before it is stored, its document, and its place among the others of its metric.

A value is one document, `{time}/{id}`, so that the order of keys is the order of event times. Where the service bounds a
partition, (name, day) is one, and (name, "days") names the days that have values. Elsewhere all values of a scope are one log,
("raw",), in which the metric's name comes first in the key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from northstar.errors import InvalidRequest
from northstar.instants import instant_text
from storage.documents import BulkPut, Document, Number, Partition, Ref
from storage.errors import InvalidKey, InvalidValue, ValueTooLarge
from storage.keys import check_text
from storage.values import check_fields, check_number

COLLECTION: Final = "metrics_store"
VALUES_PER_INGEST: Final = 1000
NAME_BYTES: Final = 200
SOURCE_BYTES: Final = 200
TAGS: Final = 32
TAG_NAME_BYTES: Final = 100
TAG_VALUE_BYTES: Final = 256
RECEIPT_LASTS: Final = timedelta(days=2)
"""Longer than an Idempotency-Key is remembered."""

_DAY: Final = slice(0, 10)
_RAW: Final = "raw"
_DAYS: Final = "days"
_RECEIPTS: Final = "receipts"
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,80}")


@dataclass(frozen=True, slots=True)
class NewValue:
    """A value to store. `ts` is when it was so (UTC, default now); `tags` name and value, both text."""

    value: Number
    ts: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A stored value of a metric, exactly as it was given: an int, a float or a Decimal."""

    metric_name: str
    value: Number
    ts: datetime
    tags: dict[str, str]
    source: str | None


@dataclass(frozen=True, slots=True)
class Series:
    """One metric: makes its refs and bounds. `one_log`: all of a scope's metrics share a partition."""

    name: str
    one_log: bool

    @property
    def lead(self) -> str:
        """What every key of this metric starts with. A name holds no slash, so no metric's lead starts another's."""
        return f"{self.name}/" if self.one_log else ""

    def partition(self, moment: str) -> Partition:
        """Return where a value of this moment, or a bound that starts with a moment, lies."""
        return (_RAW,) if self.one_log else (self.name, moment[_DAY])

    @property
    def days(self) -> Partition:
        return (self.name, _DAYS)

    def value_ref(self, moment: str, value_id: str) -> Ref:
        return Ref(COLLECTION, self.partition(moment), f"{self.lead}{moment}/{value_id}")

    def day_ref(self, day: str) -> Ref:
        return Ref(COLLECTION, self.days, day)

    def receipt_ref(self, operation_id: str) -> Ref:
        partition = (_RECEIPTS,) if self.one_log else (self.name, _RECEIPTS)
        return Ref(COLLECTION, partition, f"{self.lead}{operation_id}")

    def put(self, given: NewValue, now: datetime, value_id: str) -> BulkPut:
        """Return the write of one value."""
        ts = given.ts or now
        fields = {
            "metric_name": self.name,
            "value": given.value,
            "ts": ts,
            "tags": dict(given.tags),
            "source": given.source,
        }
        return BulkPut(self.value_ref(instant_text(ts), value_id), fields)


def value_of(document: Document) -> MetricValue:
    """Return a value from its document."""
    return MetricValue(**document.fields)


def checked_values(values: Sequence[NewValue], now: datetime) -> list[NewValue]:
    """Return the values with their times in UTC, all of them good. Raises InvalidRequest, InvalidValue or ValueTooLarge."""
    if not values:
        raise InvalidRequest("There is no value.", fix=f"Send 1 to {VALUES_PER_INGEST} values.")
    if len(values) > VALUES_PER_INGEST:
        raise ValueTooLarge(
            f"There are {len(values)} values; {VALUES_PER_INGEST} are allowed at once.",
            fix="Send them in several calls.",
        )
    return [_checked(value, now) for value in values]


def check_name(name: str) -> None:
    """Refuse a metric's name that is no key, or that holds a slash. Raises InvalidKey."""
    check_text(name, what="metric name", max_bytes=NAME_BYTES)
    if "/" in name:
        raise InvalidKey(f"The metric name {name!a} holds a slash.", fix="Use dots, such as orders.paid.")


def check_operation_id(operation_id: str) -> None:
    """Refuse an operation id that could not stand in a key. Raises InvalidRequest."""
    if operation_id and not _ID.fullmatch(operation_id):
        raise InvalidRequest("An operation id of metrics has 1 to 80 letters, digits and dashes.")


def _checked(given: NewValue, now: datetime) -> NewValue:
    check_number("value", given.value)
    if given.source is not None:
        check_text(given.source, what="source", max_bytes=SOURCE_BYTES)
    _check_tags(given.tags)
    value = NewValue(given.value, _utc(given.ts) if given.ts else given.ts, given.tags, given.source)
    check_fields({"value": value.value, "ts": value.ts or now})
    return value


def _check_tags(tags: Mapping[str, Any]) -> None:
    if len(tags) > TAGS:
        raise InvalidValue(f"A value has {len(tags)} tags; {TAGS} are allowed.", fix="Keep those that queries ask for.")
    for name, text in tags.items():
        check_text(name, what="tag name", max_bytes=TAG_NAME_BYTES)
        if not isinstance(text, str):
            raise InvalidValue(f"The tag {name!a} is no text.", fix="Send tags as text.")
        check_text(text, what=f"tag {name}", max_bytes=TAG_VALUE_BYTES)


def _utc(ts: datetime) -> datetime:
    if ts.utcoffset() is None:
        raise InvalidValue("A value's ts has no time zone.", fix="Give it in UTC, such as 2026-11-20T12:00:00Z.")
    try:
        return ts.astimezone(UTC)
    except OverflowError:
        raise InvalidValue("A value's ts lies outside the years 1 to 9999.") from None
