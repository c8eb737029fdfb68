"""Attribution contracts over REST: the plain form, whole rules, versions, the GLOBAL ones, and trying them out."""

import pytest

from analytics.contracts.saving import CONTRACT_SAVED
from analytics.contracts.seeding import seed_contracts
from northstar.context import RequestContext
from routing.audit import Cause
from routing.models import RouteChange
from tests.conftest import TENANT_SCOPES, filesystem_routes

GOOGLE = "analytics/contracts/google_ads"
PLAIN = {
    "utm_template": {"source": "google", "medium": "cpc"},
    "allowed_fields": ["campaign", "content", "term"],
    "version": "1.0.0",
}
LANDING = "https://shop.acme.com/?utm_source=google&utm_medium=cpc&utm_campaign=spring&gclid=Cj0"


@pytest.fixture
def seeded(system):
    """The GLOBAL contracts of dev."""
    filesystem_routes(system)
    return seed_contracts(RequestContext("t_system", "dev", "lab"), Cause("command:test"))


def test_the_plain_form_comes_back_as_it_was_sent(acme_api):
    put = acme_api.put(GOOGLE, PLAIN)
    got = acme_api.get(GOOGLE)
    assert (put.status_code, got.status_code, put.json()) == (201, 200, got.json())
    told = got.json()
    assert told["utm_template"] == {"utm_source": "google", "utm_medium": "cpc"}
    assert told["allowed_fields"] == ["utm_campaign", "utm_content", "utm_term"]
    assert (told["tenant_id"], told["platform"], told["version"]) == ("acme", "google_ads", "1.0.0")
    assert (told["status"], told["mode"], told["resolved_from"]) == ("active", "block", "CLIENT")
    assert told["contract_id"]
    assert told["created_at"]
    assert told["updated_at"]
    row = acme_api.get("storage/tables/attribution/records/attribution:contract:google_ads").json()
    assert {name: row["data"][name] for name in ("utm_template", "allowed_fields", "version", "checksum")} == {
        name: told[name] for name in ("utm_template", "allowed_fields", "version", "checksum")
    }


def test_an_answer_can_be_sent_back_and_changes_nothing(acme_api):
    put = acme_api.put(GOOGLE, PLAIN)
    again = acme_api.put(GOOGLE, put.json(), headers={"If-Match": put["ETag"]})
    assert (again.status_code, again["ETag"], again.json()) == (200, put["ETag"], put.json())
    assert RouteChange.objects.filter(action=CONTRACT_SAVED).count() == 1


def test_the_plain_form_judges_fields_and_values(acme_api):
    acme_api.put(GOOGLE, {**PLAIN, "allowed_fields": {"campaign": ["spring", "summer"], "term": []}})
    good = {"utm": {"source": "google", "medium": "cpc", "campaign": "spring", "term": "shoes", "gclid": "Cj0"}}
    told = acme_api.post(f"{GOOGLE}/validate", good).json()
    assert (told["valid"], told["findings"], told["channel"]) == (True, [], "Paid Search")
    bad = {"utm": {"source": "google", "campaign": "winter", "content": "x", "gclid": "Cj0"}}
    told = acme_api.post(f"{GOOGLE}/validate", bad).json()
    found = {(one["field"], one["code"]) for one in told["findings"]}
    assert told["valid"] is False
    assert found == {
        ("utm_medium", "field_missing"),
        ("utm_campaign", "value_not_allowed"),
        ("utm_content", "field_forbidden"),
    }


def test_a_new_version_keeps_the_old_one_readable(acme_api):
    first = acme_api.put(GOOGLE, PLAIN)
    second = acme_api.put(GOOGLE, {**PLAIN, "allowed_fields": ["campaign"], "version": "2.0.0"})
    assert (second.status_code, second.json()["contract_id"]) == (200, first.json()["contract_id"])
    assert acme_api.get(GOOGLE).json()["version"] == "2.0.0"
    old = acme_api.get(f"{GOOGLE}?version=1.0.0").json()
    assert (old["status"], old["rules"]) == ("retired", first.json()["rules"])
    listed = acme_api.get(f"{GOOGLE}/versions").json()["items"]
    assert [(one["version"], one["status"]) for one in listed] == [("1.0.0", "retired"), ("2.0.0", "active")]


