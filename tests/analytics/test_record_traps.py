"""Awkward records: one that cannot be kept as it is costs itself a refusal, and never its neighbours their place."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from analytics.records.drafts import Submission
from analytics.records.ingest import analytics_store, take_in
from routing.changes import lock_env, unlock
from storage.kinds.analytics_keeping import Kept
from storage.kinds.analytics_rows import NewRow
from tests.analytics.test_record_details import CONTEXT
from tests.analytics.test_records import RECORDS, counters, ingest, listed, record
from tests.conftest import CAUSE


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_a_body_nested_too_deep_is_refused_as_such(acme_api):
    answer = acme_api.post(RECORDS, nested(300).encode(), content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_deep")
    lines = f'{{"payload": {nested(300)}}}\n{{}}'
    answer = acme_api.post(RECORDS, lines.encode(), content_type="application/x-ndjson")
    assert answer.json()["counts"] == {"rejected": 1, "stored": 1}


NAME = "\N{HIRAGANA LETTER A}" * 256
ODD: list[tuple[dict[str, Any], str]] = [
    ({"run_id": NAME}, "stored"),
    ({"step_id": 10**60}, "rejected"),
    ({"click_ids": {"x" * 201: "1"}}, "rejected"),
    ({"click_ids": {"": "1"}}, "rejected"),
    ({"usage": {"provider": "openai", "metric": "tokens", "amount": -1}}, "rejected"),
    ({"usage": {"provider": "openai", "metric": "tokens", "amount": True}}, "rejected"),
    ({"usage": {"provider": "openai", "metric": "tokens", "amount": 10**60}}, "rejected"),
    (
        {"ad_platform": "google_ads", "landing_url": "?" + "Utm_Source=%2520{x}&" * 400, "payload": "x" * 40_000},
        "stored",
    ),
]


def test_what_cannot_be_kept_or_counted_refuses_its_own_record_only(acme_api):
    items = ingest(acme_api, *(record(**said) for said, _ in ODD), record())
    assert [item["outcome"] for item in items] == [*(outcome for _, outcome in ODD), "stored"]
    assert counters(acme_api)["received"] == len(ODD) + 1
    assert len(acme_api.get(f"analytics/runs/{quote(NAME)}").json()["items"]) == 1


def test_an_id_whose_usage_was_another_conflicts_and_is_counted_once(acme_api):
    acme_api.put("analytics/budgets/openai/tokens", {"hard_limit": 10, "window": "lifetime"})
    first = record(usage={"provider": "openai", "metric": "tokens", "amount": "1"})
    second = first | {"usage": {"provider": "openai", "metric": "tokens", "amount": "2"}}
    assert [item["outcome"] for item in ingest(acme_api, first, record())] == ["stored", "stored"]
    assert [item["outcome"] for item in ingest(acme_api, second, record())] == ["conflict", "stored"]
    assert acme_api.get("analytics/budgets/openai/tokens").json()["usage"] == "1"


def test_a_full_window_refuses_no_record_of_another_and_what_is_too_late_counts_now(acme_api):
    acme_api.put("analytics/budgets/analytics/records", {"hard_limit": 1, "window": "hour"})
    now = datetime.now(UTC)
    sent = [record(timestamp=now.isoformat()) for _ in range(2)]
    earlier = [record(timestamp=(now - timedelta(hours=1)).isoformat()) for _ in range(2)]
    items = ingest(acme_api, record(timestamp="2020-01-01T00:00:00Z"), *earlier, *sent)
    assert [item["outcome"] for item in items] == ["stored", "stored", "rejected", "rejected", "rejected"]
    assert [item.get("gate") for item in items][2:] == ["budget"] * 3


def test_two_refusals_of_one_record_are_replayed_as_one(acme_api, acme):
    lock = lock_env("acme", "dev", reason="moving", until=None, cause=CAUSE, holds_ingest=True)
    sent = record()
    for _ in range(2):
        acme_api.post(RECORDS, sent)
    unlock(lock.pk, CAUSE)
    answer = acme_api.post(f"{RECORDS}/replay", {})
    assert sorted(item["result"] for item in answer.json()["items"]) == ["already_stored", "stored"]
    assert counters(acme_api) == {"received": 2, "rejected": 2, "replayed": 1}


@pytest.mark.parametrize("locked_first", [False, True])
def test_a_submission_carried_out_again_keeps_what_it_was_told_though_the_gates_say_something_else(
    acme_api, acme, locked_first
):
    store, sent = analytics_store(CONTEXT), [record(), record()]
    submission = Submission(CONTEXT, "token", datetime.now(UTC))

    def carried_out() -> list[str]:
        return [one.outcome for one in take_in(submission, sent, ["a", "b"], store, again=True, waited=True)]

    def locked() -> Any:
        return lock_env("acme", "dev", reason="moving", until=None, cause=CAUSE, holds_ingest=True)

    lock = locked() if locked_first else None
    first = carried_out()
    if lock:
        unlock(lock.pk, CAUSE)
    else:
        locked()
    assert carried_out() == first == ["rejected" if locked_first else "stored"] * 2
    assert len(listed(acme_api)) == counters(acme_api)["received"] == 2


def test_a_submission_that_came_in_by_half_counts_once_in_its_budget(acme_api, monkeypatch):
    acme_api.put("analytics/budgets/analytics/records", {"hard_limit": 10, "window": "lifetime"})
    store, sent = analytics_store(CONTEXT), [record(timestamp=None) for _ in range(3)]
    submission = Submission(CONTEXT, "token", datetime.now(UTC))
    whole = store.keep

    def first_only(rows: Sequence[NewRow], token: str) -> Kept:
        whole(rows[:1], token)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "keep", first_only)
    with pytest.raises(KeyboardInterrupt):
        take_in(submission, sent, ["a"] * 3, store)
    again = take_in(submission, sent, ["a"] * 3, analytics_store(CONTEXT), again=True)
    assert [one.outcome for one in again] == ["stored"] * 3
    assert acme_api.get("analytics/budgets/analytics/records").json()["usage"] == "3"


def test_the_last_hour_there_is_and_a_row_id_of_endless_digits_are_answered(acme_api):
    assert acme_api.get("analytics/summary?by=app&end=9999-12-31T23:59:59Z").status_code == 200
    row_id = f"20261120.{'9' * 5000}.120000.a.0"
    assert acme_api.get(f"{RECORDS}/{row_id}").status_code == 400
    assert acme_api.post(f"{RECORDS}/replay", {"row_ids": [row_id]}).status_code == 400


def test_null_says_no_more_than_nothing(acme_api):
    sent = record(payload={"b": 2**70, "a": 1})
    again = sent | {"session_id": None, "payload": {"a": 1, "b": 2**70}}
    assert [item["outcome"] for item in ingest(acme_api, sent, again)] == ["stored", "duplicate"]
