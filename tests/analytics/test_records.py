"""Records through the API: each submitted one is kept once, has one outcome, and is found again."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Api

RECORDS = "analytics/records"


def record(**fields: Any) -> dict[str, Any]:
    return {
        "analytics_id": str(uuid4()),
        "app": "shop",
        "platform": "web",
        "timestamp": "2026-11-20T12:00:00Z",
        **fields,
    }


def ingest(client: Api, *records: Any) -> list[dict[str, Any]]:
    answer = client.post(RECORDS, {"records": list(records)})
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def listed(client: Api, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"{RECORDS}?{query}")
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def counters(client: Api) -> dict[str, Any]:
    told: dict[str, Any] = client.get("analytics/counters").json()
    assert told.pop("balanced") is True
    return {name: count for name, count in told.items() if count}


def test_everything_that_was_sent_comes_back_with_its_type(acme_api):
    sent = record(
        session_id="s-1",
        surface="checkout",
        request_id="req-1",
        run_id="run-1",
        step_id=3,
        utm_source="google",
        utm_medium="cpc",
        utm_campaign="Spring",
        utm_content="a",
        utm_term="shoes",
        payload={"total": 12.5, "items": [1, {"n": 2**70}], "none": None, "$odd": "é"},
        status="error",
        error_message="declined",
    )
    answer = acme_api.post(RECORDS, sent)
    assert answer.status_code == 201, answer.content
    assert answer.json()["outcome"] == "stored"
    [row] = listed(acme_api)
    assert {name: row[name] for name in sent} == sent | {"timestamp": "2026-11-20T12:00:00.000000Z"}
    assert (row["tenant_id"], row["env"], row["mode"], row["outcome"]) == ("acme", "dev", "lab", "stored")
    assert acme_api.get(f"{RECORDS}/{row['row_id']}").json() == row


def test_a_record_without_an_id_gets_one(acme_api):
    first, second = (acme_api.post(RECORDS, {"payload": {}}).json()["analytics_id"] for _ in range(2))
    assert first != second
    assert {row["analytics_id"] for row in listed(acme_api)} == {first, second}


def test_the_same_record_again_is_a_duplicate_and_another_under_its_id_a_conflict_that_is_kept(acme_api):
    first = record(payload={"n": 1})
    other = first | {"payload": {"n": 2}}
    [stored] = ingest(acme_api, first)
    [again] = ingest(acme_api, dict(reversed(list(first.items()))))
    [conflict] = ingest(acme_api, other)
    assert (stored["outcome"], again["outcome"], conflict["outcome"]) == ("stored", "duplicate", "conflict")
    assert again["row_id"] == conflict["conflicts_with"] == stored["row_id"]
    alone = acme_api.post(RECORDS, other)
    assert (alone.status_code, alone.json()["error_code"]) == (409, "CONFLICT")
    assert [row["outcome"] for row in listed(acme_api)].count("conflict") == 2
    assert acme_api.post(RECORDS, first).status_code == 200
    assert counters(acme_api) == {"received": 5, "stored": 1, "duplicate": 2, "conflict": 2}


def test_a_batch_has_an_outcome_for_each_record_in_its_order(acme_api):
    good, other = record(payload=1), record()
    body = [good, {"platform": "fridge"}, good, good | {"payload": 2}, "text", other | {"colour": "red"}, other]
    outcomes = [item["outcome"] for item in ingest(acme_api, *body)]
    assert outcomes == ["stored", "rejected", "duplicate", "conflict", "rejected", "rejected", "stored"]
    assert counters(acme_api) == {"received": 7, "stored": 2, "duplicate": 1, "conflict": 1, "rejected": 3}


def test_what_is_no_record_is_refused_and_kept_with_the_reason(acme_api):
    answer = acme_api.post(RECORDS, record(platform="fridge", timestamp="yesterday", colour="red"))
    assert answer.status_code == 400, answer.content
    assert {(one["field"], one["code"]) for one in answer.json()["errors"]} == {
        ("platform", "not_allowed"),
        ("colour", "unknown_field"),
    }
    [row] = listed(acme_api, "outcome=rejected")
    assert row["submitted"]["colour"] == "red"
    assert row["refusal"]["gate"] == "shape"


def test_lines_of_json_are_records_and_a_bad_line_is_only_its_own_fault(acme_api):
    lines = [json.dumps(record()).encode(), b"{no json", json.dumps(record(payload={"a": '"\\u00e9"'})).encode()]
    answer = acme_api.post(RECORDS, b"\n".join(lines), content_type="application/x-ndjson")
    assert [item["outcome"] for item in answer.json()["items"]] == ["stored", "rejected", "stored"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"app": "a", "app": "b"}',
        b'{"payload": {"a":1,"a" :2}}',
        b'{"payload": "\\u0000"}',
        b"[]",
        b'{"records": []}',
        b"7",
    ],
)
def test_a_body_that_two_parsers_could_read_differently_is_refused_whole(acme_api, body):
    answer = acme_api.post(RECORDS, body, content_type="application/json")
    assert answer.status_code == 400
    assert listed(acme_api) == []


def test_digits_of_large_numbers_are_kept(acme_api):
    body = b'{"payload": {"n": 123456789012345678901234567890, "f": 1.5}}'
    assert acme_api.post(RECORDS, body, content_type="application/json").status_code == 201
    assert listed(acme_api)[0]["payload"] == {"n": 123456789012345678901234567890, "f": 1.5}
