"""What a change of a route does, refuses and leaves behind."""

import pytest
from django.db import IntegrityError

from northstar.errors import (
    AlreadyExists,
    BackendNotImplemented,
    ForbiddenBackendClass,
    ForbiddenEndpoint,
    InvalidConfig,
    InvalidRequest,
    NotFound,
    UnsupportedBackend,
    VersionConflict,
)
from routing.changes import Cause, RouteUpdate, create_route, delete_route, put_route, update_route
from routing.models import OutboxEntry, Route, RouteChange, SnapshotRevision
from tests.routing.conftest import CAUSE, draft

WHY = Cause(actor="user:bob", request_id="req-2", rationale="cheaper")


def revision() -> int:
    return SnapshotRevision.objects.get().revision


def test_creating_a_route_leaves_its_row_one_audit_entry_and_moves_the_revision(acme):
    before = revision()
    route = create_route(draft(tier="pro", cost_notes="20 a month"), CAUSE)
    change = RouteChange.objects.first()
    assert (route.revision, route.created_by, route.tier) == (1, "user:alice", "pro")
    assert (change.action, change.actor, change.request_id) == ("ROUTE_CREATED", "user:alice", "req-1")
    assert (change.route_id, change.tenant_id, change.before) == (route.pk, "acme", None)
    assert change.after["config"] == {"place": "here"}
    assert revision() == before + 1


def test_a_second_route_with_the_same_key_is_refused_also_without_a_project(acme):
    create_route(draft(), CAUSE)
    with pytest.raises(AlreadyExists, match="resource_kind=tabular_store"):
        create_route(draft(), CAUSE)


def test_the_database_itself_refuses_a_second_route_without_a_project(acme):
    stored = create_route(draft(), CAUSE)
    stored.pk = None
    with pytest.raises(IntegrityError):
        stored.save(force_insert=True)


def test_a_project_has_routes_of_its_own_beside_the_tenants(acme):
    routes = [create_route(draft(project_id=project), CAUSE) for project in (None, "p1", "p2")]
    assert len({route.pk for route in routes}) == 3


def test_putting_the_same_route_again_changes_nothing(acme):
    first, created = put_route(draft(config={"place": "here", "password": "x"}), CAUSE)
    rows, at = RouteChange.objects.count(), revision()
    second, again = put_route(draft(config={"place": "here", "password": "x"}), WHY)
    assert (created, again, second.revision) == (True, False, first.revision)
    assert (RouteChange.objects.count(), revision()) == (rows, at)


def test_putting_another_place_is_a_switch_with_who_why_and_when(acme):
    put_route(draft(), CAUSE)
    route, created = put_route(draft(backend_type="BANK"), WHY)
    change = RouteChange.objects.first()
    assert (created, route.backend_type, route.previous_backend_type) == (False, "bank", "vault")
    assert (route.switch_rationale, route.revision, route.updated_by) == ("cheaper", 2, "user:bob")
    assert route.last_switch_time == route.updated_at
    assert (change.action, change.rationale) == ("ROUTE_BACKEND_SWITCHED", "cheaper")
    assert (change.before["backend_type"], change.after["backend_type"]) == ("vault", "bank")


def test_another_place_on_the_same_backend_is_a_switch_too(acme):
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "there"}), WHY)
    assert RouteChange.objects.first().action == "ROUTE_BACKEND_SWITCHED"


def test_a_change_that_moves_no_data_is_an_update(acme):
    route = create_route(draft(), CAUSE)
    changed = update_route(route.pk, RouteUpdate(tier="enterprise", config={"place": "here", "pool": 9}), CAUSE)
    assert RouteChange.objects.first().action == "ROUTE_UPDATED"
    assert (changed.revision, changed.last_switch_time, changed.previous_backend_type) == (2, None, "")


def test_an_update_leaves_what_it_does_not_name(acme):
    route = create_route(draft(tier="pro", cost_notes="much"), CAUSE)
    changed = update_route(route.pk, RouteUpdate(enabled=False), CAUSE)
    assert (changed.tier, changed.cost_notes, changed.config, changed.enabled) == (
        "pro",
        "much",
        {"place": "here"},
        False,
    )


def test_a_switch_outside_lab_needs_a_rationale(initech):
    route = create_route(draft("initech"), CAUSE)
    with pytest.raises(InvalidRequest) as refused:
        update_route(route.pk, RouteUpdate(config={"place": "there"}), CAUSE)
    assert refused.value.errors[0].field == "switch_rationale"
    assert Route.objects.get().config == {"place": "here"}
    assert update_route(route.pk, RouteUpdate(config={"place": "there"}), WHY).revision == 2


def test_what_a_driver_does_not_allow_in_its_mode_is_refused_at_save(acme, initech):
    create_route(draft(config={"place": "lab only"}), CAUSE)
    with pytest.raises(InvalidConfig, match="not allowed in mode"):
        create_route(draft("initech", config={"place": "lab only"}), WHY)
    assert [route.tenant_id for route in Route.objects.all()] == ["acme"]


