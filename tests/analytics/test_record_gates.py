"""Gates: what a gate refuses is answered with the gate's own error, kept all the same, and may come in later."""

from typing import Any

import pytest

from routing.changes import lock_env, unlock
from tests.analytics.test_records import RECORDS, counters, ingest, listed, record
from tests.conftest import CAUSE


def locked(acme: Any, **more: Any) -> Any:
    return lock_env("acme", "dev", reason="moving", until=None, cause=CAUSE, **more)


def test_a_lock_alone_never_stops_records(acme_api, acme):
    locked(acme)
    assert acme_api.post(RECORDS, record()).status_code == 201


def test_a_lock_that_holds_ingestion_refuses_and_keeps_and_its_release_lets_them_be_replayed(acme_api, acme):
    lock = locked(acme, holds_ingest=True)
    refused = acme_api.post(RECORDS, record(status="error", error_message="declined"))
    assert (refused.status_code, refused.json()["error_code"]) == (423, "STRATEGY_LOCKED")
    assert refused.json()["locks"][0]["reason"] == "moving"
    [row] = listed(acme_api)
    assert (row["status"], row["outcome"]) == ("gatechainerror", "rejected")
    assert (row["refusal"]["gate"], row["refusal"]["code"]) == ("lock", "STRATEGY_LOCKED")
    assert "moving" in row["error_message"]
    assert replayed(acme_api) == ["still_refused"]
    unlock(lock.pk, CAUSE)
    assert replayed(acme_api) == ["stored"]
    assert replayed(acme_api) == ["already_stored"]
    old, new = listed(acme_api, "outcome=rejected") + listed(acme_api, "outcome=stored")
    assert (new["status"], new["error_message"], new["replay_of"]) == ("error", "declined", old["row_id"])
    assert acme_api.get(f"{RECORDS}/{old['row_id']}").json()["replayed_as"] == new["row_id"]
    assert counters(acme_api) == {"received": 1, "rejected": 1, "replayed": 1}


def replayed(client: Any, **body: Any) -> list[str]:
    answer = client.post(f"{RECORDS}/replay", body)
    assert answer.status_code == 200, answer.content
    return [item["result"] for item in answer.json()["items"]]


def test_only_a_lock_that_reaches_the_analytics_route_can_hold_records(acme_api, acme):
    other = next(route for route in acme.routes.all() if route.resource_kind == "object_store")
    answer = acme_api.post(f"routing/routes/{other.pk}/lock", {"reason": "audit", "holds_ingest": True})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "holds_ingest")
    own = next(route for route in acme.routes.all() if route.resource_kind == "analytics_store")
    assert acme_api.post(f"routing/routes/{own.pk}/lock", {"reason": "audit", "holds_ingest": True}).status_code == 201
    assert [item["outcome"] for item in ingest(acme_api, record(), record(platform="fridge"))] == [
        "rejected",
        "rejected",
    ]
    assert [row["refusal"]["gate"] for row in listed(acme_api)].count("lock") == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"mode": "saas"}, "MODE_MISMATCH"),
        ({"tenant_id": "globex"}, "TENANT_MISMATCH"),
        ({"env": "prod"}, "TENANT_MISMATCH"),
    ],
)
def test_a_record_that_says_it_is_anothers_is_refused_and_kept(acme_api, said, code):
    answer = acme_api.post(RECORDS, record(**said))
    assert (answer.status_code, answer.json()["error_code"]) == (403, code)
    [row] = listed(acme_api)
    assert (row["tenant_id"], row["mode"], row["env"]) == ("acme", "lab", "dev")
    assert (row["status"], row["refusal"]["gate"]) == ("gatechainerror", "mode")
    assert acme_api.post(RECORDS, record(mode="LAB", tenant_id="acme", env="dev")).status_code == 201


def test_a_refused_record_leaves_its_id_free(acme_api, acme):
    lock = locked(acme, holds_ingest=True)
    sent = record()
    assert [acme_api.post(RECORDS, sent).status_code for _ in range(2)] == [423, 423]
    unlock(lock.pk, CAUSE)
    assert acme_api.post(RECORDS, sent).status_code == 201
    assert replayed(acme_api) == ["already_stored", "already_stored"]
    assert counters(acme_api) == {"received": 3, "stored": 1, "rejected": 2}
