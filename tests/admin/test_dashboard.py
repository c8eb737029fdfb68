"""The first page: what an operator must know at once, at a cost that does not grow with the routes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from routing.changes import create_route, lock_env, update_route
from routing.changes.routes import RouteUpdate
from routing.charts import bars, columns
from routing.health_models import RouteHealth, ServerProcess
from routing.keys import issue_key, revoke_key
from routing.models import OutboxEntry, SnapshotRevision
from routing.showing import age
from tests.routing.conftest import CAUSE, draft

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def shown(client) -> str:
    return str(client.get("/admin/").content.decode())


def fails(route, **values) -> None:
    now = datetime.now(UTC)
    RouteHealth.objects.create(route=route, ok=False, probed_at=now, next_probe_at=now, **values)


def test_an_empty_deployment_says_what_to_do_first(boss):
    page = shown(boss)
    for words in (
        "There is no route yet",
        "Add the first one",
        "No server process was heard of lately",
        "Nothing is locked",
    ):
        assert words in page


def test_a_failing_probe_is_told_with_its_next_step_until_its_route_is_disabled(boss, acme):
    route = create_route(draft(), CAUSE)
    fails(route, failures=3, error_code="BACKEND_UNAVAILABLE", error="It cannot be reached.", fix="Check the network.")
    page = shown(boss)
    for words in (
        "tabular_store in acme/dev on vault",
        "3 times in a row",
        "It cannot be reached.",
        "Check the network.",
    ):
        assert words in page
    update_route(route.pk, RouteUpdate(enabled=False), CAUSE)
    assert "It cannot be reached." not in shown(boss)


def test_waiting_events_locks_and_expiring_keys_are_told(boss, acme):
    create_route(draft(), CAUSE)
    OutboxEntry.objects.filter(tenant_id="acme").update(attempts=2, last_error="NO_ROUTE_CONFIGURED: none")
    lock_env("acme", "prod", reason="change freeze", until=None, cause=CAUSE)
    soon = datetime.now(UTC) + timedelta(days=3)
    issue_key(acme, "billing", ["data:read"], cause=CAUSE, expires_at=soon)
    revoke_key(issue_key(acme, "gone", ["data:read"], cause=CAUSE, expires_at=soon)[0].key_id, CAUSE)
    page = shown(boss)
    for words in ("tenant_timeline of acme/dev", "NO_ROUTE_CONFIGURED: none", "change freeze", "billing", "in 2 days"):
        assert words in page
    assert "gone" not in page


def test_a_process_that_serves_old_routes_is_marked(boss, acme):
    create_route(draft(), CAUSE)
    current, now = SnapshotRevision.objects.get().revision, datetime.now(UTC)
    common = {"role": "web", "started_at": now, "revision_since": now, "seen_at": now}
    ServerProcess.objects.create(name="one", revision=current, **common)
    ServerProcess.objects.create(name="two", revision=current - 1, **common)
    page = shown(boss)
    assert page.count("northstar-state warn' title=''>behind") == 1
    assert "by 1 change:" in page


def queries(client) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        client.get("/admin/")
    return len(asked)


def test_the_page_costs_the_same_for_many_routes(boss, acme):
    fails(create_route(draft(), CAUSE))
    lock_env("acme", "dev", reason="x", until=None, cause=CAUSE)
    shown(boss)  # the first look ever makes the registry's own row
    few = queries(boss)
    for number in range(9):
        fails(create_route(draft(env=f"e{number}"), CAUSE))
        lock_env("acme", f"e{number}", reason="x", until=None, cause=CAUSE)
    assert queries(boss) == few <= 25


def test_bars_share_one_scale_and_leave_no_gap():
    first, second = bars({"event_stream": {"dynamodb": 3, "filesystem": 1}, "object_store": {"s3": 2}})
    assert [(part.x, part.width) for part in first.segments] == [(0, 75), (75, 25)]
    assert (second.total, second.segments[0].width) == (2, 50)
    assert bars({"object_store": {}})[0].segments == ()


def test_columns_stand_on_the_line_and_the_highest_fills_the_chart():
    low, high = columns([(date(2026, 11, 27), 0, 1), (date(2026, 11, 28), 1, 3)])
    assert (high.marked_top, high.others_top + high.others_height) == (0, 64)
    assert (low.others_height, low.marked_height) == (16, 0)


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(seconds=1), "now"),
        (timedelta(seconds=90), "90 s ago"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=30), "30 h ago"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=900), "2 years ago"),
        (-timedelta(hours=3), "in 3 h"),
    ],
)
def test_an_age_is_told_in_one_unit_that_is_easy_to_grasp(distance, words):
    assert age(NOW - distance, NOW) == words
