"""Which route a look-up gives, and what it says when there is none."""

import subprocess
import sys
import time

import pytest
from django.db import OperationalError

from northstar.errors import ForbiddenBackendClass, InvalidRequest, NoRouteConfigured, UnsupportedBackend
from routing import snapshot as snapshots
from routing.changes import RouteUpdate, create_route, delete_route, set_alias, update_route
from routing.models import Route, SnapshotRevision, Tenant
from routing.resolve import explain, invalidate, resolve, snapshot
from storage.config import reveal
from storage.errors import BackendUnavailable
from tests.routing.conftest import CAUSE, context, draft
from tests.routing.vault import CANARY, opened


def test_a_projects_route_comes_before_the_tenants(acme):
    tenants = create_route(draft(), CAUSE)
    projects = create_route(draft(project_id="p1"), CAUSE)
    assert resolve("tabular_store", context(project="p1")).id == projects.pk
    assert resolve("tabular_store", context(project="p2")).id == tenants.pk
    assert resolve("tabular_store", context()).id == tenants.pk


def test_nothing_else_is_a_fallback(acme, globex, system):
    create_route(draft("globex"), CAUSE)
    create_route(draft("t_system"), CAUSE)
    create_route(draft(env="prod"), CAUSE)
    create_route(draft(project_id="p1"), CAUSE)
    create_route(draft(kind="event_stream"), CAUSE)
    with pytest.raises(NoRouteConfigured):
        resolve("tabular_store", context())


def test_a_missing_route_is_named_with_its_remedy(db):
    with pytest.raises(NoRouteConfigured) as missing:
        resolve("object_store", context("t_norouteyet"))
    assert missing.value.detail.startswith("No route configured for object_store in t_norouteyet/dev.")
    assert "/routing/routes" in missing.value.detail
    assert "/admin/routing/route/add/" in missing.value.fix
    assert "POST /api/v1/routing/routes" in missing.value.fix
    assert missing.value.status == 500


def test_a_disabled_route_counts_as_missing_and_is_named(acme):
    route = create_route(draft(enabled=False), CAUSE)
    with pytest.raises(NoRouteConfigured, match=rf"Route {route.pk} \(backend_type=vault\) matches but is disabled"):
        resolve("tabular_store", context())


def test_a_disabled_project_route_gives_way_to_the_tenants(acme):
    tenants = create_route(draft(), CAUSE)
    create_route(draft(project_id="p1", enabled=False), CAUSE)
    assert resolve("tabular_store", context(project="p1")).id == tenants.pk


def test_an_unknown_kind_is_refused_with_the_list_of_kinds(db):
    with pytest.raises(InvalidRequest) as refused:
        resolve("teapot", context())
    assert "event_stream" in refused.value.fix


def force(route: Route, **values) -> None:
    """Write past `routing.changes`, as a raw fixture or a database shell would."""
    Route.objects.filter(pk=route.pk).update(**values)
    invalidate()


def test_a_forced_unknown_backend_is_refused_when_it_is_opened(acme):
    force(create_route(draft(), CAUSE), backend_type="foo")
    with pytest.raises(UnsupportedBackend, match="Unsupported backend_type='foo' for resource_kind=tabular_store"):
        resolve("tabular_store", context())


def test_a_forced_filesystem_row_of_a_sellable_tenant_is_refused_when_it_is_opened(initech):
    force(create_route(draft("initech"), CAUSE), backend_type="filesystem", config={})
    with pytest.raises(ForbiddenBackendClass, match="resource_kind=tabular_store"):
        resolve("tabular_store", context("initech", mode="saas"))


@pytest.mark.parametrize("mode", ["lab", "LAB", "", "other"])
def test_a_wrong_mode_in_the_context_never_opens_the_filesystem(initech, mode):
    force(create_route(draft("initech"), CAUSE), backend_type="filesystem", config={})
    with pytest.raises(ForbiddenBackendClass):
        resolve("tabular_store", context("initech", mode=mode))


def test_a_change_is_seen_by_the_next_look_up(acme):
    route = create_route(draft(), CAUSE)
    assert resolve("tabular_store", context()).revision == 1
    update_route(route.pk, RouteUpdate(config={"place": "there"}), CAUSE)
    seen = resolve("tabular_store", context())
    assert (seen.revision, seen.config) == (2, {"place": "there"})
    delete_route(route.pk, CAUSE)
    with pytest.raises(NoRouteConfigured):
        resolve("tabular_store", context())


