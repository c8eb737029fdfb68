"""Metrics: values at their event time, found by span and tags, aggregated exactly, in few and bounded round trips."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any, ClassVar

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from northstar.errors import InvalidRequest
from storage.backends.filesystem import FilesystemDocuments
from storage.documents import Limits, Number
from storage.errors import BackendUnavailable, InvalidKey, InvalidValue, ValueTooLarge
from storage.kinds import metric_reading
from storage.kinds.metric_buckets import Buckets, bucket_start, parse_aggregates, parse_bucket
from storage.kinds.metric_reading import Span
from storage.kinds.metrics import MetricValue, NewValue
from storage.kinds.metrics_store import MetricsStore
from tests.storage.stores import FilesystemStores

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NO_TEXT: Any = {"n": 1}
PLAIN = ("count", "sum", "min", "max", "avg")


class Spread(FilesystemDocuments):
    """As a cloud driver declares it: a partition for each metric and day. Counts what is asked of it, and fails on request."""

    limits: ClassVar[Limits] = Limits()
    scans: ClassVar[list[tuple[str, ...]]] = []
    failing: ClassVar[set[str]] = set()
    _lock: ClassVar[Lock] = Lock()

    def scan(self, collection, partition, **options):
        with self._lock:
            self.scans.append(partition)
        return super().scan(collection, partition, **options)

    def put_many(self, documents):
        outcomes = super().put_many([one for one in documents if one.fields.get("source") not in self.failing])
        done = iter(outcomes)
        away = BackendUnavailable("away")
        return [away if one.fields.get("source") in self.failing else next(done) for one in documents]


class OneLog(Spread):
    limits: ClassVar[Limits] = Limits(bounded_partitions=False)


@pytest.fixture(params=[Spread, OneLog])
def stores(request, tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    made = FilesystemStores(tmp_path, request.param)
    Spread.scans.clear()
    Spread.failing.clear()
    yield made
    made.close()


@pytest.fixture
def metrics(stores) -> MetricsStore:
    opened: MetricsStore = stores.open(MetricsStore, "metrics_store")
    return opened


def ticks(count: int, step: timedelta = MINUTE, start: datetime = NOON, **more) -> list[NewValue]:
    return [NewValue(number, start + number * step, **more) for number in range(count)]


def values(page) -> list[object]:
    return [value.value for value in page.values]


def everything(metrics, name, span=Span(), tags=None, limit=1000):  # noqa: B008
    found, after = [], span.after
    while True:
        page = metrics.query(name, Span(span.start, span.end, after), tags, limit=limit)
        assert len(page.values) <= limit
        found += values(page)
        after = page.next_after
        if after is None:
            return found


def test_values_come_back_exactly_in_the_order_of_their_times(metrics):
    given_: list[Number] = [Decimal("0.10"), 2**100, 1.5, -3, Decimal("1E+30")]
    stored = metrics.ingest("kpi", [NewValue(one, NOON - n * HOUR, {"n": str(n)}, "s") for n, one in enumerate(given_)])
    assert [one.value for one in stored] == given_
    found = metrics.query("kpi").values
    assert found == tuple(reversed(stored))
    assert [type(one.value) for one in reversed(found)] == [Decimal, int, float, int, Decimal]
    assert str(found[-1].value) == "0.10"


def test_the_latest_is_the_latest_that_happened_not_the_last_that_arrived(metrics):
    for hours in (0, -50, 3, -1):
        metrics.ingest("kpi", [NewValue(hours, NOON + hours * HOUR, {"region": "eu" if hours < 0 else "us"})])
    assert metrics.latest("kpi").value == 3
    assert metrics.latest("kpi", {"region": "eu"}).value == -1
    assert metrics.latest("kpi", end=NOON).value == -1
    assert metrics.latest("kpi", {"region": "asia"}) is None
    assert metrics.latest("other") is None


def test_of_values_at_one_moment_the_latest_is_the_one_given_last(metrics):
    metrics.ingest("kpi", [NewValue(number, NOON) for number in range(20)])
    assert metrics.latest("kpi").value == 19


def test_a_span_has_its_start_and_not_its_end_over_midnights(metrics):
    metrics.ingest("kpi", ticks(96, HOUR, NOON.replace(hour=0)))
    span = Span(NOON.replace(hour=5), NOON.replace(hour=5) + 2 * DAY)
    assert everything(metrics, "kpi", span) == list(range(5, 53))
    midnight = NOON.replace(hour=0) + DAY
    assert everything(metrics, "kpi", Span(midnight, midnight + DAY)) == list(range(24, 48))
    assert everything(metrics, "kpi", Span(end=NOON.replace(hour=0))) == []


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_follow_each_other_without_gap_or_repeat(metrics, limit):
    metrics.ingest("kpi", ticks(60, 3 * HOUR, tags={"a": "b"}))
    metrics.ingest("kpi", ticks(60, 3 * HOUR, NOON + MINUTE))
    assert everything(metrics, "kpi", tags={"a": "b"}, limit=limit) == list(range(60))
    assert everything(metrics, "kpi", limit=limit) == sorted([*range(60), *range(60)])


def test_metrics_tenants_and_names_that_start_alike_are_apart(stores, metrics):
    for name in ("kpi", "kpi.paid", "kp"):
        metrics.ingest(name, [NewValue(len(name), NOON)])
    stores.open(MetricsStore, "metrics_store", "globex").ingest("kpi", [NewValue(99, NOON)])
    assert {name: everything(metrics, name) for name in ("kpi", "kpi.paid", "kp")} == {
        "kpi": [3],
        "kpi.paid": [8],
        "kp": [2],
    }


def test_buckets_are_aligned_exact_and_without_the_empty_ones(metrics):
    amounts = ["0.1", "0.2", "0.3", "10"]
    times = [NOON, NOON + 9 * MINUTE, NOON + 10 * MINUTE, NOON + 41 * MINUTE]
    metrics.ingest("spend", [NewValue(Decimal(one), at) for one, at in zip(amounts, times, strict=True)])
    found = metrics.aggregate("spend", (*PLAIN, "p50"), bucket=10 * MINUTE).buckets
    assert [(one.start, one.end) for one in found] == [
        (NOON + minutes * MINUTE, NOON + (minutes + 10) * MINUTE) for minutes in (0, 10, 40)
    ]
    first = found[0].values
    assert first == {
        "count": 2,
        "sum": Decimal("0.3"),
        "min": Decimal("0.1"),
        "max": Decimal("0.2"),
        "avg": Decimal("0.15"),
        "p50": Decimal("0.1"),
    }
    whole = metrics.aggregate("spend", ("sum", "p95"), Span(NOON, NOON + HOUR)).buckets
    assert [(one.start, one.values) for one in whole] == [(NOON, {"sum": Decimal("10.6"), "p95": Decimal(10)})]
    assert metrics.aggregate("none", ("sum",)).buckets == ()


def test_pages_of_buckets_end_with_whole_buckets(metrics):
    metrics.ingest("kpi", ticks(120, MINUTE))
    found, after = [], None
    while True:
        page = metrics.aggregate("kpi", ("count", "sum"), Span(after=after), bucket=7 * MINUTE, limit=4)
        found += page.buckets
        after = page.next_after
        if after is None:
            break
    assert sum(one.values["count"] for one in found) == 120
    assert sum(one.values["sum"] for one in found) == sum(range(120))
    assert len({one.start for one in found}) == len(found) == 18


def test_many_sparse_days_are_one_call_in_few_round_trips(stores, metrics):
    metrics.ingest("kpi", ticks(80, DAY))
    Spread.scans.clear()
    (found,) = metrics.aggregate("kpi", ("count", "sum")).buckets
    assert found.values == {"count": 80, "sum": sum(range(80))}
    assert len(Spread.scans) == (1 if isinstance(metrics._documents._driver, OneLog) else 80 + 2)
    Spread.scans.clear()
    metrics.query("kpi", Span(NOON + 10 * DAY, NOON + 13 * DAY))
    metrics.latest("kpi")
    assert len(Spread.scans) <= 8


def test_a_reading_has_an_end_and_says_where_the_next_goes_on(metrics, monkeypatch):
    monkeypatch.setattr(metric_reading, "SCANS", 5)
    monkeypatch.setattr(metric_reading, "VALUES", 30)
    metrics.ingest("kpi", ticks(50, 6 * HOUR, tags={"a": "b"}))
    assert everything(metrics, "kpi") == list(range(50))
    assert everything(metrics, "kpi", tags={"a": "b"}) == list(range(50))
    found, after = [], None
    while True:
        page = metrics.aggregate("kpi", ("count",), Span(after=after), bucket=DAY)
        found += page.buckets
        after = page.next_after
        if after is None:
            break
    assert sum(one.values["count"] for one in found) == 50
    assert len({one.start for one in found}) == len(found)
    with pytest.raises(ValueTooLarge, match="first bucket"):
        metrics.aggregate("kpi", ("count",))
    monkeypatch.setattr(metric_reading, "VALUES", 0)
    with pytest.raises(ValueTooLarge, match="tags"):
        metrics.latest("kpi", {"no": "such"})


def test_the_same_operation_again_stores_nothing_twice_whatever_the_clock_says(metrics):
    with time_machine.travel(NOON, tick=False) as clock:
        first = metrics.ingest("kpi", [NewValue(1), NewValue(2)], operation_id="op-1")
        clock.shift(HOUR)
        assert metrics.ingest("kpi", [NewValue(1), NewValue(2)], operation_id="op-1") == first
        metrics.ingest("kpi", [NewValue(3)])
    assert everything(metrics, "kpi") == [1, 2, 3]


def test_a_call_that_failed_in_the_middle_is_completed_by_its_repetition(metrics):
    Spread.failing.add("b")
    batch = [NewValue(n, NOON + n * DAY, source="b" if n % 2 else "a") for n in range(6)]
    with pytest.raises(BackendUnavailable):
        metrics.ingest("kpi", batch, operation_id="op-1")
    assert everything(metrics, "kpi") == [0, 2, 4]
    assert metrics.latest("kpi").value == 4  # the last day is listed, and has no value yet
    Spread.failing.clear()
    metrics.ingest("kpi", batch, operation_id="op-1")
    assert everything(metrics, "kpi") == list(range(6))


def test_another_process_finds_every_day(stores, metrics):
    metrics.ingest("kpi", ticks(3, DAY))
    other = stores.open(MetricsStore, "metrics_store")
    other.ingest("kpi", [NewValue(3, NOON + 3 * DAY)])
    assert everything(metrics, "kpi") == everything(other, "kpi") == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("", NewValue(1), InvalidKey),
        ("a/b", NewValue(1), InvalidKey),
        ("a" * 201, NewValue(1), InvalidKey),
        ("a", NewValue(True), InvalidValue),
        ("a", NewValue(float("nan")), InvalidValue),
        ("a", NewValue(10**38), InvalidValue),
        ("a", NewValue(1, datetime(2026, 1, 1)), InvalidValue),  # noqa: DTZ001
        ("a", NewValue(1, tags={str(n): "" for n in range(33)}), InvalidValue),
        ("a", NewValue(1, tags=NO_TEXT), InvalidValue),
        ("a", NewValue(1, tags={"n": ""}), InvalidKey),
        ("a", NewValue(1, source="x" * 201), InvalidKey),
    ],
)
def test_one_bad_value_refuses_the_whole_call_before_anything_is_written(metrics, name, value, error):
    with pytest.raises(error):
        metrics.ingest(name, [NewValue(1, NOON), value])
    if name == "a":
        assert everything(metrics, "a") == []


def test_a_call_has_one_to_a_thousand_values(metrics):
    with pytest.raises(InvalidRequest):
        metrics.ingest("kpi", [])
    with pytest.raises(ValueTooLarge):
        metrics.ingest("kpi", ticks(1001))
    assert len(metrics.ingest("kpi", ticks(1000))) == 1000


def test_the_raw_log_of_a_lab_is_readable_line_by_line(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    made = FilesystemStores(tmp_path)
    made.open(MetricsStore, "metrics_store").ingest("kpi", [NewValue(Decimal("1.10"), NOON, {"region": "eu"})])
    made.close()
    (line,) = (tmp_path / "var/metrics_store/acme/dev/_/raw.jsonl").read_text().splitlines()
    fields = json.loads(line)["data"]
    assert (fields["metric_name"], fields["value"], fields["tags"]) == ("kpi", {"$decimal": "1.10"}, {"region": "eu"})
    assert fields["ts"] == {"$datetime": "2026-11-20T12:00:00.000000Z"}


@pytest.mark.parametrize("text", ["", "0m", "5", "m", "5w", "1.5h", "367d", "-1h", "99999999999s"])
def test_a_length_that_is_no_bucket_names_the_accepted_forms(text):
    with pytest.raises(InvalidRequest, match="s, m, h or d"):
        parse_bucket(text)


@pytest.mark.parametrize("text", ["", "median", "p101", "p", "sum,", "p99.9999"])
def test_what_is_no_aggregate_names_the_accepted_ones(text):
    with pytest.raises(InvalidRequest, match="count, sum, min, max, avg"):
        parse_aggregates(text)


MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, st.integers(1, 366 * 86400))
def test_every_moment_lies_in_its_bucket(moment, seconds):
    length = timedelta(seconds=seconds)
    start = bucket_start(moment, length)
    assert start <= moment
    assert moment - start < length


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20), min_size=1
    )
)
def test_aggregates_of_decimals_are_exact_and_percentiles_are_values(amounts):
    buckets = Buckets(None, None, None)
    for amount in amounts:
        buckets.add(MetricValue("m", amount, NOON, {}, None))
    (found,) = [one.aggregated(parse_aggregates("sum,p0,p50,p100,min,max,count")) for one in buckets.all]
    scaled = sum(int(amount * 10**4) for amount in amounts)
    assert int(found.values["sum"] * 10**4) == scaled
    assert found.values["p50"] in amounts
    assert sum(one <= found.values["p50"] for one in amounts) * 2 >= len(amounts)
    assert (found.values["p0"], found.values["p100"]) == (found.values["min"], found.values["max"])
