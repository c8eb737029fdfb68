"""Records on every document backend: the same calls, the same answers, few round trips, nobody else's data."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from uuid_utils import uuid7

from analytics.records.checking import differences
from analytics.records.counters import tally_of
from analytics.records.ingest import analytics_store
from analytics.records.instants import EARLIEST
from northstar.context import RequestContext
from routing.resolve import resolve
from storage.backends.dynamodb_client import Connection
from storage.opening import build_adapter
from tests.analytics.test_records import RECORDS, counters, ingest, listed, record
from tests.api.test_every_backend import CONFIGS
from tests.conftest import Api

CONTEXT = RequestContext("acme", "dev", "lab")
END = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(params=CONFIGS)
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def routed(backend, request, acme, globex, operator_api) -> None:
    """Acme's and globex's analytics lie at one place of this backend."""
    config = CONFIGS[backend](request)
    for tenant in ("acme", "globex"):
        route = {"resource_kind": "analytics_store", "tenant_id": tenant, "env": "dev"}
        answer = operator_api.post("routing/routes", route | {"backend_type": backend, "config": config})
        assert answer.status_code == 201, answer.content
    adapter = build_adapter(resolve("analytics_store", CONTEXT), "lab")
    adapter.driver.prepare()


@pytest.fixture
def client(routed, api, acme) -> Api:
    made: Api = api(acme)
    return made


def at(second: int, **fields: Any) -> dict[str, Any]:
    return record(timestamp=f"2026-11-20T12:{second // 60:02}:{second % 60:02}Z", **fields)


def check_counts(context: RequestContext = CONTEXT) -> None:
    """Every count of the store is what its rows say."""
    store = analytics_store(context)
    tally = tally_of(context, store, EARLIEST, END)
    assert differences(store, EARLIEST, END, tally) == []


def test_a_batch_is_kept_once_found_by_time_and_by_run_and_counted(client, api, globex):
    sent = [
        at(
            7 * number,
            run_id=f"run-{number % 2}",
            step_id=f"step-{number}",
            session_id=f"s-{number % 3}",
            utm_source="google" if number % 3 else "bing",
            payload={"n": number, "big": 2**70, "text": "é"},
        )
        for number in range(60)
    ]
    assert {item["outcome"] for item in ingest(client, *reversed(sent))} == {"stored"}
    again = ingest(client, *sent[:30], sent[30] | {"payload": None})
    assert [item["outcome"] for item in again] == ["duplicate"] * 30 + ["conflict"]
    rows, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{RECORDS}?outcome=stored&limit=7{cursor and f'&cursor={cursor}'}").json()
        rows += page["items"]
        cursor = page["next_cursor"]
    assert [row["payload"] for row in rows] == [one["payload"] for one in sent]
    window = listed(client, "start=2026-11-20T12:00:07Z&end=2026-11-20T12:00:21Z&utm_source=google")
    assert [row["payload"]["n"] for row in window] == [1, 2]
    run = client.get("analytics/runs/run-1?limit=1000").json()["items"]
    assert [row["step_id"] for row in run if row["outcome"] == "stored"] == [f"step-{n}" for n in range(1, 60, 2)]
    summary = client.get("analytics/summary?by=utm_source,outcome&bucket=day&outcome=stored").json()["items"]
    assert [(one["utm_source"], one["count"], one["sessions"]) for one in summary] == [
        ("bing", 20, 1),
        ("google", 40, 2),
    ]
    assert counters(client) == {"received": 91, "stored": 60, "duplicate": 30, "conflict": 1}
    check_counts()
    other: Api = api(globex)
    assert (listed(other), other.get("analytics/runs/run-1").json()["items"]) == ([], [])
    assert other.get(f"{RECORDS}/{rows[0]['row_id']}").status_code == 404
    assert counters(other) == {}


@pytest.mark.parametrize("backend", ["dynamodb"], indirect=True)
def test_a_batch_costs_few_round_trips(client, backend, monkeypatch):
    calls: list[str] = []
    send = Connection.send

    def counted(connection: Connection, operation: str, **parameters: Any) -> dict[str, Any]:
        calls.append(operation)
        return send(connection, operation, **parameters)

    monkeypatch.setattr(Connection, "send", counted)
    sent = [at(1, analytics_id=str(uuid7()), run_id="run-1") for _ in range(500)]
    assert {item["outcome"] for item in ingest(client, *sent)} == {"stored"}
    assert Counter(calls) == {"transact_write_items": 10 + 1, "batch_write_item": 1}
    calls.clear()
    assert {item["outcome"] for item in ingest(client, *sent)} == {"duplicate"}
    assert len(calls) <= 40
