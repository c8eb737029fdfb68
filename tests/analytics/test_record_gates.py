"""Gates: what a gate refuses is answered with the gate's own error, kept all the same, and may come in later."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.budgets.folding import fold
from analytics.budgets.places import open_place
from northstar.context import RequestContext
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


def contract(client: Any, mode: str) -> None:
    rules = {"fields": [{"field": "utm_campaign", "presence": "required"}]}
    answer = client.put("analytics/contracts/google_ads", {"mode": mode, "rules": rules})
    assert answer.status_code in {200, 201}, answer.content


def test_a_contract_that_blocks_answers_what_is_wrong_and_the_record_is_kept(acme_api):
    contract(acme_api, "block")
    answer = acme_api.post(RECORDS, record(ad_platform="google_ads", utm_source="google", utm_medium="cpc"))
    assert (answer.status_code, answer.json()["error_code"]) == (422, "CONTRACT_VIOLATION")
    assert ("utm_campaign", "field_missing") in {(one["field"], one["code"]) for one in answer.json()["errors"]}
    [row] = listed(acme_api)
    assert (row["status"], row["refusal"]["gate"]) == ("gatechainerror", "contract")
    assert row["contract"]["mode"] == "block"


def test_a_quarantined_record_is_kept_under_its_id_and_comes_in_once_when_the_contract_has_changed(acme_api):
    contract(acme_api, "quarantine")
    sent = record(ad_platform="google_ads", utm_source="google", utm_medium="cpc")
    answer = acme_api.post(RECORDS, sent)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "quarantined")
    assert [item["outcome"] for item in ingest(acme_api, sent, record(utm_source="bing"))] == ["duplicate", "stored"]
    assert replayed(acme_api) == ["still_refused"]
    contract(acme_api, "warn")
    assert replayed(acme_api) == ["stored"]
    assert replayed(acme_api) == ["already_stored"]
    [old] = listed(acme_api, "outcome=quarantined")
    [new] = [row for row in listed(acme_api, "outcome=stored") if row.get("replay_of")]
    assert (new["replay_of"], new["analytics_id"]) == (old["row_id"], sent["analytics_id"])
    assert counters(acme_api) == {"received": 3, "stored": 1, "quarantined": 1, "duplicate": 1, "replayed": 1}
    assert acme_api.post(RECORDS, sent).json()["outcome"] == "duplicate"


def test_a_hard_budget_takes_what_fits_once_and_keeps_the_rest_as_refused(acme_api):
    answer = acme_api.put("analytics/budgets/analytics/records", {"hard_limit": 3, "window": "day"})
    assert answer.status_code in {200, 201}, answer.content
    now = [record(timestamp=None) for _ in range(4)]
    assert [item["outcome"] for item in ingest(acme_api, *now[:2], now[0])] == ["stored", "stored", "duplicate"]
    assert [item["outcome"] for item in ingest(acme_api, now[0], *now[2:])] == ["duplicate", "stored", "rejected"]
    alone = acme_api.post(RECORDS, now[3])
    assert (alone.status_code, alone.json()["error_code"], alone.json()["limit"]) == (429, "QUOTA_EXCEEDED", "3")
    assert [row["refusal"]["gate"] for row in listed(acme_api, "status=gatechainerror")] == ["budget", "budget"]
    acme_api.put("analytics/budgets/analytics/records", {"hard_limit": 4, "window": "day"})
    assert acme_api.post(RECORDS, now[3]).status_code == 201


def test_what_a_record_used_is_counted_once(acme_api):
    acme_api.put("analytics/budgets/openai/tokens", {"hard_limit": 10, "window": "lifetime"})
    usage = {"provider": "openai", "metric": "tokens", "amount": "6"}
    sent = record(usage=usage)
    assert [acme_api.post(RECORDS, sent).status_code for _ in range(2)] == [201, 200]
    assert acme_api.get("analytics/budgets/openai/tokens").json()["usage"] == "6"
    assert acme_api.post(RECORDS, record(usage=usage)).status_code == 429


def test_a_record_too_late_for_its_window_counts_in_the_one_that_is_on_and_holds_up_no_other(acme_api):
    acme_api.put("analytics/budgets/analytics/records", {"hard_limit": 2, "window": "day", "grace_seconds": 0})
    late = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    outcomes = [item["outcome"] for item in ingest(acme_api, record(timestamp=late), record(), record())]
    assert outcomes == ["stored", "stored", "rejected"]
    assert acme_api.get("analytics/budgets/analytics/records").json()["usage"] == "2"


def test_what_a_record_says_it_used_counts_once_for_good_and_spoils_no_batch(acme_api):
    acme_api.put("analytics/budgets/openai/tokens", {"hard_limit": 10})

    def sent(amount):
        said = {"usage": {"provider": "openai", "metric": "tokens", "amount": amount}}
        one = record(analytics_id="one", **said)
        del one["timestamp"]
        return [item["outcome"] for item in ingest(acme_api, one, record())]

    assert sent("4") == ["stored", "stored"]
    assert sent("4") == ["duplicate", "stored"]
    assert sent("5") == ["conflict", "stored"]
    context = RequestContext("acme", "dev", "lab")
    assert fold(context, open_place(context, None), datetime.now(UTC) + timedelta(days=3)) == 1
    assert sent("4") == ["duplicate", "stored"]
    assert acme_api.get("analytics/budgets/openai/tokens").json()["usage"] == "4"
    refund = {"usage": {"provider": "openai", "metric": "tokens", "amount": "-5"}}
    assert [item["outcome"] for item in ingest(acme_api, record(**refund), record())] == ["rejected", "stored"]
