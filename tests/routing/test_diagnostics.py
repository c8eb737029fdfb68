"""Diagnostics over REST: how routes do, what they used, what that costs, who may see it, and which process knows what."""

from typing import Any

import pytest

from routing.changes import RouteUpdate, create_route, update_route
from routing.health_models import ServerProcess
from routing.keys import SCOPES
from routing.models import Route
from routing.operations.processes import report_process, this_process, withdraw_process
from routing.operations.usage import flush_usage
from routing.resolve import invalidate, snapshot
from storage.metering import route_meters
from storage.usage import USAGE_MEASURES
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY

RECORD = "storage/tables/t/records/k"


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    route_meters.take()


@pytest.fixture
def route(acme) -> Route:
    return create_route(draft(backend_type="filesystem", config={}, cost_notes="cheap", tier="pro"), CAUSE)


def diagnosed(client: Any, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"routing/diagnostics{query}")
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_routes_requests_show_up_in_its_diagnosis(acme, route, api):
    client = api(acme)
    assert client.put(RECORD, {"data": {"n": 1}}).status_code == 200
    assert client.get(RECORD).status_code == 200
    assert client.post(f"routing/routes/{route.pk}/probe").json()["ok"] is True
    (item,) = diagnosed(client)
    assert (item["route_id"], item["health"], item["tier"], item["cost_notes"]) == (route.pk, "ok", "pro", "cheap")
    assert [step["name"] for step in item["probe"]["steps"]] == ["write", "read", "list", "delete"]
    assert item["usage"]["operations"] == 2  # the probe is no request
    assert item["usage"]["errors"] == 0
    assert set(USAGE_MEASURES) < set(item["usage"])
    assert 0 < item["latency_ms"]["p50"] <= item["latency_ms"]["p99"]
    assert item["limits"]["document_bytes"] == 350 * 1024
    assert item["last_error"] is None
    assert item["estimated_cost"]["amount"] == "0"


def test_a_route_without_requests_and_probes_is_unknown_and_not_healthy(acme, route, api):
    (item,) = diagnosed(api(acme))
    assert (item["health"], item["probe"], item["latency_ms"]) == ("unknown", None, None)
    assert item["usage"]["operations"] == 0


def test_each_figure_of_an_estimate_names_the_date_of_its_source(acme, api, aws_account):
    keys = {"access_key_id": aws_account.access_key, "secret_access_key": CANARY}
    config = {"region": "us-east-1", "endpoint": aws_account.endpoint, **keys}
    route = create_route(draft(backend_type="dynamodb", config=config), CAUSE)
    route_meters.count(route.pk, 0.01, {"read_units": 1000, "write_units": 10}, None)
    answer = api(acme).get("routing/diagnostics")
    cost = answer.json()["items"][0]["estimated_cost"]
    assert cost["amount"] == "0.00013125"
    assert [line["source_date"] for line in cost["lines"]] == ["2025-07-21", "2025-07-21"]
    assert [line["measure"] for line in cost["lines"]] == ["read_units", "write_units"]
    assert CANARY not in answer.content.decode()


def test_the_last_error_stays_until_there_is_a_newer_one(acme, route, api, lab):
    client = api(acme)
    assert client.put(RECORD, {"data": {}}).status_code == 200
    log = next(lab.glob("tabular_store/acme/**/*.jsonl"))
    log.unlink()
    log.mkdir()  # the service is damaged
    update_route(route.pk, RouteUpdate(tier="x"), CAUSE)
    assert client.get(RECORD).status_code >= 500
    (item,) = diagnosed(client)
    assert item["usage"]["errors"] >= 1
    assert (item["last_error"]["operation"], item["last_error"]["error_code"][:8]) == ("get", "BACKEND_")


def test_a_tenant_sees_its_own_routes_and_an_operator_all(acme, globex, system, route, api):
    other = create_route(draft("globex", backend_type="filesystem", config={}), CAUSE)
    assert [item["route_id"] for item in diagnosed(api(globex))] == [other.pk]
    operator = api(system, scopes=SCOPES)
    assert [item["route_id"] for item in diagnosed(operator)] == [route.pk, other.pk]
    assert [item["route_id"] for item in diagnosed(operator, "?tenant=globex")] == [other.pk]
    assert api(globex).get("routing/diagnostics?tenant=acme").status_code == 403
    assert api(globex, scopes=["data:read"]).get("routing/diagnostics").status_code == 403
    assert api(acme).get("routing/diagnostics").json()["processes"] is None
    assert operator.get("routing/diagnostics").json()["processes"] == []


def test_pages_and_days_are_checked(acme, route, api):
    client = api(acme)
    create_route(draft(kind="event_stream", backend_type="filesystem", config={}), CAUSE)
    first = client.get("routing/diagnostics?limit=1").json()
    second = client.get(f"routing/diagnostics?limit=1&cursor={first['next_cursor']}").json()
    assert [len(page["items"]) for page in (first, second)] == [1, 1]
    assert second["next_cursor"] is None
    for days in ("0", "32", "x"):
        assert client.get(f"routing/diagnostics?days={days}").status_code == 400


def test_the_list_of_routes_shows_their_health(acme, route, api):
    client = api(acme)
    assert client.get("routing/routes").json()["items"][0]["health"] == "unknown"
    client.post(f"routing/routes/{route.pk}/probe")
    listed = client.get("routing/routes").json()["items"][0]
    assert listed["health"] == "ok"
    assert listed["probed_at"]


def test_each_process_says_which_revision_it_has_and_since_when(system, route, api):
    report_process("web")
    told = api(system, scopes=SCOPES).get("routing/diagnostics").json()
    (process,) = told["processes"]
    assert process["name"] == told["answered_by"]["name"] == this_process().name
    assert process["revision"] == snapshot().revision - 1  # the key that asks was issued afterwards
    ready = api(system).get("/readyz").json()
    assert ready["process"] == process["name"]
    assert ready["checks"]["snapshot"]["revision"] == snapshot().revision
    assert ready["checks"]["snapshot"]["since"]
    withdraw_process()
    assert not ServerProcess.objects.exists()


def test_the_time_since_a_revision_is_known_moves_with_the_revision_alone(route):
    report_process("web")
    before = ServerProcess.objects.get()
    invalidate()  # loads the same anew
    report_process("web")
    again = ServerProcess.objects.get()
    assert (again.revision, again.revision_since) == (before.revision, before.revision_since)
    assert again.seen_at > before.seen_at
    update_route(route.pk, RouteUpdate(tier="x"), CAUSE)
    report_process("web")
    after = ServerProcess.objects.get()
    assert after.revision == before.revision + 1
    assert after.revision_since > before.revision_since


def test_usage_is_kept_without_a_route_to_belong_to(acme, route):
    route_meters.count(10**6, 0.01, {}, None)
    flush_usage()
