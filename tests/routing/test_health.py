"""Probes at intervals: what is due, who probes it, and what is kept of them."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from routing.changes import RouteUpdate, create_route, delete_route, update_route
from routing.health_models import RouteHealth
from routing.models import Route
from routing.operations import health
from routing.operations.health import pause_after, probe_and_record, probe_due_routes, record_probe
from routing.operations.probing import probe_route
from routing.resolve import invalidate
from tests.routing.conftest import CAUSE, draft


@pytest.fixture
def route(acme) -> Route:
    return create_route(draft(backend_type="filesystem", config={}), CAUSE)


def force(**config: str) -> None:
    """Change the route behind everybody's back."""
    Route.objects.update(config=config)
    invalidate()


def probed() -> list[int]:
    return [one.route.pk for one in probe_due_routes()]


def test_a_route_is_probed_once_per_interval(route, settings):
    assert probed() == [route.pk]
    assert probed() == []
    row = RouteHealth.objects.get()
    assert (row.ok, row.state, row.failures, row.probed_revision) == (True, "ok", 0, 1)
    assert row.probed_at
    assert row.next_probe_at - row.probed_at == timedelta(seconds=settings.NORTHSTAR_PROBE_SECONDS)
    RouteHealth.objects.update(next_probe_at=datetime.now(UTC))
    assert probed() == [route.pk]
    assert RouteHealth.objects.count() == 1


def test_a_changed_route_is_probed_at_once(route):
    assert probed() == [route.pk]
    update_route(route.pk, RouteUpdate(tier="pro"), CAUSE)
    assert probed() == [route.pk]
    assert probed() == []


def test_a_disabled_route_is_left_alone(route):
    update_route(route.pk, RouteUpdate(enabled=False), CAUSE)
    assert probed() == []


def test_a_failing_route_is_probed_with_growing_pauses_and_recovers(route, settings):
    settings.NORTHSTAR_PROBE_SECONDS = 60
    force(base_dir="/outside")
    pauses = []
    for _ in range(5):
        RouteHealth.objects.update(next_probe_at=datetime.now(UTC))
        assert probed() == [route.pk]
        row = RouteHealth.objects.get()
        assert row.probed_at
        pauses.append((row.next_probe_at - row.probed_at).seconds)
    assert pauses == [60, 120, 240, 480, 480]
    assert (row.state, row.error_code, row.failures) == ("failing", "FORBIDDEN_ENDPOINT", 5)
    force()
    assert probe_and_record(route.pk).ok
    row.refresh_from_db()
    assert (row.state, row.error_code, row.failures) == ("ok", "", 0)
    assert pause_after(0) == timedelta(seconds=60)


def test_one_of_several_processes_probes(route):
    due = health._due(everything=False)
    assert [health._claim(one, everything=False) for one in (*due, *due)] == [True, False]
    assert probed() == []  # the other one is at it
    RouteHealth.objects.update(next_probe_at=datetime.now(UTC))  # as when its lease has run out
    assert probed() == [route.pk]


def test_a_route_that_was_deleted_meanwhile_leaves_nothing(route):
    report = probe_route(route.pk)
    delete_route(route.pk, CAUSE)
    record_probe(route.pk, report)
    assert not RouteHealth.objects.exists()


def test_the_command_probes_what_is_due_and_says_what_failed(route):
    out = StringIO()
    call_command("probe_routes", stdout=out)
    assert out.getvalue().startswith(f"ok\t{route.pk}\ttabular_store\tacme/dev\tfilesystem\twrite ")
    out = StringIO()
    call_command("probe_routes", stdout=out)
    assert out.getvalue() == "No route is due.\n"
    force(base_dir="/outside")
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("probe_routes", "--all", "--format", "json", stdout=out)
    assert stopped.value.code == 1
    document = json.loads(out.getvalue())
    assert [(one["ok"], one["error_code"]) for one in document["routes"]] == [(False, "FORBIDDEN_ENDPOINT")]
