"""A store that is away: records go to the durable spool, are told so, and come in once when it is back."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from analytics.records import spool
from analytics.records.draining import drain_spool
from analytics.records.ingest import analytics_store, take_in
from northstar.context import RequestContext
from northstar.findings import ERROR
from northstar.health_checks import spooled
from routing.changes import RouteDraft, create_route
from routing.preparation import prepare_routes
from tests.analytics.test_every_analytics_backend import check_counts
from tests.analytics.test_records import RECORDS, counters, listed, record
from tests.conftest import CAUSE, Api
from tests.stack.fault_proxy import FaultProxy, fault_proxy

CONTEXT = RequestContext("acme", "dev", "lab")


@pytest.fixture
def away(aws_account, settings, acme) -> Iterator[FaultProxy]:
    """Acme's analytics lie on DynamoDB behind a proxy that can be down."""
    with fault_proxy(aws_account.endpoint.removeprefix("http://")) as proxy:
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = [*settings.NORTHSTAR_ALLOWED_ENDPOINTS, proxy.url]
        keys = {"access_key_id": aws_account.access_key, "secret_access_key": aws_account.secret_key}
        config = {"region": aws_account.region, "endpoint": proxy.url, **keys}
        create_route(
            RouteDraft(
                resource_kind="analytics_store", tenant_id="acme", env="dev", backend_type="dynamodb", config=config
            ),
            CAUSE,
        )
        assert all(prepared.error is None for prepared in prepare_routes())
        yield proxy


@pytest.fixture
def client(away, api, acme) -> Api:
    made: Api = api(acme)
    return made


def send(client: Api, *records: Any) -> Any:
    return client.post(RECORDS, {"records": list(records)})


def test_what_comes_while_the_store_is_away_is_spooled_and_comes_in_once(own_database, client, away):
    before = record()
    assert send(client, before).json()["counts"] == {"stored": 1}
    away.refuse()
    deepest = json.loads('{"platform": ' + "[" * 61 + "]" * 61 + "}")  # as deep as a body may be
    sent = [record(payload={"n": 2**70}), record(), {"app": "no id"}, before, deepest]
    answer = send(client, *sent)
    assert (answer.status_code, answer.json()["counts"]) == (202, {"spooled": 5})
    ids = [item["analytics_id"] for item in answer.json()["items"]]
    assert drain_spool() == 0
    away.clear()
    told = client.get("analytics/counters").json()
    assert (told["received"], told["stored"], told["spooled"], told["balanced"]) == (6, 1, 5, True)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: drain_spool(), range(4))) == 5
    assert drain_spool() == 0
    assert counters(client) == {"received": 6, "stored": 4, "duplicate": 1, "rejected": 1}
    assert Counter(row["analytics_id"] for row in listed(client)) == Counter({before["analytics_id"], *ids})
    check_counts()


def drain_and_die() -> None:
    """Carry a submission out, and die before its file is removed."""
    [(_, [path])] = spool.places_waiting()
    with spool.taken(path) as found:
        assert found
        take_in(found.submission, found.records, found.ids, analytics_store(CONTEXT))
        raise KeyboardInterrupt


def test_a_drain_that_dies_before_the_file_is_gone_doubles_nothing(client, away):
    before = record()
    send(client, before)
    away.refuse()
    assert send(client, record(), record(), before | {"payload": 1}, before, 7).status_code == 202
    away.clear()
    with pytest.raises(KeyboardInterrupt):
        drain_and_die()
    told = counters(client)
    assert drain_spool() == 5
    told["received"] -= told.pop("spooled")
    assert counters(client) == told == {"received": 6, "stored": 3, "conflict": 1, "duplicate": 1, "rejected": 1}
    check_counts()


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_an_answer_that_is_lost_on_the_way_doubles_nothing(client, away, skip):
    send(client, record())  # the pointer of the day is there
    away.drop_response(once=1, skip=skip)
    answer = send(client, *(record() for _ in range(60)))
    assert sum(answer.json()["counts"].values()) == 60
    away.clear()
    drain_spool()
    assert counters(client) == {"received": 61, "stored": 61}
    assert len(listed(client, "limit=1000")) == 61
    check_counts()


def test_a_spool_that_is_full_refuses_so_that_the_sender_keeps_the_records(client, away, settings):
    settings.NORTHSTAR_SPOOL_BYTES = 10
    away.refuse()
    answer = send(client, record())
    assert (answer.status_code, answer.json()["error_code"]) == (503, "BACKEND_UNAVAILABLE")


def test_a_damaged_submission_is_put_aside_and_the_others_come_in(client, away):
    away.refuse()
    for _ in range(2):
        send(client, record())
    away.clear()
    [(_, [first, _])] = spool.places_waiting()
    first.write_bytes(b"{")
    assert drain_spool() == 1
    assert [path.suffix for path in first.parent.iterdir()] == [spool.DAMAGED]
    assert [finding.level for finding in spooled()] == [ERROR]
