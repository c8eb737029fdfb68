"""Rules over REST: published, read for a client on a day, compared, rolled back, promoted; what agents keep beside them."""

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Api, filesystem_routes
from tests.rules.rules_contract import EXACT

RULES = "storage/rules"
MATCH = {"kind": "calculation", "rule_id": "match", "figures": {"rate": {"value": "0.50", "unit": "rate"}}}


def publish(api: Api, *changes: dict[str, Any], **more: Any) -> Any:
    headers = more.pop("headers", {})
    return api.post(f"{RULES}/revisions", {"changes": list(changes), "reason": "for a test", **more}, headers=headers)


def matched(value: str, **more: Any) -> dict[str, Any]:
    return {**MATCH, "figures": {"rate": {"value": value, "unit": "rate"}}, **more}


def test_a_published_rule_is_read_with_whose_it_is_and_why(acme_api):
    made = publish(acme_api, MATCH, matched("0.60", owner="acme-corp", valid_from="2025-01-01"))
    assert (made.status_code, made["ETag"], made.json()["rules_revision"]) == (201, '"1"', 1)
    assert publish(acme_api, MATCH).status_code == 200
    found = acme_api.get(f"{RULES}/calculation/match?client_id=acme-corp&as_of=2025-06-30")
    body = found.json()
    assert (body["rule"]["figures"]["rate"]["value"], body["resolved_from"], body["owner"]) == (
        "0.60",
        "CLIENT",
        "acme-corp",
    )
    assert (body["cache_tier"], body["stale"], body["rules_revision"], body["as_of"]) == (
        "store",
        False,
        1,
        "2025-06-30",
    )
    assert (found["ETag"], found["X-Northstar-Backend"]) == ('"1"', "filesystem")
    earlier = acme_api.get(f"{RULES}/calculation/match?client_id=acme-corp&as_of=2024-12-31").json()
    assert (earlier["rule"]["figures"]["rate"]["value"], earlier["resolved_from"]) == ("0.50", "GLOBAL")
    assert earlier["considered"] == [{"owner": "acme-corp", "entries": 0}, {"owner": "GLOBAL", "entries": 1}]
    assert acme_api.get(f"{RULES}/calculation/match").json()["cache_tier"] in {"process", "store"}
    none = acme_api.get(f"{RULES}/calculation/vesting")
    assert (none.status_code, none.json()["error_code"]) == (404, "RULE_NOT_FOUND")


def test_pipelines_validation_and_limits_are_read_and_a_year_says_honestly_that_it_is_not_published(acme_api):
    steps = [{"kind": "step", "plan_id": "DEFAULT_W", "number": n, "name": f"s{n}", "agent": "a"} for n in (200, 100)]
    field = {"kind": "validation", "field": "ssn", "check": "pattern", "maximum": "9.50"}
    limit = {"kind": "limit", "year": 2025, "code": "402(g)(1)", "figure": {"value": 23500}}
    assert publish(acme_api, *steps, field, limit).status_code == 201
    assert [step["number"] for step in acme_api.get(f"{RULES}/pipelines/DEFAULT_W").json()["steps"]] == [100, 200]
    assert acme_api.get(f"{RULES}/validation/ssn").json()["rules"][0]["maximum"] == "9.50"
    assert acme_api.get(f"{RULES}/validation/none").json()["rules"] == []
    limits = acme_api.get(f"{RULES}/irs-limits/2025").json()
    assert [(one["code"], one["figure"]["value"]) for one in limits["limits"]] == [("402(g)(1)", "23500")]
    ahead = acme_api.get(f"{RULES}/irs-limits/2027")
    assert (ahead.status_code, ahead.json()["error_code"], ahead.json()["last_known_year"]) == (
        404,
        "NOT_PUBLISHED",
        2025,
    )
    assert acme_api.get(f"{RULES}/irs-limits/1999").json()["error_code"] == "RULE_NOT_FOUND"
    assert acme_api.get(f"{RULES}/irs-limits/twenty").status_code == 400


