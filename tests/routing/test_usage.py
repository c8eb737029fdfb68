"""What requests use is counted in memory, kept in batches and summed over processes; none of it touches a request's way."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from routing.changes import create_route
from routing.health_models import RouteHealth, RouteUsage
from routing.models import Route
from routing.operations import usage
from routing.operations.probing import probe_route
from routing.operations.usage import first_day, flush_usage, forget_old_usage, percentile, usage_since
from storage.documents import ABSENT, Delete, Document, Increment, Put, Ref
from storage.errors import AlreadyExists, BackendUnavailable
from storage.guard import GuardedDocuments
from storage.metering import LATENCY_SECONDS, route_meters
from storage.opening import open_store
from storage.usage import of_get, of_get_many, of_put, of_scan, of_write
from tests.routing.conftest import CAUSE, context, draft


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    route_meters.take()
    yield
    route_meters.take()


@pytest.fixture
def route(acme) -> Route:
    return create_route(draft(backend_type="filesystem", config={}), CAUSE)


@pytest.fixture
def table(route):
    return open_store("tabular_store", context())


def totals(route: Route, days: int = 1) -> usage.RouteTotals:
    return usage_since(first_day(days), [route.pk])[route.pk]


def test_operations_bytes_and_units_of_a_route_are_counted(route, table):
    table.upsert("t", "small", {"text": "x" * 100})
    table.upsert("t", "large", {"text": "x" * 5000})
    table.get("t", "large")
    table.delete("t", "small")
    assert not RouteUsage.objects.exists()  # nothing is written before it is time to
    flush_usage()
    seen = totals(route)
    assert (seen.operations, seen.errors) == (4, 0)
    assert seen.used["documents_written"] == 2
    assert seen.used["documents_deleted"] == 1
    assert seen.used["write_units"] == 1 + 5 + 1  # of 1 KiB; a delete takes one
    assert (seen.used["documents_read"], seen.used["read_units"]) == (1, 2)  # of 4 KiB
    assert 5100 < seen.used["bytes_in"] < 5500
    assert 5000 < seen.used["bytes_out"] < 5200
    assert seen.p50
    assert sorted([seen.p50, seen.p95 or 0, seen.p99 or 0]) == [seen.p50, seen.p95, seen.p99]


def test_objects_count_their_own_units(acme):
    route = create_route(draft(kind="object_store", backend_type="filesystem", config={}), CAUSE)
    store = open_store("object_store", context())
    store.put("a", [b"12345"])
    store.list()
    b"".join(store.get("a").chunks)
    store.head("a")
    flush_usage()
    seen = totals(route)
    assert (seen.used["object_writes"], seen.used["object_reads"]) == (2, 2)
    assert (seen.used["bytes_in"], seen.used["bytes_out"]) == (5, 5)


def test_counts_of_several_processes_and_moments_add_up(route, table):
    for number in range(3):  # each flush is what another process would write as well
        table.upsert("t", f"{number}", {})
        flush_usage()
    assert totals(route).operations == 3
    assert not RouteUsage.objects.filter(measure="errors").exists()


def test_a_conflict_is_a_good_answer_and_a_silent_service_is_an_error(route, table, monkeypatch):
    documents: GuardedDocuments = table._documents
    documents.put(Ref("c", ("p",), "k"), {}, expect=ABSENT)
    with pytest.raises(AlreadyExists):
        documents.put(Ref("c", ("p",), "k"), {}, expect=ABSENT)
    flush_usage()
    assert (totals(route).operations, totals(route).errors) == (2, 0)
    assert not RouteHealth.objects.exists()

    def away(*_arguments, **_options):
        raise BackendUnavailable("The service at s3cret does not answer.")

    monkeypatch.setattr(type(documents._driver), "put", away)
    object.__setattr__(documents._caller, "secrets", ("s3cret",))
    with pytest.raises(BackendUnavailable):
        documents.put(Ref("c", ("p",), "k"), {})
    flush_usage()
    row = RouteHealth.objects.get()
    assert totals(route).errors == 1
    assert (row.failed_operation, row.failed_code) == ("put", "BACKEND_UNAVAILABLE")
    assert row.failed_error == "The service at **** does not answer."
    assert row.state == "unknown"  # it was not probed


def test_what_the_database_refuses_is_kept_for_the_next_time(route, table, monkeypatch):
    table.upsert("t", "k", {})

    def refuse(*_arguments):
        raise DatabaseError

    with monkeypatch.context() as patched:
        patched.setattr(usage, "_add", refuse)
        with pytest.raises(DatabaseError):
            flush_usage()
    table.upsert("t", "k", {})
    flush_usage()
    assert totals(route).operations == 2


def test_no_count_is_lost_between_threads(route):
    def count() -> None:
        for _ in range(2000):
            route_meters.count(route.pk, 0.001, {"bytes_in": 2}, None)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        flush_usage()
    for thread in threads:
        thread.join()
    flush_usage()
    assert (totals(route).operations, totals(route).used["bytes_in"]) == (16_000, 32_000)


def test_usage_of_a_month_ago_is_forgotten(route):
    for days in (1, 31, 32):
        RouteUsage.objects.create(route_id=route.pk, day=first_day(days), measure="operations", amount=1)
    forget_old_usage()
    assert totals(route, 31).operations == 2
    assert RouteUsage.objects.count() == 2
    assert first_day(1) - first_day(31) == timedelta(days=30)


def test_percentiles_lie_in_the_place_that_holds_them():
    fast, slow = LATENCY_SECONDS.index(0.001), LATENCY_SECONDS.index(0.2)
    latency = {fast: 98, slow: 2}
    assert percentile(latency, 0.5) == pytest.approx(0.5 + 0.5 * 50 / 98, abs=0.001)
    assert percentile(latency, 0.99) == pytest.approx(150)
    assert percentile({}, 0.5) is None
    assert percentile({len(LATENCY_SECONDS): 1}, 0.5) == 20_000  # beyond the last place: at least that


def test_an_operation_counts_what_services_charge_for():
    def document(size: int) -> Document:
        return Document(Ref("c", ("p",), "k"), {"t": "x" * size}, 1, datetime.now(UTC))

    assert of_get(None)["read_units"] == 1  # a missing one is charged for too
    assert of_get_many([document(10), document(5000), None])["read_units"] == 1 + 2 + 1
    assert of_scan([document(1500)] * 4)["read_units"] == 2  # rounded up together
    assert of_scan([])["documents_read"] == 1
    assert of_put(1025)["write_units"] == 2
    atomic = of_write([Put("a", {"t": "x" * 2000}), Increment("b", {"n": 1}), Delete("c")])
    assert (atomic["write_units"], atomic["documents_written"], atomic["documents_deleted"]) == (8, 2, 1)
    assert of_get(Document(Ref("c", ("p",), "k"), {"n": 10**30}, 1, datetime.now(UTC)))["bytes_out"] > 30


def test_a_probe_counts_for_no_route(route):
    assert probe_route(route.pk).ok
    assert route_meters.take() == {}