def test_a_stale_revision_is_refused_and_changes_nothing(acme):
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(tier="a"), CAUSE, expected_revision=1)
    for attempt in (
        lambda: update_route(route.pk, RouteUpdate(tier="b"), CAUSE, expected_revision=1),
        lambda: put_route(draft(tier="b"), CAUSE, expected_revision=1),
        lambda: delete_route(route.pk, CAUSE, expected_revision=1),
        lambda: put_route(draft(env="prod"), CAUSE, expected_revision=1),
    ):
        with pytest.raises(VersionConflict):
            attempt()
    assert Route.objects.get().tier == "a"


def test_deleting_a_route_keeps_its_last_state_in_the_trail(acme):
    route = create_route(draft(), CAUSE)
    delete_route(route.pk, WHY)
    change = RouteChange.objects.first()
    assert (change.action, change.before["backend_type"], change.after) == ("ROUTE_DELETED", "vault", None)
    assert not Route.objects.exists()
    with pytest.raises(NotFound):
        delete_route(route.pk, WHY)


def test_every_route_change_owes_an_event_to_both_streams(acme):
    route = create_route(draft(env="prod"), CAUSE)
    owed = {(entry.tenant_id, entry.env, entry.stream_id) for entry in OutboxEntry.objects.all()}
    assert owed == {("t_system", "prod", "routing"), ("acme", "prod", "tenant_timeline")}
    payload = OutboxEntry.objects.first().payload
    assert (payload["action"], payload["route_id"], payload["backend_type"]) == ("ROUTE_CREATED", route.pk, "vault")
    assert payload["change_id"] == str(RouteChange.objects.first().change_id)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"backend_type": "foo"},
            UnsupportedBackend,
            ["Unsupported backend_type='foo'", "resource_kind=tabular_store"],
        ),
        (
            {"backend_type": "gcs"},
            BackendNotImplemented,
            ["resource_kind=tabular_store", "backend_type=gcs"],
        ),
        ({"backend_type": "s3"}, BackendNotImplemented, ["backend_type=s3"]),
        ({"config": {}}, InvalidConfig, ["backend_type=vault", "resource_kind=tabular_store"]),
        ({"config": {"place": "x", "bucket": "y"}}, InvalidConfig, ["backend_type=vault"]),
        ({"kind": "teapot"}, InvalidRequest, ["teapot"]),
        ({"tenant": "nobody"}, InvalidRequest, ["nobody"]),
        ({"env": "Dev"}, InvalidRequest, ["key"]),
        ({"env": "dev\n"}, InvalidRequest, ["key"]),
        ({"project_id": "../x"}, InvalidRequest, ["key"]),
        ({"kind": "event_stream", "backend_type": "weak"}, InvalidConfig, ["ordered_scan", "backend_type=weak"]),
    ],
)
def test_what_could_not_work_is_refused_before_anything_is_written(acme, changes, error, words):
    rows = RouteChange.objects.count()
    with pytest.raises(error) as refused:
        create_route(draft(**changes), CAUSE)
    assert all(word in refused.value.detail for word in words)
    assert (Route.objects.count(), RouteChange.objects.count(), OutboxEntry.objects.count()) == (0, rows, 0)


def test_each_wrong_config_field_is_named(acme):
    with pytest.raises(InvalidConfig) as refused:
        create_route(draft(config={"pool": 0, "extra": 1, "password": {"$secret": "env:HOME"}}), CAUSE)
    assert {error.field for error in refused.value.errors} == {
        "config.place",
        "config.pool",
        "config.extra",
        "config.password",
    }


def test_a_root_outside_the_allowed_ones_is_forbidden_and_its_field_named(acme):
    with pytest.raises(ForbiddenEndpoint) as refused:
        create_route(draft(backend_type="filesystem", config={"base_dir": "/etc"}), CAUSE)
    assert [error.field for error in refused.value.errors] == ["config.base_dir"]


@pytest.mark.parametrize("mode", ["saas", "enterprise"])
def test_the_filesystem_is_refused_in_sellable_modes_naming_what_is_allowed(initech, mode):
    initech.mode = mode
    initech.save()
    with pytest.raises(ForbiddenBackendClass) as refused:
        create_route(draft("initech", "object_store", backend_type="filesystem", config={}), CAUSE)
    assert f"mode {mode}" in refused.value.detail
    assert "resource_kind=object_store" in refused.value.detail
    assert "azure_blob, gcs, s3" in refused.value.fix


def test_no_change_can_bring_a_sellable_tenant_onto_the_filesystem(initech):
    route = create_route(draft("initech"), CAUSE)
    for attempt in (
        lambda: update_route(route.pk, RouteUpdate(backend_type="filesystem", config={}), WHY),
        lambda: put_route(draft("initech", backend_type="Filesystem", config={}), WHY),
    ):
        with pytest.raises(ForbiddenBackendClass):
            attempt()
    assert Route.objects.get().backend_type == "vault"


def test_the_system_tenant_may_use_the_filesystem_in_a_lab_deployment_only(system, settings):
    lab = create_route(draft("t_system", backend_type="filesystem", config={}), CAUSE)
    settings.NORTHSTAR_DEPLOYMENT = "production"
    with pytest.raises(ForbiddenBackendClass, match="mode t_system"):
        update_route(lab.pk, RouteUpdate(tier="x"), CAUSE)
