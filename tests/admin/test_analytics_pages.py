"""The pages of analytics: contracts with their box to try, budgets and their form, counts, records; and the dashboard's box."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.test import Client

from analytics.budgets.near import note_near
from analytics.budgets.setting import Target, own_policy
from analytics.budgets.sweeping import sweep_budgets
from analytics.models import BudgetNearLimit
from northstar.context import RequestContext
from routing.models import RouteChange
from tests.admin.conftest import Tags
from tests.admin.test_store_pages import link, text

PLACE = "?tenant=acme&env=dev"
CONTEXT = RequestContext("acme", "dev", "lab")
CONTRACT = {"utm_template": {"source": "google", "medium": "cpc", "campaign": "spring"}, "allowed_fields": ["term"]}


@pytest.fixture
def contract(acme_api) -> None:
    answer = acme_api.put("analytics/contracts/google_ads", {**CONTRACT, "mode": "quarantine"})
    assert answer.status_code == 201, answer.content


def page(name: str, query: str = "") -> str:
    return f"/admin/stores/{name}/{PLACE}{query}"


def test_contracts_are_listed_and_tried_and_nothing_of_it_is_stored(member, contract):
    viewer = member("viewer")
    assert "google_ads" in text(viewer.get(page("contracts")))
    detail = page("contracts/contract", "&platform=google_ads")
    rows = RouteChange.objects.count()
    url = "https://shop.example/?utm_source=google&utm_medium=CPC&utm_campaign=<b>&utm_id=7"
    shown = viewer.post(detail, {"url": url, "phase": "landing", "referrer": ""})
    assert "Not valid." in text(shown)
    assert "<mark>CPC</mark>" in shown.content.decode()
    assert f"position {url.index('CPC')}" in text(shown)
    assert "case_mismatch" in text(shown)
    assert "utm_campaign=<b>" not in shown.content.decode()
    good = viewer.post(detail, {"url": url.replace("CPC", "cpc").replace("<b>", "spring").partition("&utm_id")[0]})
    assert "<strong>Valid" in text(good)
    assert RouteChange.objects.count() == rows


def test_the_template_is_made_of_the_rules_and_what_was_given(boss, contract):
    detail = page("contracts/contract", "&platform=google_ads")
    shown = text(
        boss.post(detail, {"values": "utm_term=shoes\n\nutm_campaign=spring", "page": "https://shop.example/"})
    )
    assert "https://shop.example/?utm_source=google&utm_medium=cpc&utm_campaign=spring&utm_term=shoes" in shown
    assert "is no field and value" in text(boss.post(detail, {"values": "nonsense", "page": ""}))
    assert boss.get(page("contracts/contract", "&platform=nobody")).status_code == 404


def set_budget(client: Client, **changes):
    given = {
        "provider": "openai",
        "metric": "tokens",
        "level": "tenant",
        "soft_limit": "80",
        "hard_limit": "100",
        "mode": "",
        "window": "lifetime",
        "timezone": "UTC",
        "anchor": "",
        "thresholds": "50%",
        "rationale": "quarter plan",
        **changes,
    }
    return client.post(page("budgets/set"), given)


def test_a_budget_is_set_checked_and_audited_as_over_the_api(acme_api, member):
    operator = member("operator")
    assert "Europe/Atlantis" in text(set_budget(operator, timezone="Europe/Atlantis"))
    assert "has at most six decimals" in text(set_budget(operator, hard_limit="0.1234567"))
    assert own_policy(CONTEXT, Target("openai", "tokens", "tenant")) is None
    assert set_budget(operator).status_code == 302
    change = RouteChange.objects.get(action="BUDGET_SET")
    assert (change.actor, change.rationale, change.tenant_id) == ("user:operator", "quarter plan", "acme")
    told = acme_api.get("analytics/budgets/openai/tokens").json()
    assert (told["soft_limit"], told["hard_limit"], told["mode"], told["thresholds"]) == ("80", "100", "block", ["50%"])


def test_one_wrong_field_of_a_budget_hides_no_other(acme_api, member):
    wrong = {"provider": "acme ai", "hard_limit": "ten", "window": "fortnight", "timezone": "Mars/Olympus"}
    shown = text(set_budget(member("operator"), **wrong))
    for told in ("is no name of a provider", "is no decimal number", "is no window", "is no zone"):
        assert told in shown
    body = {"hard_limit": "ten", "window": "fortnight", "timezone": "Mars/Olympus"}
    answer = acme_api.put("analytics/budgets/openai/tokens", body)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (400, list(body))


def test_a_form_that_somebody_overtook_changes_nothing(acme_api, member):
    operator = member("operator")
    set_budget(operator)
    form = text(operator.get(page("budgets/set", "&provider=openai&metric=tokens&level=tenant")))
    seen = re.search(r'name="seen_version" value="(\d+)"', form)[1]
    acme_api.put("analytics/budgets/openai/tokens", {"hard_limit": "7"})
    shown = text(set_budget(operator, hard_limit="900", seen_version=seen))
    assert "set by somebody else meanwhile" in shown
    assert acme_api.get("analytics/budgets/openai/tokens").json()["hard_limit"] == "7"


def test_budgets_show_what_is_used_and_held_and_how_they_stand(acme_api, member):
    set_budget(member("operator"), thresholds="")
    acme_api.post("analytics/budgets/openai/tokens/usage", {"amount": "70.5"})
    acme_api.post("analytics/budgets/openai/tokens/reserve", {"amount": "10"})
    viewer = member("viewer")
    shown = text(viewer.get(page("budgets")))
    assert "<strong>70.5</strong> of 100 used, 10 held, soft limit 80" in shown
    assert "within limits" in shown
    assert '<rect class="series held" x="70.5" y="1" width="10.0"' in shown
    assert "Set a budget…" not in shown
    assert (viewer.get(page("budgets/set")).status_code, set_budget(viewer).status_code) == (403, 403)
    acme_api.post("analytics/budgets/openai/tokens/usage", {"amount": "9.5"})
    assert "soft limit reached" in text(viewer.get(page("budgets")))


def test_a_threshold_that_was_reached_is_no_soft_limit_and_far_from_the_limit(acme_api, member):
    set_budget(member("operator"), hard_limit="100000", soft_limit="80000")
    acme_api.post("analytics/budgets/openai/tokens/usage", {"amount": "60000"})
    viewer = member("viewer")
    shown = text(viewer.get(page("budgets")))
    assert "50% reached" in shown
    assert "soft limit reached" not in shown
    list(sweep_budgets())
    assert not BudgetNearLimit.objects.exists()
    acme_api.post("analytics/budgets/openai/tokens/usage", {"amount": "20500.5"})
    list(sweep_budgets())
    assert "80,500.5 of 100,000, 80%" in text(viewer.get("/admin/"))


def test_the_dashboard_tells_what_the_sweep_saw_near_its_limit_and_forgets_it_again(acme_api, member, boss):
    set_budget(member("operator"))
    acme_api.post("analytics/budgets/openai/tokens/usage", {"amount": "91"})
    list(sweep_budgets())
    row = BudgetNearLimit.objects.get()
    assert (row.place, row.share, row.why) == ("acme/dev", 91, "has reached its soft limit")
    home = boss.get("/admin/")
    assert "<strong>1</strong> budget near limit" in text(home)
    assert link(home, "<strong>openai tokens</strong>") == "/admin/stores/budgets/?tenant=acme&env=dev&provider=openai"
    BudgetNearLimit.objects.update(seen_at=datetime.now(UTC) - timedelta(days=2))
    assert "<strong>0</strong> budgets near limit" in text(boss.get("/admin/"))
    note_near(CONTEXT, None, [])
    assert not BudgetNearLimit.objects.exists()


@pytest.fixture
def records(acme_api, contract) -> datetime:
    now = datetime.now(UTC)
    wrong = {"utm_source": "google", "utm_medium": "CPM", "utm_campaign": "spring", "ad_platform": "google_ads"}
    sent = [
        {
            "app": "shop",
            "platform": "web" if number % 3 else "mobile",
            "run_id": "run-1",
            "step_id": 60 - number,
            "timestamp": (now - timedelta(minutes=number)).isoformat(),
            "analytics_id": f"r{number}",
            "payload": {"n": number},
        }
        for number in range(60)
    ]
    sent.append({**wrong, "app": "shop", "analytics_id": "bad"})
    sent.append({"platform": "fax", "analytics_id": "fax"})
    answer = acme_api.post("analytics/records", {"records": sent})
    assert answer.json()["counts"] == {"stored": 60, "quarantined": 1, "rejected": 1}, answer.content
    return now


def test_counts_lead_from_a_value_to_what_has_it_and_to_its_records(boss, records):
    shown = boss.get(page("summary"))
    assert "<strong>62</strong> records" in text(shown)
    assert "<strong>1</strong> quarantined" in text(shown)
    mobile = boss.get(link(shown, "mobile"))
    assert "<strong>20</strong> records" in text(mobile)
    assert "platform: mobile" in text(mobile)
    shown = text(boss.get(link(mobile, "<strong>20</strong> records")))
    assert shown.count('data-label="Platform">mobile') == 20


def listed(client: Client, outcome: str) -> list[str]:
    """The addresses of the records in the list of an outcome."""
    shown = text(client.get(page("records", f"&outcome={outcome}")))
    return re.findall(r'<a href="(/admin/stores/records/record/[^"]+)"', shown)


def test_records_are_paged_filtered_and_shown_whole_with_their_findings(boss, records):
    first = boss.get(page("records", "&run_id=run-1"))
    second = boss.get(link(first, "Next page"))
    ids = [re.findall(r">(r\d+)</a>", text(one)) for one in (first, second)]
    assert [len(one) for one in ids] == [50, 10]
    assert len({*ids[0], *ids[1]}) == 60
    (quarantined,) = listed(boss, "quarantined")
    shown = text(boss.get(quarantined))
    for words in ("quarantined", "utm_medium", "CPM", "google_ads", "What its contract found"):
        assert words in shown
    (rejected,) = listed(boss, "rejected")
    assert '"platform": "fax"' in text(boss.get(rejected))


def test_a_run_is_shown_in_the_natural_order_of_its_steps(boss, records):
    shown = text(boss.get(page("records/run", "&run=run-1")))
    assert [int(step) for step in re.findall(r'data-label="Step">(\d+)<', shown)] == list(range(1, 61))


def test_the_pages_hold_nothing_inline_and_are_for_those_who_may_see_what_routes_keep(boss, member, records):
    paths = ("contracts", "contracts/contract", "budgets", "budgets/set", "summary", "records", "records/run")
    plain = member("viewer")
    plain.get("/admin/").wsgi_request.user.groups.clear()
    for path in paths:
        query = {"contracts/contract": "&platform=google_ads", "records/run": "&run=run-1"}.get(path, "")
        assert plain.get(page(path, query)).status_code == 403, path
        answer = boss.get(page(path, query))
        assert answer.status_code == 200, path
        for tag, attrs in Tags(unescape(answer.content.decode())).found:
            assert tag != "style", path
            assert not {"style", "onclick", "onchange", "onsubmit"} & set(attrs), (path, attrs)
