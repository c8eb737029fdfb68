"""Changes at the same time are ordered: none is lost, none is half, the chain holds."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from northstar.errors import StrategyLocked, VersionConflict
from routing.audit import verify_chain
from routing.changes import RouteUpdate, create_route, lock_route, put_route, update_route
from routing.models import OutboxEntry, Route, RouteChange, SnapshotRevision
from tests.routing.conftest import CAUSE, draft

THREADS = 8


def together(work) -> list:
    """Run `work(number)` in all threads at once and return what each gave."""

    def run(number: int):
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_of_many_that_put_one_route_one_creates_it_and_the_chain_holds(own_database, acme):
    before = SnapshotRevision.objects.get().revision
    results = together(lambda number: put_route(draft(config={"place": f"place-{number}"}), CAUSE))
    assert sorted(created for _, created in results) == [False] * (THREADS - 1) + [True]
    assert Route.objects.get().revision == THREADS
    assert sorted(route.revision for route, _ in results) == list(range(1, THREADS + 1))
    assert SnapshotRevision.objects.get().revision == before + THREADS
    assert OutboxEntry.objects.count() == 2 * THREADS
    assert verify_chain().ok


def test_of_many_that_expect_one_revision_one_wins(own_database, acme):
    route = create_route(draft(), CAUSE)

    def change(number: int) -> bool:
        try:
            update_route(route.pk, RouteUpdate(tier=f"tier-{number}"), CAUSE, expected_revision=1)
        except VersionConflict:
            return False
        return True

    assert together(change).count(True) == 1
    assert RouteChange.objects.filter(action="ROUTE_UPDATED").count() == 1


def test_no_switch_slips_in_behind_a_lock(own_database, acme):
    route = create_route(draft(), CAUSE)

    def work(number: int) -> None:
        if number == THREADS - 1:
            lock_route(route.pk, reason="freeze", until=None, cause=CAUSE)
        for place in range(10):
            try:
                update_route(route.pk, RouteUpdate(config={"place": f"{number}-{place}"}), CAUSE)
            except StrategyLocked:
                return

    together(work)
    actions = list(RouteChange.objects.order_by("id").values_list("action", flat=True))
    assert actions.count("ROUTE_LOCKED") == 1
    assert actions[-1] == "ROUTE_LOCKED"
    assert verify_chain().ok
