"""The first requests of a process come at once, and each must find the routes."""

from threading import Barrier

import pytest

from routing.changes import create_route
from routing.resolve import resolve
from routing.snapshot import EMPTY, SnapshotCache
from tests.routing.conftest import CAUSE, context, draft
from tests.routing.test_concurrent_changes import THREADS, together


@pytest.mark.parametrize("attempt", range(5))
def test_the_first_look_ups_of_a_process_all_wait_for_the_first_load(
    own_database, acme, settings, monkeypatch, attempt
):
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 60
    route = create_route(draft(), CAUSE)
    cold, start = SnapshotCache(), Barrier(THREADS)
    monkeypatch.setattr("routing.resolve.cache", cold)
    assert cold.snapshot is EMPTY

    def look_up(_number: int) -> int:
        start.wait()
        return resolve("tabular_store", context()).id

    assert together(look_up) == [route.pk] * THREADS


def test_no_look_up_that_comes_during_a_reload_goes_on_with_routes_known_to_be_stale(
    own_database, acme, settings, monkeypatch
):
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 60
    cold, start = SnapshotCache(), Barrier(THREADS)
    monkeypatch.setattr("routing.resolve.cache", cold)
    cold.refresh()
    route = create_route(draft(), CAUSE)
    cold.invalidate()

    def look_up(_number: int) -> int:
        start.wait()
        return resolve("tabular_store", context()).id

    assert together(look_up) == [route.pk] * THREADS
