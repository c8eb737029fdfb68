"""The same calls on every document backend: nothing of the API but a header tells which one serves."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from northstar.context import RequestContext
from routing.resolve import resolve
from storage.api import sse
from storage.opening import build_adapter
from tests.api.asgi_client import follow
from tests.conftest import Api, token

RECORD = "storage/tables/policies/records/p1"
CONTRACT = "analytics/contracts/google_ads"
EVENTS = "storage/streams/orders/events"
KINDS = ("event_stream", "metrics_store", "tabular_store")


def filesystem(_request: pytest.FixtureRequest) -> dict[str, Any]:
    return {}


def dynamodb(request: pytest.FixtureRequest) -> dict[str, Any]:
    account = request.getfixturevalue("aws_account")
    keys = {"access_key_id": account.access_key, "secret_access_key": account.secret_key}
    return {"region": account.region, "endpoint": account.endpoint, **keys}


def firestore(request: pytest.FixtureRequest) -> dict[str, Any]:
    project = request.getfixturevalue("firestore_project")
    return {"project": project.project, "endpoint": f"http://{project.address}"}


def cosmos(request: pytest.FixtureRequest) -> dict[str, Any]:
    database = request.getfixturevalue("cosmos_database")
    return {"endpoint": database.url, "database": database.database, "key": database.key}


CONFIGS: dict[str, Callable[[pytest.FixtureRequest], dict[str, Any]]] = {
    "filesystem": filesystem,
    "dynamodb": dynamodb,
    "firestore": firestore,
    "cosmos": cosmos,
}


@pytest.fixture(params=CONFIGS)
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def routed(backend, request, acme, globex, operator_api) -> None:
    """Acme's and globex's routes lead to one place of this backend, made through the API as an operator makes them."""
    config = CONFIGS[backend](request)
    for tenant in ("acme", "globex"):
        for kind in KINDS:
            route = {
                "resource_kind": kind,
                "tenant_id": tenant,
                "env": "dev",
                "backend_type": backend,
                "config": config,
            }
            answer = operator_api.post("routing/routes", route)
            assert answer.status_code == 201, answer.content
            assert config.get("key", config.get("secret_access_key", "none")) not in answer.content.decode()
    adapter = build_adapter(resolve("tabular_store", RequestContext("acme", "dev", "lab")), "lab")
    adapter.driver.prepare()


@pytest.fixture
def client(routed, api, acme) -> Api:
    made: Api = api(acme)
    return made


def test_a_record_is_written_read_conditioned_and_removed(client, backend):
    put = client.put(RECORD, {"data": {"name": "Ada", "limit": 2**70, "rate": 1.0, "n": 1}})
    got = client.get(RECORD)
    assert (put.status_code, got.status_code, got["X-Northstar-Backend"]) == (200, 200, backend)
    assert put.json() == got.json()
    assert put["ETag"] == got["ETag"]
    assert client.put(RECORD, {"data": {"n": 2}}, headers={"If-Match": put["ETag"]}).status_code == 200
    assert client.put(RECORD, {"data": {"n": 3}}, headers={"If-Match": put["ETag"]}).status_code == 412
    assert client.put(RECORD, {"data": {}}, headers={"If-None-Match": "*"}).status_code == 412
    assert [client.delete(RECORD).status_code for _ in range(2)] == [204, 204]
    assert client.get(RECORD).status_code == 404


def test_a_counter_stops_at_its_ceiling_and_counts_a_repeated_call_once(client):
    body = {"deltas": {"used": 4}, "ceilings": {"used": 10}}
    answers = [
        client.post(f"{RECORD}/increment", body, headers={"Idempotency-Key": key}) for key in ("a", "a", "b", "c")
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.json().get("totals") for answer in answers[:3]] == [{"used": 4}, {"used": 4}, {"used": 8}]
    assert client.get(RECORD).json()["data"] == {"used": 8}


def test_a_batch_has_an_outcome_per_item_and_a_listing_is_paged(client):
    items = [{"key": f"p{number:02}", "data": {"n": number}} for number in range(30)]
    batch = client.post("storage/tables/policies/batch", {"items": [*items, {"key": "gone", "op": "delete"}]})
    assert batch.status_code == 200, batch.content
    keys, cursor = [], ""
    while cursor is not None:
        page = client.get(
            f"storage/tables/policies/records?limit=7&prefix=p&cursor={cursor}".removesuffix("&cursor=")
        ).json()
        keys += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert keys == [item["key"] for item in items]


def test_an_attribution_contract_is_versioned_guarded_and_read_back(client, backend):
    contract = {"utm_template": {"source": "google"}, "allowed_fields": ["campaign"], "version": "1.0.0"}
    first = client.put(CONTRACT, contract, headers={"If-None-Match": "*"})
    assert (first.status_code, first["X-Northstar-Backend"]) == (201, backend)
    second = client.put(CONTRACT, {**contract, "allowed_fields": [], "version": "1.10.0"})
    draft = client.put(CONTRACT, {**contract, "version": "1.9.0", "status": "draft"})
    stale = client.put(CONTRACT, {"mode": "warn"}, headers={"If-Match": first["ETag"]})
    assert (second.status_code, draft.status_code, stale.status_code) == (200, 200, 412)
    assert client.get(CONTRACT).json() == second.json()
    assert client.get(f"{CONTRACT}?version=1").json()["rules"] == first.json()["rules"]
    listed = client.get(f"{CONTRACT}/versions").json()["items"]
    states = [(one["version"], one["status"]) for one in listed]
    assert states == [("1.0.0", "retired"), ("1.9.0", "draft"), ("1.10.0", "active")]


def test_events_are_appended_once_listed_after_any_place_and_kept_from_others(client, api, globex):
    body = {"events": [{"type": "placed", "data": {"n": n}, "event_id": f"order-{n}"} for n in (1, 2, 3)]}
    first, again = client.post(EVENTS, body), client.post(EVENTS, body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert [event["position"] for event in again.json()["events"]] == [1, 2, 3]
    for after in ("1", "order-1", first.json()["events"][0]["cursor"]):
        assert [event["data"]["n"] for event in client.get(f"{EVENTS}?after={after}").json()["items"]] == [2, 3]
    assert api(globex).get(EVENTS).json()["items"] == []
    assert api(globex).get(f"{EVENTS}?after={first.json()['events'][0]['cursor']}").status_code == 400


def test_values_of_a_metric_are_found_aggregated_and_kept_from_others(client, api, globex):
    name = "storage/metrics/orders.total"
    late = [("2026-11-20T23:59:59Z", "0.1"), ("2026-11-18T00:00:00Z", "0.2"), ("2026-11-21T00:00:00Z", 2**70)]
    body = [{"value": value, "ts": ts, "tags": {"region": "eu"}} for ts, value in late]
    stored = [client.post(name, body, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in stored] == [201, 201], stored[0].content
    client.post(name, {"value": 5.5, "ts": "2026-11-20T12:00:00Z"})
    assert [item["value"] for item in client.get(name).json()["items"]] == ["0.2", 5.5, "0.1", 2**70]
    assert client.get(f"{name}/latest").json()["value"] == 2**70
    days = client.get(f"{name}?tags=region:eu&bucket=1d&aggregate=sum,count&limit=1")
    assert days.json()["items"] == [
        {"start": "2026-11-18T00:00:00.000000Z", "end": "2026-11-19T00:00:00.000000Z", "sum": "0.2", "count": 1}
    ]
    rest = client.get(
        f"{name}?tags=region:eu&bucket=1d&aggregate=sum,count&limit=9&cursor={days.json()['next_cursor']}"
    )
    assert [item["sum"] for item in rest.json()["items"]] == ["0.1", 2**70]
    assert api(globex).get(name).json() == {"items": [], "next_cursor": None}


@pytest.mark.line(124)
def test_a_stream_is_followed_from_what_is_stored_to_what_comes(own_database, settings, client, acme):
    settings.NORTHSTAR_SSE_POLL_SECONDS = 0.05
    for n in range(3):
        client.post(EVENTS, {"type": "placed", "data": {"n": n}})

    key = token(acme)

    async def drop_and_resume() -> list[int]:
        async with follow(key) as stream:
            seen = await stream.positions(2)
            last_id = stream.last_id
        async with follow(key, last_event_id=last_id) as stream:
            seen += await stream.positions(1)
            await stream.until("up-to-date")
            await asyncio.to_thread(append_one)
            return seen + await stream.positions(1)

    def append_one() -> None:
        client.post(EVENTS, {"type": "placed", "data": {}})
        connections.close_all()

    try:
        assert asyncio.run(drop_and_resume()) == [1, 2, 3, 4]
    finally:
        sse._hub = None
