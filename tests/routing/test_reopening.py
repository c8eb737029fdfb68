"""What was stored before a switch is opened again: where it lies is history, who may is decided today."""

from dataclasses import replace

import pytest

from northstar.context import RequestContext
from northstar.errors import ForbiddenBackendClass, ForbiddenEndpoint, InvalidConfig, NoRouteConfigured
from northstar.modes import SAAS
from routing.admission import RouteDraft
from routing.changes import RouteUpdate, create_route, delete_route, update_route
from routing.models import Route
from storage.errors import BackendRejected
from storage.opening import open_store
from storage.reopening import close_earlier, read_whereabouts, reopen, whereabouts
from tests.conftest import CAUSE

KIND = "object_store"
ACME = RequestContext("acme", "dev", "lab")
OLD, NEW = {"region": "eu-west-1", "bucket": "old-bucket"}, {"region": "eu-west-1", "bucket": "new-bucket"}
KEYS = {"access_key_id": "AKIAOLD", "secret_access_key": "a-secret-of-old"}
REFERENCES = {name: {"$secret": "env:NORTHSTAR_SECRET_OLD"} for name in KEYS}


@pytest.fixture(autouse=True)
def keys(settings):
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k1": bytes(32)}


def put(tenant="acme", project=None, backend_type="s3", **config) -> Route:
    return create_route(
        RouteDraft(resource_kind=KIND, tenant_id=tenant, project_id=project, backend_type=backend_type, config=config),
        CAUSE,
    )


def move(route: Route, backend_type: str = "s3", **config) -> None:
    update_route(route.pk, RouteUpdate(backend_type=backend_type, config=config), CAUSE)


def here(context=ACME):
    """Where the context's objects are now, as their owner keeps it."""
    return read_whereabouts(whereabouts(open_store(KIND, context).served_by))


def test_what_was_written_down_is_understood_again_and_nothing_else(acme):
    put(**OLD)
    served = open_store(KIND, ACME).served_by
    assert read_whereabouts(whereabouts(served)) == served
    for text in ("", "s3", whereabouts(served) + "x", "s3:zz@1.1"):
        assert read_whereabouts(text) is None


def test_an_earlier_place_is_opened_after_any_number_of_switches(acme):
    route = put(**OLD)
    old = here()
    move(route, **NEW)
    new = here()
    move(route, backend_type="filesystem")
    assert [reopen(KIND, ACME, where).served_by for where in (old, new)] == [old, new]


def test_secrets_of_today_stand_in_for_those_of_the_same_service_and_for_no_others(acme, settings):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = ["http://127.0.0.1:1"]
    route = put(**OLD, **KEYS)
    old = here()
    move(route, **NEW, access_key_id="AKIANEW", secret_access_key="rotated")
    assert reopen(KIND, ACME, old).served_by == old
    move(route, **NEW, endpoint="http://127.0.0.1:1", access_key_id="AKIANEW", secret_access_key="rotated")
    with pytest.raises(BackendRejected):
        reopen(KIND, ACME, old)


def test_a_secret_given_in_clear_goes_with_its_revision_until_a_route_leads_there_again(acme):
    route = put(**OLD, **KEYS)
    old = here()
    move(route, **NEW, access_key_id=None, secret_access_key=None)
    with pytest.raises(BackendRejected, match="Nothing leads any more") as refused:
        reopen(KIND, ACME, old)
    assert "a-secret-of-old" not in refused.value.told()
    archive = put(project="archive", **OLD, **KEYS)
    assert reopen(KIND, ACME, old).served_by.route_id == archive.pk


def test_new_credentials_of_the_same_place_serve_what_the_old_ones_stored(acme):
    route = put(**OLD, **KEYS)
    old = here()
    move(route, **OLD, access_key_id="AKIANEW", secret_access_key="rotated")
    assert reopen(KIND, ACME, old).served_by.revision == 2


def test_a_referenced_secret_serves_for_as_long_as_it_is_there(acme, monkeypatch):
    monkeypatch.setenv("NORTHSTAR_SECRET_OLD", "kept outside")
    route = put(**OLD, **REFERENCES)
    old = here()
    move(route, **NEW)
    assert reopen(KIND, ACME, old).served_by == old
    monkeypatch.delenv("NORTHSTAR_SECRET_OLD")
    close_earlier()
    with pytest.raises(InvalidConfig):
        reopen(KIND, ACME, old)


def test_a_reference_of_another_tenant_environment_or_place_opens_nothing(acme, globex):
    put("globex", **OLD)
    theirs = here(RequestContext("globex", "dev", "lab"))
    route = put(**NEW)
    mine = here()
    move(route, backend_type="filesystem")
    forged = [theirs, replace(mine, place=theirs.place), replace(theirs, place=mine.place), replace(mine, revision=9)]
    for where in forged:
        with pytest.raises(BackendRejected):
            reopen(KIND, ACME, where)
    create_route(RouteDraft(resource_kind=KIND, tenant_id="acme", env="prod", backend_type="filesystem"), CAUSE)
    with pytest.raises(BackendRejected):
        reopen(KIND, replace(ACME, env="prod"), mine)


def test_the_guard_and_the_lists_of_today_decide(acme, settings):
    route = put(backend_type="filesystem", base_dir="old")
    old = here()
    move(route, **NEW)
    assert reopen(KIND, ACME, old).served_by == old
    with pytest.raises(ForbiddenBackendClass):
        reopen(KIND, replace(ACME, mode=SAAS), old)
    close_earlier()
    settings.NORTHSTAR_ALLOWED_ROOTS = ["/nowhere"]
    with pytest.raises(ForbiddenEndpoint):
        reopen(KIND, ACME, old)


def test_without_an_enabled_route_of_today_nothing_is_opened(acme):
    route = put(**OLD)
    old = here()
    move(route, **NEW)
    reopen(KIND, ACME, old)
    update_route(route.pk, RouteUpdate(enabled=False), CAUSE)
    with pytest.raises(NoRouteConfigured):
        reopen(KIND, ACME, old)
    delete_route(route.pk, CAUSE)
    with pytest.raises(NoRouteConfigured):
        reopen(KIND, ACME, old)