def test_the_rules_of_an_active_version_never_change(acme_api):
    acme_api.put(GOOGLE, PLAIN)
    other = acme_api.put(GOOGLE, {**PLAIN, "allowed_fields": ["campaign"]})
    assert (other.status_code, other.json()["error_code"]) == (409, "CONFLICT")
    older = acme_api.put(GOOGLE, {**PLAIN, "allowed_fields": ["campaign"], "version": "0.9.0"})
    assert (older.status_code, older.json()["error_code"]) == (409, "CONFLICT")
    next_one = acme_api.put(GOOGLE, {"allowed_fields": ["campaign"], "utm_template": {"utm_source": "google"}})
    assert (next_one.status_code, next_one.json()["version"]) == (200, "1.1.0")
    mode = acme_api.put(GOOGLE, {"mode": "warn"})
    assert (mode.json()["version"], mode.json()["mode"]) == ("1.1.0", "warn")


def test_a_draft_waits_beside_the_active_version_until_it_is_activated(acme_api):
    acme_api.put(GOOGLE, PLAIN)
    draft = {**PLAIN, "allowed_fields": ["campaign"], "version": "1.1.0", "status": "draft"}
    assert acme_api.put(GOOGLE, draft).json()["status"] == "draft"
    assert acme_api.get(GOOGLE).json()["version"] == "1.0.0"
    changed = {**draft, "allowed_fields": ["campaign", "term"]}
    assert acme_api.put(GOOGLE, changed).status_code == 200
    utm = {"utm": {"source": "google", "medium": "cpc", "content": "x"}, "version": "1.1.0"}
    assert acme_api.post(f"{GOOGLE}/validate", utm).json()["valid"] is False
    active = acme_api.put(GOOGLE, {"version": "1.1.0", "status": "active"}).json()
    assert (active["version"], active["allowed_fields"]) == ("1.1.0", ["utm_campaign", "utm_term"])
    back = acme_api.put(GOOGLE, {"version": "1.0.0", "status": "active"}).json()
    assert (back["version"], acme_api.get(GOOGLE).json()["version"]) == ("1.0.0", "1.0.0")
    assert acme_api.get(f"{GOOGLE}?version=1.1.0").json()["status"] == "retired"


def test_conditions_are_weighed(acme_api):
    first = acme_api.put(GOOGLE, PLAIN, headers={"If-None-Match": "*"})
    again = acme_api.put(GOOGLE, {**PLAIN, "version": "2"}, headers={"If-None-Match": "*"})
    assert (first.status_code, again.status_code, again.json()["error_code"]) == (201, 412, "VERSION_CONFLICT")
    second = acme_api.put(GOOGLE, {**PLAIN, "mode": "warn"}, headers={"If-Match": first["ETag"]})
    stale = acme_api.put(GOOGLE, {**PLAIN, "mode": "off"}, headers={"If-Match": first["ETag"]})
    assert (second.status_code, stale.status_code) == (200, 412)


def test_a_change_says_who_when_and_what_was_before(acme_api, acme):
    acme_api.put(GOOGLE, PLAIN)
    acme_api.put(GOOGLE, {"mode": "warn", "rationale": "too strict"})
    row = RouteChange.objects.filter(action=CONTRACT_SAVED).first()
    assert (row.subject, row.tenant_id, row.env) == ("contract:google_ads", "acme", "dev")
    assert row.actor.startswith("key:")
    assert (row.before["mode"], row.after["mode"], row.rationale) == ("block", "warn", "too strict")


def test_a_tenant_without_contracts_is_served_the_global_ones(acme_api, seeded):
    told = acme_api.get(GOOGLE)
    assert (told.json()["resolved_from"], told.json()["tenant_id"], told.json()["mode"]) == (
        "GLOBAL",
        "t_system",
        "observe",
    )
    assert not told.has_header("ETag")
    listed = acme_api.get("analytics/contracts?limit=5").json()
    more = acme_api.get(f"analytics/contracts?limit=5&cursor={listed['next_cursor']}").json()
    states = {one["platform"]: one["status"] for one in [*listed["items"], *more["items"]]}
    assert list(states) == sorted(states)
    assert [platform for platform, state in states.items() if state == "active"] == [
        "facebook",
        "google_ads",
        "linkedin",
        "tiktok",
        "twitter",
    ]
    assert len(states) == 9
    own = acme_api.put(GOOGLE, {"mode": "quarantine"}, headers={"If-None-Match": "*"})
    assert (own.status_code, own.json()["resolved_from"], own.json()["rules"]) == (201, "CLIENT", told.json()["rules"])
    assert own.json()["parent"] == {"contract_id": told.json()["contract_id"], "version": "1.0.0"}


