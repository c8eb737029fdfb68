"""Budgets over REST: policies with conditions, counting once per key, holding and settling, and refusals that say why."""

from routing.models import RouteChange
from routing.resolve import snapshot
from storage.errors import BackendUnavailable
from storage.kinds.tabular_store import TabularStore
from tests.conftest import filesystem_routes

BUDGET = "analytics/budgets/openai/tokens"


def key(name):
    return {"headers": {"Idempotency-Key": name}}


def test_a_budget_is_set_on_condition_read_listed_and_audited(acme_api):
    body = {
        "soft_limit": "80",
        "hard_limit": 100.5,
        "window": "month",
        "timezone": "Europe/Copenhagen",
        "thresholds": ["50%"],
    }
    assert acme_api.get(BUDGET).status_code == 404
    made = acme_api.put(BUDGET, body, headers={"If-None-Match": "*"})
    assert made.status_code == 201, made.content
    assert acme_api.put(BUDGET, body, headers={"If-None-Match": "*"}).status_code == 412
    got = acme_api.get(BUDGET)
    assert (got["ETag"], got.json()["usage"], got.json()["remaining"]) == (made["ETag"], "0", "100.5")
    assert (got.json()["hard_limit"], got.json()["mode"], got.json()["resets_at"]) == (
        "100.5",
        "block",
        got.json()["current_window"]["end"],
    )
    assert acme_api.put(BUDGET, body | {"mode": "warn"}, headers={"If-Match": made["ETag"]}).status_code == 200
    assert acme_api.put(BUDGET, body, headers={"If-Match": made["ETag"]}).status_code == 412
    items = acme_api.get("analytics/budgets?provider=openai").json()["items"]
    assert [(one["metric"], one["level"], one["mode"]) for one in items] == [("tokens", "tenant", "warn")]
    assert acme_api.get("analytics/budgets?provider=serper").json()["items"] == []
    trail = RouteChange.objects.filter(action="BUDGET_SET").order_by("pk")
    assert [(row.subject, row.after["hard_limit"], bool(row.before)) for row in trail] == [
        ("budget:openai:tokens:tenant", "100.5", False),
        ("budget:openai:tokens:tenant", "100.5", True),
    ]


def test_what_is_wrong_with_a_budget_is_named(acme_api):
    for body, field in (
        ({"window": "fortnight"}, "window"),
        ({"window": "day", "timezone": "Mars"}, "timezone"),
        ({"hard_limit": "1e30"}, "hard_limit"),
        ({"hard_limit": "0.0000001"}, "hard_limit"),
        ({"hard_limit": True}, "hard_limit"),
        ({"mode": "block"}, "mode"),
        ({"soft_limit": 2, "hard_limit": 1}, "soft_limit"),
        ({"hard_limit": 1, "thresholds": ["half"]}, "thresholds"),
        ({"hard_limit": 1, "carry_debt": True}, "rollover_cap"),
        ({"nothing": 1}, "nothing"),
    ):
        answer = acme_api.put(BUDGET, body)
        assert answer.status_code == 400, body
        assert [error["field"] for error in answer.json()["errors"]] == [field], body
    assert acme_api.put("analytics/budgets/Open AI/tokens", {}).status_code == 400


def test_usage_counts_once_per_key_and_is_refused_with_its_figures(acme_api):
    acme_api.put(BUDGET, {"hard_limit": "1"})
    answers = [acme_api.post(f"{BUDGET}/usage", {"amount": "0.1"}, **key(name)) for name in ("a", "b", "a")]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert [answer.json()["usage"] for answer in answers] == ["0.1", "0.2", "0.1"]
    refused = acme_api.post(f"{BUDGET}/usage", {"amount": 0.9}, **key("c"))
    assert refused.status_code == 429
    assert {
        name: refused.json()[name]
        for name in ("error_code", "level", "limit", "used", "reserved", "requested", "resets_at")
    } == {
        "error_code": "QUOTA_EXCEEDED",
        "level": "tenant",
        "limit": "1",
        "used": "0.2",
        "reserved": "0",
        "requested": "0.9",
        "resets_at": None,
    }
    acme_api.put(BUDGET, {"hard_limit": "2"})
    assert acme_api.post(f"{BUDGET}/usage", {"amount": 0.9}, **key("c")).json()["usage"] == "1.1"
    assert acme_api.post(f"{BUDGET}/usage", {"amount": 0.8}, **key("c")).status_code == 422
    assert acme_api.post(f"{BUDGET}/usage", {"amount": "-5"}).status_code == 409
    assert acme_api.post(f"{BUDGET}/usage", {"amount": "-1"}).json()["usage"] == "0.1"