def test_a_committed_change_does_not_wait_for_the_poll(acme, settings, django_capture_on_commit_callbacks):
    route = create_route(draft(), CAUSE)
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 3600
    invalidate()
    assert resolve("tabular_store", context()).revision == 1
    with django_capture_on_commit_callbacks(execute=True):
        update_route(route.pk, RouteUpdate(tier="x"), CAUSE)
    assert resolve("tabular_store", context()).revision == 2


def test_between_polls_a_look_up_asks_nothing_of_the_database(acme, settings, django_assert_num_queries):
    create_route(draft(), CAUSE)
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 3600
    invalidate()
    resolve("tabular_store", context())
    with django_assert_num_queries(0):
        resolve("tabular_store", context())


def test_a_poll_reads_one_integer_when_nothing_moved(acme, django_assert_num_queries):
    create_route(draft(), CAUSE)
    resolve("tabular_store", context())
    with django_assert_num_queries(1):
        resolve("tabular_store", context())


def test_a_database_that_is_down_changes_nothing_and_is_logged_once(acme, monkeypatch, caplog):
    route = create_route(draft(), CAUSE)
    resolve("tabular_store", context())
    monkeypatch.setattr(SnapshotRevision.objects, "filter", _down)
    for _ in range(3):
        assert resolve("tabular_store", context()).id == route.pk
    assert [record.levelname for record in caplog.records if "does not answer" in record.message] == ["WARNING"]


def test_without_any_snapshot_a_database_that_is_down_is_said_to_be(db, monkeypatch):
    monkeypatch.setattr(snapshots.cache, "snapshot", snapshots.EMPTY)
    monkeypatch.setattr(SnapshotRevision.objects, "filter", _down)
    with pytest.raises(BackendUnavailable, match="control-plane database"):
        resolve("tabular_store", context())


def _down(*args, **kwargs):
    raise OperationalError("no answer")


def test_the_snapshot_knows_modes_and_aliases(acme, initech, system, settings):
    set_alias("Ω", "omega", CAUSE)
    assert snapshot().modes == {"acme": "lab", "initech": "saas", "t_system": "lab"}
    assert snapshot().aliases["Ω"] == "omega"
    assert snapshot().aliases["SQUARED²"] == "squared2"
    settings.NORTHSTAR_DEPLOYMENT = "production"
    invalidate()
    assert snapshot().modes["t_system"] == "t_system"


def test_the_drivers_config_has_its_secret_in_clear_and_nothing_else_has(acme):
    create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    route = resolve("tabular_store", context())
    config = opened(route)
    assert config.password is not None
    assert reveal(config.password) == CANARY
    assert CANARY not in repr(route)
    assert route.config["password"] == "****"
    assert CANARY not in repr(config)


def test_an_explanation_says_of_every_route_why_it_is_not_the_one(acme, globex):
    tenants = create_route(draft(), CAUSE)
    create_route(draft(project_id="p1", enabled=False), CAUSE)
    create_route(draft(env="prod"), CAUSE)
    create_route(draft("globex"), CAUSE)
    told = explain("tabular_store", context(project="p1"))
    assert told.chosen.id == tenants.pk
    assert [candidate.verdict for candidate in told.candidates] == ["disabled", "chosen", "elsewhere"]


def test_an_explanation_shows_the_error_that_a_look_up_would_raise(initech):
    force(create_route(draft("initech"), CAUSE), backend_type="filesystem")
    told = explain("tabular_store", context("initech", mode="saas"))
    assert told.chosen is None
    assert told.error.code == "FORBIDDEN_BACKEND_CLASS"
    assert [candidate.verdict for candidate in told.candidates] == ["refused"]


def test_resolving_imports_no_driver_and_no_sdk():
    script = (
        "import os, sys, django; django.setup(); import routing.resolve; "
        "print([name for name in sys.modules if name.startswith(('storage.backends.', 'boto3', 'google.cloud', 'azure'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reload_in_between_is_never_half_of_two_revisions(acme, monkeypatch):
    create_route(draft(), CAUSE)
    real = snapshots._revision
    moves = iter([1, 0])

    def moving() -> int:
        if next(moves, 0):
            Tenant.objects.filter(pk="acme").update(mode="saas")
            SnapshotRevision.objects.update(revision=99)
        return real()

    monkeypatch.setattr(snapshots, "_revision", moving)
    assert (snapshots.load().revision, snapshots.load().modes["acme"]) == (99, "saas")


def test_the_age_is_the_time_since_the_last_good_check(acme, monkeypatch):
    resolve_time = time.monotonic()
    snapshot()
    monkeypatch.setattr(snapshots, "monotonic", lambda: resolve_time + 60)
    assert 50 < snapshots.cache.age() < 61