def test_rules_may_inherit_what_they_leave_out(acme_api, seeded):
    rules = {"fields": [{"field": "utm_term", "presence": "forbidden"}], "own_hosts": ["acme.com"]}
    told = acme_api.put(GOOGLE, {"rules": rules, "inherit": True}).json()
    fields = {one["field"]: one["presence"] for one in told["rules"]["fields"]}
    assert (fields["utm_term"], fields["utm_source"]) == ("forbidden", "required")
    assert told["rules"]["dialect"]["opens"] == "{"


def test_the_global_contracts_are_the_operators_alone(acme_api, operator_api, seeded, api, system):
    assert acme_api.put(GOOGLE, {**PLAIN, "tenant_id": "t_system"}).status_code == 403
    assert api(system, scopes=TENANT_SCOPES).put(GOOGLE, {"mode": "warn"}).status_code == 403
    assert operator_api.put(GOOGLE, {"mode": "warn"}).status_code == 200
    assert acme_api.get(GOOGLE).json()["mode"] == "warn"


def test_another_tenant_sees_nothing_of_a_contract(acme_api, globex_api):
    acme_api.put(GOOGLE, PLAIN)
    assert globex_api.get(GOOGLE).status_code == 404
    assert globex_api.get(f"{GOOGLE}?version=1.0.0").status_code == 404
    assert globex_api.get("analytics/contracts").json()["items"] == []
    assert globex_api.post(f"{GOOGLE}/validate", {"url": LANDING}).status_code == 404


def test_a_url_is_judged_with_positions_in_both_phases(acme_api, seeded):
    url = "https://shop.acme.com/?utm_source=google&utm_medium=cpc&utm_campaign={campaignname}&gclid=x"
    told = acme_api.post(f"{GOOGLE}/validate", {"url": url, "phase": "landing"}).json()
    (finding,) = told["findings"]
    assert (finding["code"], finding["field"], finding["expected"]) == ("misspelt_macro", "utm_campaign", "{_campaign}")
    assert url[finding["position"] :].startswith("{campaignname}")
    made = acme_api.post(f"{GOOGLE}/template", {}).json()
    told = acme_api.post(f"{GOOGLE}/validate", {"url": made["template"], "phase": "template"}).json()
    assert (told["valid"], told["findings"], made["simulated_findings"]) == (True, [], [])
    assert made["template"].startswith("{lpurl}?utm_source=google&utm_medium=cpc&utm_campaign={_campaign}")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"allowed_fields": ["colour"]}, "allowed_fields.colour"),
        ({"utm_template": {"hue": "red"}}, "utm_template.hue"),
        ({**PLAIN, "version": "soon"}, "version"),
        (
            {"rules": {"fields": [{"field": "utm_term", "kind": "pattern", "pattern": "(?=a)"}]}},
            "rules.fields.0.pattern",
        ),
        ({"rules": {"fields": [{"field": "utm_term", "kind": "enum"}]}}, "rules.fields.0"),
        ({**PLAIN, "rules": {"fields": []}}, "utm_template"),
        ({**PLAIN, "platform": "facebook"}, "platform"),
        ({}, "utm_template"),
    ],
)
def test_a_contract_that_cannot_be_is_refused_with_the_field(acme_api, body, field):
    answer = acme_api.put(GOOGLE, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_REQUEST")
    assert field in [one["field"] for one in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"utm_template": {"source": "x" * 201}}, "utm_template.utm_source"),
        ({"utm_template": {"source": "{{campaign.id}}" * 99}}, "utm_template.utm_source"),
        ({"utm_template": {"source": "a", "utm_source": "b"}}, "utm_template.utm_source"),
        ({"utm_template": "?utm_source=a&utm_source=b"}, "utm_template.utm_source"),
        ({"allowed_fields": {"term": ["a", "a"]}}, "allowed_fields.utm_term"),
        ({"allowed_fields": {"term": [""]}}, "allowed_fields.utm_term"),
        ({"allowed_fields": {"term": [f"v{number}" for number in range(1001)]}}, "allowed_fields.utm_term"),
    ],
)
def test_what_no_rule_can_say_is_refused_naming_the_field_of_the_plain_form(acme_api, said, field):
    answer = acme_api.put(GOOGLE, {**PLAIN, **said})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_rules_that_are_too_many_with_those_they_inherit_are_refused(acme_api):
    def rules(name: str) -> dict[str, object]:
        condition = {"field": "utm_source"}
        rule = {"kind": "implies", "when": condition, "then": condition}
        return {"cross_fields": [{"id": f"{name}{number}", **rule} for number in range(60)]}

    assert acme_api.put(GOOGLE, {"rules": rules("a")}).status_code == 201
    assert acme_api.put(GOOGLE, {"rules": rules("b"), "inherit": True}).status_code == 400
    assert acme_api.get(GOOGLE).status_code == 200