def test_every_digit_survives_from_the_request_to_the_answer(acme_api):
    figures = {name: {"value": str(number)} for name, number in EXACT.items()}
    publish(acme_api, {"kind": "calculation", "rule_id": "exact", "figures": figures})
    found = acme_api.get(f"{RULES}/calculation/exact").json()["rule"]["figures"]
    assert {name: repr(Decimal(figure["value"])) for name, figure in found.items()} == {
        name: repr(number) for name, number in EXACT.items()
    }
    refused = publish(acme_api, {"kind": "calculation", "rule_id": "r", "figures": {"rate": {"value": 0.1}}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (
        400,
        "changes.0.calculation.figures.rate.value",
    )
    assert acme_api.put(f"{RULES}/batches/b1", {"state": {"total": 0.1}}).status_code == 400


def test_a_revision_says_who_and_why_and_can_be_compared_pinned_and_rolled_back(acme_api):
    publish(acme_api, MATCH)
    publish(acme_api, matched("0.70"))
    stale = publish(acme_api, matched("0.80"), headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["error_code"]) == (412, "VERSION_CONFLICT")
    listed = acme_api.get(f"{RULES}/revisions?limit=1").json()
    assert [(one["rules_revision"], one["reason"]) for one in listed["items"]] == [(2, "for a test")]
    rest = acme_api.get(f"{RULES}/revisions?cursor={listed['next_cursor']}").json()
    assert [one["rules_revision"] for one in rest["items"]] == [1]
    assert acme_api.get(f"{RULES}/revisions/2").json()["actor"].startswith("key:")
    (changed,) = acme_api.get(f"{RULES}/revisions/2/diff").json()["differences"]
    assert [one[0]["body"]["figures"]["rate"]["value"] for one in (changed["before"], changed["after"])] == [
        "0.50",
        "0.70",
    ]
    assert acme_api.get(f"{RULES}/calculation/match?revision=1").json()["rule"]["figures"]["rate"]["value"] == "0.50"
    back = acme_api.post(f"{RULES}/revisions/1/rollback", {"reason": "wrong"}, headers={"If-Match": '"2"'})
    assert (back.status_code, back.json()["rules_revision"]) == (201, 3)
    assert acme_api.get(f"{RULES}/calculation/match").json()["rule"]["figures"]["rate"]["value"] == "0.50"
    for missing in ("revisions/9", "revisions/9/diff", "calculation/match?revision=9"):
        assert acme_api.get(f"{RULES}/{missing}").status_code == 404


def test_a_dry_run_tells_the_differences_and_a_repeated_call_publishes_once(acme_api):
    dry = publish(acme_api, MATCH, dry_run=True)
    assert (dry.status_code, dry.json()["changed"], len(dry.json()["differences"])) == (200, True, 1)
    once = {"Idempotency-Key": "publish-1"}
    answers = [publish(acme_api, MATCH, headers=once) for _ in range(2)]
    assert [(one.status_code, one.json()["rules_revision"]) for one in answers] == [(201, 1), (201, 1)]
    retired = publish(acme_api, {"kind": "retire", "of": "calculation", "key": {"owner": "GLOBAL", "rule_id": "match"}})
    assert retired.status_code == 201
    assert acme_api.get(f"{RULES}/calculation/match").status_code == 404
    wrong = publish(acme_api, {"kind": "retire", "of": "limit", "key": {"year": 2025}})
    assert wrong.status_code == 400


def test_rules_of_one_environment_are_promoted_to_another_by_a_key_for_both(acme, api):
    for env in ("dev", "prod"):
        filesystem_routes(acme, env)
    dev, both, prod = api(acme), api(acme, **{"X-Env": "prod"}), api(acme, envs=["prod"], **{"X-Env": "prod"})
    publish(dev, MATCH)
    publish(both, matched("0.10"), {"kind": "calculation", "rule_id": "of prod alone"})
    assert prod.post(f"{RULES}/promotions", {"from_env": "dev", "reason": "release"}).status_code == 403
    done = both.post(f"{RULES}/promotions", {"from_env": "dev", "reason": "release"})
    assert (done.status_code, len(done.json()["differences"])) == (201, 2)
    assert prod.get(f"{RULES}/calculation/match").json()["rule"]["figures"]["rate"]["value"] == "0.50"
    assert prod.get(f"{RULES}/calculation/of%20prod%20alone").status_code == 404


def test_who_writes_data_does_not_change_the_rules(acme, api):
    filesystem_routes(acme, "dev")
    agent, author = api(acme, scopes=["data:read", "data:write"]), api(acme, scopes=["rules:write"])
    assert publish(author, MATCH).status_code == 201
    for path, body in (
        ("revisions", {"changes": [MATCH], "reason": "?"}),
        ("revisions/1/rollback", {"reason": "?"}),
        ("promotions", {"from_env": "dev", "reason": "?"}),
    ):
        assert agent.post(f"{RULES}/{path}", body).status_code == 403
    assert agent.put(f"{RULES}/batches/b1", {"state": {}}).status_code == 200
    assert author.put(f"{RULES}/batches/b1", {"state": {}}).status_code == 403


def test_an_environment_that_cannot_be_is_refused(acme_api):
    for env in ("Dev", "dev\n", "dev/..", ""):
        assert acme_api.post(f"{RULES}/promotions", {"from_env": env, "reason": "?"}).status_code == 400


def test_a_batch_pins_the_rules_and_is_written_over_the_version_that_was_read(acme_api):
    publish(acme_api, MATCH)
    first = acme_api.put(f"{RULES}/batches/b1", {"state": {"step": 100}}, headers={"If-None-Match": "*"})
    assert (first.status_code, first.json()["rules_revision"]) == (200, 1)
    publish(acme_api, matched("0.70"))
    tag = {"If-Match": first["ETag"]}
    assert acme_api.put(f"{RULES}/batches/b1", {"state": {"step": 200}}, headers=tag).json()["rules_revision"] == 1
    assert acme_api.put(f"{RULES}/batches/b1", {"state": {}}, headers=tag).status_code == 412
    assert acme_api.put(f"{RULES}/batches/b1", {"state": {}}, headers={"If-None-Match": "*"}).status_code == 412
    assert acme_api.get(f"{RULES}/batches/b1").json()["state"] == {"step": 200}
    assert acme_api.get(f"{RULES}/batches/b2").status_code == 404
    result = {"step": 100, "result": {"total": "12.50"}}
    for key in ("a", "a", "b"):
        headers = {"Idempotency-Key": key}
        assert acme_api.post(f"{RULES}/batches/b1/results", result, headers=headers).status_code == 201
    listed = acme_api.get(f"{RULES}/batches/b1/results?limit=1").json()
    rest = acme_api.get(f"{RULES}/batches/b1/results?cursor={listed['next_cursor']}").json()
    assert [one["result"] for one in listed["items"] + rest["items"]] == [{"total": "12.50"}] * 2


def test_an_agent_s_config_has_revisions(acme_api):
    url = f"{RULES}/agents/matcher/config"
    first = acme_api.put(url, {"config": {"model": "x"}}, headers={"If-None-Match": "*"})
    second = acme_api.put(url, {"config": {"model": "y"}}, headers={"If-Match": first["ETag"]})
    assert (first["ETag"], second["ETag"]) == ('"1"', '"2"')
    assert acme_api.put(url, {"config": {}}, headers={"If-Match": first["ETag"]}).status_code == 412
    assert acme_api.get(url).json()["config"] == {"model": "y"}
    assert acme_api.get(f"{url}?revision=1").json()["config"] == {"model": "x"}
    assert acme_api.get(f"{RULES}/agents/nobody/config").status_code == 404


@pytest.mark.parametrize("query", ["as_of=1.1.2026", "as_of=1767225600", "revision=0", "max_stale=-1", "unknown=1"])
def test_a_query_that_cannot_be_meant_is_refused(acme_api, query):
    publish(acme_api, MATCH)
    assert acme_api.get(f"{RULES}/calculation/match?{query}").status_code == 400
