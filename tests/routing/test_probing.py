"""A probe tells whether the place behind a route works, within its time, and leaves nothing there."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from northstar.errors import NotFound, RateLimited
from routing.admission import admit
from routing.changes import RouteDraft, create_route
from routing.keys import SCOPES
from routing.models import Route, RouteChange
from routing.operations import probing
from routing.operations.probing import probe_route, probe_target
from routing.resolve import snapshot
from storage.guard import GuardedDocuments, ServedBy
from storage.opening import build_adapter
from tests.commands.clouds import CLOUDS, config_of
from tests.conftest import TENANT_SCOPES
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY, VaultDocuments

STEPS = ("write", "read", "list", "delete")
KINDS = ("event_stream", "object_store", "tabular_store")


def files(**changes: Any) -> RouteDraft:
    return draft(**{"backend_type": "filesystem", "config": {}, **changes})


def names(report: probing.ProbeReport) -> tuple[str, ...]:
    return tuple(name for name, _ in report.steps)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a service that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
    for thread in threading.enumerate():
        if thread.name == "northstar-probe":
            thread.join(30)  # the service is gone now, which ends what hung at it


@pytest.mark.parametrize("kind", KINDS)
def test_a_route_that_works_passes_four_steps_and_nothing_of_them_stays(acme, lab, kind):
    route = create_route(files(kind=kind, config={"base_dir": "place"}), CAUSE)
    report = probe_route(route.pk)
    assert (report.ok, report.error_code, report.error, names(report)) == (True, "", "", STEPS)
    assert all(milliseconds > 0 for _, milliseconds in report.steps)
    assert list((lab / "place").iterdir()) == []


@pytest.mark.parametrize("backend", CLOUDS)
def test_a_probe_on_a_service_removes_its_documents_and_what_a_killed_one_left(acme, request, backend):
    route = create_route(draft(backend_type=backend, config=config_of(request, backend)), CAUSE)
    adapter = build_adapter(next(iter(snapshot().routes.values())), "lab")
    adapter.driver.prepare()
    documents = GuardedDocuments(adapter.driver, scope=probing._SCOPE, served_by=ServedBy(0, 0, backend))
    place = probing._DocumentPlace(documents)
    young = probing._new_key()
    place.write("0000000001-of-a-killed-probe")
    place.write(young)
    assert (probe_route(route.pk).ok, place.keys()) == (True, [young])


def test_the_error_of_a_service_is_told_with_its_fix_and_without_its_secrets(acme, cosmos_server):
    config = {"endpoint": cosmos_server.url, "database": "none", "key": "Y2FuYXJ5LTVmMWQ3YzNh"}
    route = create_route(draft(backend_type="cosmos", config=config), CAUSE)
    report = probe_route(route.pk)
    assert (report.ok, report.error_code, report.steps) == (False, "BACKEND_REJECTED", ())
    assert report.fix
    assert config["key"] not in repr(report)


def test_a_service_that_never_answers_holds_up_a_probe_no_longer_than_it_may(acme, silent):
    keys = {"access_key_id": "a", "secret_access_key": CANARY}
    config = {"region": "us-east-1", "endpoint": f"http://127.0.0.1:{silent}", **keys}
    route = create_route(draft(backend_type="dynamodb", config=config), CAUSE)
    report = probe_route(route.pk, seconds=0.5)
    assert (report.ok, report.error_code) == (False, "BACKEND_UNAVAILABLE")
    assert "0.5 seconds" in report.error


def test_no_more_probes_than_may_are_under_way(acme, monkeypatch):
    route = create_route(files(), CAUSE)
    monkeypatch.setattr(probing, "_slots", threading.BoundedSemaphore(1))
    with probing._slots, pytest.raises(RateLimited):
        probe_route(route.pk)
    assert probe_route(route.pk).ok


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_of_a_driver_ends_as_a_report(acme, monkeypatch):
    monkeypatch.delattr(VaultDocuments, "__getattr__")  # a backend without operations
    report = probe_route(create_route(draft(), CAUSE).pk)
    assert (report.ok, report.error_code) == (False, "INTERNAL")


def test_a_place_that_no_route_names_is_probed_and_nothing_is_saved(acme, lab):
    before = (Route.objects.count(), RouteChange.objects.count())
    admitted = admit(files(config={"base_dir": "tried"}), acme, None)
    report = probe_target("tabular_store", admitted.backend_type, admitted.config, mode="lab")
    assert (report.ok, names(report)) == (True, STEPS)
    assert (Route.objects.count(), RouteChange.objects.count()) == before


def test_a_place_that_the_mode_forbids_fails_its_probe(acme, lab):
    admitted = admit(files(), acme, None)
    report = probe_target("tabular_store", admitted.backend_type, admitted.config, mode="saas")
    assert (report.ok, report.error_code) == (False, "FORBIDDEN_BACKEND_CLASS")
    assert list(lab.glob(".probe-*")) == []


def test_a_route_that_does_not_exist_has_no_probe(db):
    with pytest.raises(NotFound):
        probe_route(404)


def test_an_operator_and_the_tenant_itself_may_probe_and_nobody_else(acme, globex, system, api):
    route = create_route(files(), CAUSE)
    path = f"routing/routes/{route.pk}/probe"
    for caller in (api(acme), api(system, scopes=SCOPES)):
        answer = caller.post(path)
        assert answer.status_code == 200
        assert answer.json()["ok"] is True
        assert [step["name"] for step in answer.json()["steps"]] == list(STEPS)
    assert api(globex).post(path).status_code == 404
    reading = [scope for scope in TENANT_SCOPES if scope != "routes:write"]
    assert api(acme, scopes=reading).post(path).status_code == 403
    assert api(acme, envs=["prod"], **{"X-Env": "prod"}).post(path).status_code == 404


def test_a_failing_probe_is_a_good_answer(acme, api):
    route = create_route(files(config={"base_dir": "place"}), CAUSE)
    Route.objects.update(config={"base_dir": "/outside"})
    answer = api(acme).post(f"routing/routes/{route.pk}/probe")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["ok"], body["error_code"], body["steps"]) == (False, "FORBIDDEN_ENDPOINT", [])
    assert "NORTHSTAR_ALLOWED_ROOTS" in body["fix"]
