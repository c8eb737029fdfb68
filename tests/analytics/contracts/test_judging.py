"""Judging records: which contract is chosen, what is decided in each mode, what is kept, and how fresh contracts are."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.contracts import known
from analytics.contracts.judging import Judge, Panel, judge_record
from analytics.contracts.seeds import ACTIVE, DRAFTS, seed
from northstar.context import RequestContext
from routing.models import RouteChange
from storage.errors import BackendUnavailable
from storage.kinds.tabular_store import TabularStore
from storage.opening import open_store
from tests.analytics.contracts.cast import contract, shipped
from tests.conftest import filesystem_routes

GOOGLE = "analytics/contracts/google_ads"
CONTEXT = RequestContext("acme", "dev", "lab", project_id="p1", surface_id="web")
PAID = {"utm_source": "google", "utm_medium": "cpc", "utm_campaign": "spring", "gclid": "Cj0"}
PLAIN = {"utm_template": {"source": "google", "medium": "cpc"}, "allowed_fields": ["campaign", "content"]}


def panel(**options: Any) -> Panel:
    return Panel({platform: shipped(platform, **options) for platform in ACTIVE}, {})


@pytest.mark.parametrize(
    ("fields", "platform"),
    [
        ({"ad_platform": "tiktok", "utm_source": "google"}, "tiktok"),
        ({"ad_platform": "billboard", "utm_source": "google"}, None),
        ({"utm_source": "FB"}, "facebook"),
        ({"utm_source": " adwords "}, "google_ads"),
        ({"utm_source": "facebook", "gclid": "1"}, "facebook"),
        ({"utm_source": "newsletter", "gclid": "1"}, "google_ads"),
        ({"gclid": "1"}, "google_ads"),
        ({"click_ids": {"ttclid": "1"}}, "tiktok"),
        ({"fbclid": "1"}, None),
        ({"utm_source": "newsletter"}, None),
        ({"utm_source": 7, "utm_medium": ["cpc"], "payload": {}}, None),
        ({"landing_url": "https://acme.com/?utm_source=x&utm_medium=paid_social"}, "twitter"),
        ({}, None),
    ],
)
def test_a_record_falls_under_the_contract_of_its_platform(fields, platform):
    assert panel().judge(fields).platform == platform


@pytest.mark.parametrize(
    ("mode", "decision", "told"),
    [
        ("off", "accept", False),
        ("observe", "accept", True),
        ("warn", "accept", True),
        ("quarantine", "quarantine", True),
        ("block", "block", True),
    ],
)
def test_the_mode_decides_what_becomes_of_a_record_with_an_error(mode, decision, told):
    verdict = panel(mode=mode).judge({**PAID, "utm_medium": "organic"})
    assert (verdict.mode, verdict.decision, bool(verdict.findings)) == (mode, decision, told)
    clean = panel(mode=mode).judge(PAID)
    assert (clean.decision, clean.channel, clean.channel_rule) == ("accept", "Paid Search", "ga4-1:04")


def test_a_warning_alone_refuses_nothing():
    verdict = panel().judge({**PAID, "utm_source": "adwords"})
    assert ([one.code for one in verdict.findings], verdict.decision) == (["alias_used"], "accept")
    assert verdict.normalised["utm_source"] == "google"
    assert [(one.before, one.after) for one in verdict.rewrites] == [("adwords", "google")]


def test_without_a_contract_only_the_channel_is_told():
    verdict = panel().judge({"utm_source": "newsletter", "utm_medium": " email "})
    assert (verdict.contract_id, verdict.decision, verdict.findings) == (None, "accept", ())
    assert (verdict.channel, verdict.normalised["utm_medium"]) == ("Email", "email")
    assert panel().judge({"referrer": "https://www.google.de/search?q=x"}).channel == "Organic Search"
    assert panel().judge({"referrer": "https://blog.example.org/a"}).channel == "Referral"
    assert panel().judge({}).channel == "Direct"


@pytest.mark.parametrize(
    ("retention", "kept"), [("keep", "AbC-1"), ("hash", "sha256:"), ("presence", "")], ids=["keep", "hash", "presence"]
)
def test_click_ids_are_kept_as_the_contract_lets_them(retention, kept):
    rules = seed("google_ads").rules
    own = [{**rule.model_dump(), "retention": retention} for rule in rules.click_ids]
    changed = type(rules).model_validate({**rules.model_dump(), "click_ids": own, "click_id_retention": retention})
    judged = Panel({"google_ads": contract("google_ads", changed)}, {})
    for fields in (PAID, {**PAID, "utm_content": "b"}):  # the second is judged as its like was
        verdict = judged.judge({**fields, "gclid": "AbC-1", "fbclid": "AbC-1"})
        assert set(verdict.click_ids or ()) == {"fbclid", "gclid"}
        assert all(value.startswith(kept) for value in verdict.click_ids.values())
        assert ("AbC-1" in verdict.click_ids.values()) is (retention == "keep")


def test_a_landing_url_keeps_no_more_of_a_click_id_than_the_contract_lets_it():
    rules = seed("google_ads").rules.model_copy(update={"click_ids": (), "click_id_retention": "presence"})
    judged = Panel({"google_ads": contract("google_ads", rules)}, {})
    tags = "utm_source=google&utm_medium=cpc&utm_campaign=spring"
    for number in range(3):
        verdict = judged.judge({"landing_url": f"https://acme.com/?gclid=Ab{number}&{tags}&x=1#gclid=y"})
        assert verdict.landing_url == f"https://acme.com/?gclid=&{tags}&x=1#gclid="
    assert panel().judge({"landing_url": f"https://acme.com/?gclid=Ab&{tags}"}).landing_url is None


def test_positions_stand_in_the_landing_url_where_the_record_has_one():
    url = "https://acme.com/?utm_source=google&utm_medium=cpc&utm_campaign={campaignname}&gclid=1"
    (finding,) = panel().judge({"landing_url": url}).findings
    assert url[finding.position :].startswith("{campaignname}")


VALUES = st.sampled_from(
    ["google", "facebook", "Google", "fb", "cpc", "paid_social", "spring", "my shop", "null", "{_campaign}", "a@b.co", "",
     " x", "555-123-4567", "CAMPAIGN_ID", "42", "_AID_NAME_", "a b-c.d", "x" * 201, "%41", "123 456 7890"]
)  # fmt: skip
RECORDS = st.dictionaries(
    st.sampled_from(
        ["utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "utm_id", "gclid", "wbraid", "ttclid"]
    ),
    VALUES,
    max_size=7,
)
PLATFORMS = {platform: shipped(platform) for platform in (*ACTIVE, *DRAFTS)}
WARM = Panel(PLATFORMS, {})


@settings(max_examples=400)
@given(RECORDS, st.booleans())
def test_a_record_is_judged_as_if_it_were_the_first_one(record, as_url):
    fields: dict[str, Any] = record
    if as_url:
        query = "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in record.items())
        fields = {"landing_url": f"https://acme.com/?{query}&utm_source=google"}
    assert WARM.judge(fields) == Panel(PLATFORMS, {}).judge(fields)
    assert WARM.judge(fields) == WARM.judge(fields)


@pytest.fixture
def reads(monkeypatch) -> Iterator[list[str]]:
    """The tenants whose tables were listed."""
    found: list[str] = []
    listed = TabularStore.list_by_prefix

    def counted(self: TabularStore, *args: Any, **options: Any) -> Any:
        found.append(self.context.tenant_id)
        return listed(self, *args, **options)

    monkeypatch.setattr(TabularStore, "list_by_prefix", counted)
    yield found
    known._known.clear()


def test_a_batch_reads_the_contracts_once_and_a_change_is_seen_at_once(acme_api, system, reads):
    filesystem_routes(system)
    acme_api.put(GOOGLE, PLAIN)
    reads.clear()
    for _ in range(3):
        judge = Judge(CONTEXT)
        assert [judge.judge(PAID).decision for _ in range(10)] == ["accept"] * 10
    assert sorted(reads) == ["acme", "t_system"]
    acme_api.put(GOOGLE, {**PLAIN, "allowed_fields": ["content"]})
    verdict = judge_record(CONTEXT, PAID)
    assert (verdict.version, verdict.decision) == ("1.1.0", "block")
    assert [one.code for one in verdict.findings] == ["field_forbidden"]


def test_a_retired_contract_gives_way_to_the_global_one(acme_api, operator_api, system):
    filesystem_routes(system)
    operator_api.put("analytics/contracts/google_ads", {**PLAIN, "mode": "observe"})
    acme_api.put(GOOGLE, PLAIN)
    assert judge_record(CONTEXT, PAID).mode == "block"
    acme_api.put(GOOGLE, {"version": "1.0.0", "status": "retired"})
    assert judge_record(CONTEXT, PAID).mode == "observe"
    assert judge_record(RequestContext("globex", "dev", "lab"), PAID).mode == "observe"


def test_judging_goes_on_while_the_store_is_away(acme_api, monkeypatch):
    acme_api.put(GOOGLE, PLAIN)
    assert judge_record(CONTEXT, PAID).version == "1.0.0"

    def away(*_args: Any, **_options: Any) -> Any:
        raise BackendUnavailable("The store is away.")

    monkeypatch.setattr(known, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(TabularStore, "list_by_prefix", away)
    assert judge_record(CONTEXT, PAID).version == "1.0.0"
    known._known.clear()
    with pytest.raises(BackendUnavailable):
        judge_record(CONTEXT, PAID)


def test_a_row_that_was_changed_by_hand_judges_nothing(acme_api):
    acme_api.put(GOOGLE, PLAIN)
    key = "attribution:contract:google_ads"
    tables = open_store("tabular_store", RequestContext("acme", "dev", "lab"))
    row = tables.get("attribution", key).data
    tables.upsert("attribution", key, {**row, "rules": {**row["rules"], "other_fields": "allow"}})
    assert acme_api.get(GOOGLE).json()["error_code"] == "CONFLICT"
    known._known.clear()
    assert judge_record(CONTEXT, PAID).contract_id is None


def test_a_save_that_breaks_off_changed_nothing_and_can_be_sent_again(acme_api, monkeypatch):
    acme_api.put(GOOGLE, PLAIN)
    rows = RouteChange.objects.count()
    written = TabularStore.write

    def away(*_args: Any, **_options: Any) -> Any:
        raise BackendUnavailable("The store is away.")

    second = {**PLAIN, "allowed_fields": [], "version": "2.0.0"}
    monkeypatch.setattr(TabularStore, "write", away)
    answer = acme_api.put(GOOGLE, second)
    monkeypatch.setattr(TabularStore, "write", written)
    assert (answer.status_code, RouteChange.objects.count()) == (503, rows)
    assert acme_api.get(GOOGLE).json()["version"] == "1.0.0"
    assert acme_api.put(GOOGLE, second).status_code == 200
    listed = {one["version"]: one["status"] for one in acme_api.get(f"{GOOGLE}/versions").json()["items"]}
    assert listed == {"1.0.0": "retired", "2.0.0": "active"}
