"""What is made of a record beside what was sent: its times, its tags, and where too much of it lies."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from analytics.records.ingest import analytics_store
from northstar.context import RequestContext
from storage.kinds.analytics_rows import COLLECTION, place_named
from tests.analytics.test_records import RECORDS, counters, ingest, listed, record

CONTEXT = RequestContext("acme", "dev", "lab")


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def test_a_clock_that_is_wrong_is_put_right_by_when_it_says_it_sent(acme_api):
    [item] = ingest(acme_api, record(timestamp=ago(hours=3, seconds=30), sent_at=ago(hours=3)))
    row = acme_api.get(f"{RECORDS}/{item['row_id']}").json()
    happened = datetime.fromisoformat(row["created_at"]) - datetime.fromisoformat(row["corrected_at"])
    assert timedelta(seconds=30) <= happened < timedelta(seconds=90)
    assert abs(row["skew_ms"] - 3 * 3600 * 1000) < 60_000
    assert row["timestamp"] < row["corrected_at"]


@pytest.mark.parametrize(
    ("told", "clamp"),
    [pytest.param(ago(days=-2), "future", id="future"), ("1999-12-31T23:59:59Z", "before_2000")],
)
def test_a_time_that_cannot_be_is_kept_as_told_and_the_row_stands_at_its_arrival(acme_api, told, clamp):
    acme_api.post(RECORDS, record(timestamp=told))
    [row] = listed(acme_api)
    assert (row["clamp"], row["corrected_at"]) == (clamp, row["created_at"])
    assert datetime.fromisoformat(row["timestamp"]) == datetime.fromisoformat(told)


def test_a_small_difference_of_clocks_is_the_network_and_moves_nothing(acme_api):
    ingest(acme_api, record(timestamp="2026-11-20T12:00:00+01:00", sent_at=ago(seconds=1)))
    [row] = listed(acme_api)
    assert row["timestamp"] == row["corrected_at"] == "2026-11-20T11:00:00.000000Z"


def test_programs_are_tagged_and_never_dropped(acme_api):
    ingest(
        acme_api, record(user_agent="Mozilla/5.0 (compatible; Googlebot/2.1)"), record(user_agent="Mozilla/5.0 Firefox")
    )
    assert sorted(row.get("bot", "") for row in listed(acme_api)) == ["", "bot"]


def test_a_record_too_large_for_a_row_lies_in_the_object_store_as_it_was_sent(acme_api):
    sent = record(payload={"text": "x" * 400_000}, session_id="s-1")
    assert [acme_api.post(RECORDS, sent).status_code for _ in range(2)] == [201, 200]
    [row] = listed(acme_api)
    assert (row["payload"], row["session_id"], row["raw_object"]["bytes"] > 400_000) == (None, "s-1", True)
    answer = acme_api.get(f"storage/objects/{row['raw_object']['key']}")
    assert json.loads(b"".join(answer.streaming_content)) == sent


def test_an_idempotency_key_generates_the_same_ids_and_stores_once(acme_api):
    body = {"records": [{"payload": 1}, {"payload": 1}]}
    answers = [acme_api.post(RECORDS, body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert counters(acme_api) == {"received": 2, "stored": 2}


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("records", *arguments, "--format", "json", stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def test_the_check_agrees_with_good_counters_and_names_those_that_are_wrong(acme_api):
    ingest(acme_api, *(record(session_id=f"s-{n}", utm_source="bing") for n in range(3)), record(platform="fridge"))
    told = run("check", "--tenant", "acme")
    assert (told["received"], told["stored"], told["rejected"], told["differences"]) == (4, 3, 1, [])
    place = place_named(listed(acme_api, "outcome=stored")[0]["row_id"].rpartition(".")[0])
    analytics_store(CONTEXT)._documents.delete(place.ref)  # as a hand that should not have been there
    with pytest.raises(CommandError, match="disagree"):
        run("check", "--tenant", "acme")


def test_many_small_counts_are_merged_and_say_the_same(acme_api, monkeypatch):
    monkeypatch.setattr("storage.kinds.analytics_store.MERGED_AT_ONCE", 4)
    for number in range(45):
        ingest(acme_api, record(session_id=f"s-{number % 7}", utm_source="bing"))
    query = "analytics/summary?by=utm_source&bucket=week"
    before = acme_api.get(query).json()["items"]
    assert [(one["count"], one["sessions"]) for one in before] == [(45, 7)]
    run("merge", "--tenant", "acme")
    store = analytics_store(CONTEXT)
    left = sum(
        len(store._documents.scan(COLLECTION, ("20261120", str(shard)), prefix="a/").documents) for shard in range(4)
    )
    assert left < 25
    assert acme_api.get(query).json()["items"] == before
    assert run("check", "--tenant", "acme")["differences"] == []