def test_a_reservation_is_held_topped_up_and_settled_once(acme_api):
    acme_api.put(BUDGET, {"hard_limit": "10"})
    held = acme_api.post(f"{BUDGET}/reserve", {"amount": "6"}, **key("r"))
    assert held.status_code == 201, held.content
    one = f"{BUDGET}/reservations/{held.json()['reservation_id']}"
    check = acme_api.get(f"{BUDGET}/check?amount=5").json()
    assert (
        check["allowed"],
        check["hard_limit_exceeded"],
        acme_api.get(f"{BUDGET}/check?amount=4").json()["allowed"],
    ) == (
        False,
        False,
        True,
    )
    topped = [acme_api.post(f"{one}/topup", {"amount": "2"}, **key("t")).json()["amount"] for _ in range(2)]
    assert topped == ["8", "8"]
    assert acme_api.post(f"{one}/topup", {"amount": "3"}).status_code == 429
    done = [acme_api.post(f"{one}/commit", {"amount": "5"}) for _ in range(2)]
    assert [(answer.status_code, answer.json()["state"], answer.json()["amount"]) for answer in done] == [
        (200, "committed", "5")
    ] * 2
    assert acme_api.post(f"{one}/release").status_code == 409
    assert acme_api.post(f"{one}/release").json()["state"] == "committed"
    budget = acme_api.get(BUDGET).json()
    assert (budget["usage"], budget["reserved"]) == ("5", "0")
    other = acme_api.post(f"{BUDGET}/reserve", {"amount": "5"}).json()["reservation_id"]
    assert acme_api.post(f"{BUDGET}/reservations/{other}/release", {}).json()["state"] == "released"
    assert acme_api.get(f"{BUDGET}/reservations/{other}").json()["state"] == "released"


def test_two_projects_do_not_share_a_counter_but_their_tenants(acme_api, acme):
    acme_api.put(BUDGET, {"hard_limit": "10"})
    for project, hard in (("p1", 6), ("p2", 4)):
        headers = {"X-Project-Id": project}
        assert acme_api.put(BUDGET, {"hard_limit": hard}, headers=headers).status_code == 201
        assert acme_api.post(f"{BUDGET}/usage", {"amount": 3}, headers=headers).status_code == 201
    told = acme_api.get(BUDGET, headers={"X-Project-Id": "p1"}).json()
    assert [(one["level"], one["usage"]) for one in told["levels"]] == [("tenant", "6"), ("project", "3")]
    promised = acme_api.put(BUDGET, {"hard_limit": 5}, headers={"X-Project-Id": "p2"})
    assert (promised.status_code, "11 would be promised" in promised.json()["detail"]) == (400, True)
    assert (
        acme_api.put(BUDGET, {"hard_limit": 5, "oversubscribe": True}, headers={"X-Project-Id": "p2"}).status_code
        == 200
    )


def test_another_tenant_sees_and_settles_nothing_of_it(acme_api, globex_api):
    acme_api.put(BUDGET, {"hard_limit": "10"})
    held = acme_api.post(f"{BUDGET}/reserve", {"amount": "6"}).json()["reservation_id"]
    assert globex_api.get(BUDGET).status_code == 404
    assert globex_api.get("analytics/budgets").json()["items"] == []
    for step in ("commit", "release", "topup"):
        assert (
            globex_api.post(
                f"{BUDGET}/reservations/{held}/{step}", {"amount": "1"} if step == "topup" else {}
            ).status_code
            == 404
        )
    assert acme_api.get(BUDGET).json()["reserved"] == "6"


def test_the_systems_policy_holds_for_a_tenant_that_has_none_of_its_own(acme_api, globex_api, operator_api, system):
    filesystem_routes(system)
    assert snapshot().modes
    assert operator_api.put(BUDGET, {"hard_limit": "3"}).status_code == 201
    assert globex_api.put(BUDGET, {"hard_limit": "9"}).status_code == 201
    for api, inherited, status in ((acme_api, "t_system", 429), (globex_api, "", 201)):
        assert api.get(BUDGET).json()["inherited"] == inherited
        assert api.post(f"{BUDGET}/usage", {"amount": "4"}).status_code == status
    assert operator_api.get(BUDGET).json()["usage"] == "0"


def test_a_throttled_budget_asks_to_come_back_and_an_open_one_says_that_it_did_not_count(acme_api, monkeypatch):
    acme_api.put(BUDGET, {"hard_limit": "1", "window": "hour", "mode": "throttle"})
    refused = acme_api.post(f"{BUDGET}/usage", {"amount": "2"})
    assert (refused.status_code, refused.json()["error_code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(refused["Retry-After"]) <= 60
    acme_api.put(BUDGET, {"hard_limit": "1", "fail": "open"})

    def away(*_, **__):
        raise BackendUnavailable("away")

    monkeypatch.setattr(TabularStore, "write", away)
    passed = acme_api.post(f"{BUDGET}/usage", {"amount": "1"})
    assert (passed.status_code, passed.json()["counted"]) == (201, False)


def test_the_list_is_paged(acme_api):
    for metric in ("a", "b", "c"):
        acme_api.put(f"analytics/budgets/openai/{metric}", {"hard_limit": 1})
    seen, cursor = [], ""
    while cursor is not None:
        page = acme_api.get(f"analytics/budgets?limit=2{cursor and '&cursor=' + cursor}").json()
        seen += [one["metric"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["a", "b", "c"]
