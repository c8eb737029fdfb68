"""Contracts and models over stored records: what a draft would change, and the path of a session or user."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import filesystem_routes

GOOGLE = "analytics/contracts/google_ads"
PLAIN: dict[str, Any] = {
    "utm_template": {"source": "google", "medium": "cpc"},
    "allowed_fields": ["campaign", "content"],
    "version": "1.0.0",
    "mode": "quarantine",
}
DAY = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"}


def record(number: int, **fields: Any) -> dict[str, Any]:
    base = {"analytics_id": f"r-{number}", "timestamp": f"2026-11-20T{number:02}:00:00Z", "session_id": "s1"}
    return {**base, **fields}


PAID = {"utm_source": "google", "utm_medium": "cpc", "utm_campaign": "spring", "click_ids": {"gclid": "1"}}


@pytest.fixture
def at_noon(time_machine):
    """The records' own day, so that no clock is corrected."""
    time_machine.move_to("2026-11-20T23:00:00Z")


@pytest.fixture
def records(acme_api, at_noon):
    acme_api.put(GOOGLE, PLAIN)
    sent = [
        record(1, **PAID, user_id="u1"),
        record(2, **{**PAID, "utm_content": "hero"}, user_id="u1"),
        record(3, **{**PAID, "utm_term": "shoes"}),
        record(4, utm_source="newsletter", utm_medium="email", user_id="u1", session_id="s2"),
        record(5, payload={"clicked": True}, user_id="u1", session_id="s2"),
        record(6, landing_url="https://acme.com/", user_id="u1", session_id="s3"),
    ]
    answer = acme_api.post("analytics/records", {"records": sent})
    outcomes = [one["outcome"] for one in answer.json()["items"]]
    assert outcomes == ["stored", "stored", "quarantined", "stored", "stored", "stored"], answer.content
    return acme_api


def test_a_draft_shows_which_stored_records_it_would_judge_otherwise(records):
    draft = {**PLAIN, "allowed_fields": ["campaign", "term"], "version": "1.1.0", "status": "draft"}
    assert records.put(GOOGLE, draft).status_code == 200
    told = records.post(f"{GOOGLE}/diff", {"version": "1.1.0", **DAY}).json()
    assert (told["looked_at"], told["judged"], told["changed"], told["next_cursor"]) == (6, 3, 2, None)
    changed = {one["analytics_id"]: (one["before"]["decision"], one["after"]["decision"]) for one in told["items"]}
    assert changed == {"r-2": ("accept", "quarantine"), "r-3": ("quarantine", "accept")}
    assert told["items"][0]["after"]["codes"] == ["utm_content:field_forbidden:error"]
    assert records.get(GOOGLE).json()["version"] == "1.0.0"


def test_a_difference_is_read_page_by_page(records):
    draft = {**PLAIN, "allowed_fields": [], "version": "1.1.0", "status": "draft"}
    records.put(GOOGLE, draft)
    body: dict[str, Any] = {"version": "1.1.0", "rows": 2, **DAY}
    found, cursor = [], None
    for _ in range(4):
        told = records.post(f"{GOOGLE}/diff", {**body, **({"cursor": cursor} if cursor else {})}).json()
        found += [one["analytics_id"] for one in told["items"]]
        cursor = told["next_cursor"]
        if cursor is None:
            break
    assert (found, cursor) == (["r-1", "r-2", "r-3"], None)
    other = {**body, "version": "1.0.0", "cursor": records.post(f"{GOOGLE}/diff", body).json()["next_cursor"]}
    assert records.post(f"{GOOGLE}/diff", other).json()["error_code"] == "INVALID_CURSOR"


def test_the_command_tells_the_same(records):
    draft = {**PLAIN, "allowed_fields": ["campaign", "term"], "version": "1.1.0", "status": "draft"}
    records.put(GOOGLE, draft)
    out = StringIO()
    span = {"start": DAY["start"], "end": DAY["end"]}
    options = [f"--{name}={value}" for name, value in {**span, "tenant": "acme", "format": "json"}.items()]
    call_command("diff_contract", "google_ads", "1.1.0", *options, stdout=out)
    told = json.loads(out.getvalue())
    assert (told["looked_at"], told["changed"]) == (6, 2)
    out = StringIO()
    call_command("diff_contract", "google_ads", "1.1.0", *options[:3], stdout=out)
    assert "2 would change" in out.getvalue()
    assert "+ utm_content:field_forbidden:error" in out.getvalue()
    with pytest.raises(CommandError, match=r"no version 7\.0\.0"):
        call_command("diff_contract", "google_ads", "7.0.0", *options)


def test_the_path_of_a_user_is_read_out_of_the_records(records):
    body: dict[str, Any] = {
        "path": {"user_id": "u1", **DAY},
        "conversions": [{"at": "2026-11-20T12:00:00Z", "value": "10"}],
        "model": {"name": "linear"},
    }
    (shared,) = records.post("analytics/attribution", body).json()["conversions"]
    assert [(one["channel"], one["credit_micros"]) for one in shared["credits"]] == [
        ("Paid Search", 3_333_334),
        ("Email", 3_333_333),
        ("Direct", 3_333_333),
    ]
    body["path"] = {"session_id": "s1", **DAY}
    (shared,) = records.post("analytics/attribution", body).json()["conversions"]
    assert [one["channel"] for one in shared["credits"]] == ["Paid Search"]


@pytest.mark.parametrize(
    "path",
    [{"user_id": "u1", "session_id": "s1", **DAY}, DAY, {"user_id": "u1", "start": DAY["end"], "end": DAY["start"]}],
)
def test_a_path_names_one_and_a_range(acme_api, path):
    body = {"path": path, "conversions": [{"at": DAY["end"]}], "model": {"name": "first"}}
    assert acme_api.post("analytics/attribution", body).status_code == 400


def test_another_tenants_records_are_no_touches(records, globex_api):
    body = {"path": {"user_id": "u1", **DAY}, "conversions": [{"at": DAY["end"]}], "model": {"name": "first"}}
    (shared,) = globex_api.post("analytics/attribution", body).json()["conversions"]
    assert (shared["credits"], shared["unattributed_micros"]) == ([], 1_000_000)


def test_seeding_twice_changes_nothing_and_a_tenant_may_have_its_own(acme_api, acme, system):
    filesystem_routes(system)
    outcomes = []
    for arguments in ([], [], ["--tenant", "acme", "--platform", "tiktok"]):
        out = StringIO()
        call_command("seed_contracts", "--format", "json", *arguments, stdout=out)
        outcomes.append([one["outcome"] for one in json.loads(out.getvalue())])
    assert outcomes == [["created"] * 9, ["unchanged"] * 9, ["created"]]
    assert acme_api.get("analytics/contracts/tiktok").json()["resolved_from"] == "CLIENT"
    assert acme_api.get("analytics/contracts/facebook").json()["resolved_from"] == "GLOBAL"
    with pytest.raises(CommandError, match="no tenant"):
        call_command("seed_contracts", "--tenant", "nobody")
