"""The verbs of the control plane over REST: switch, roll back, lock, look over everything."""

from datetime import UTC, datetime, timedelta

import pytest

from northstar.instants import instant_text
from routing.changes import create_route, lock_env
from routing.keys import SCOPES
from routing.models import Route, RouteChange, StrategyLock
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY

BANK = {"backend_type": "bank", "config": {"place": "there"}, "switch_rationale": "cheaper"}
ORDINARY = [scope for scope in SCOPES if scope not in {"act:tenants", "routes:override"}]


@pytest.fixture
def route(acme) -> Route:
    return create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)


@pytest.fixture
def ours(acme, api):
    return api(acme, scopes=ORDINARY)


@pytest.fixture
def admin(acme, api):
    return api(acme)


def one(route: Route, verb: str = "") -> str:
    return f"routing/routes/{route.pk}" + (f"/{verb}" if verb else "")


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_a_switch_answers_the_route_and_a_dry_run_the_plan(ours, route):
    plan = ours.post(one(route, "switch"), {**BANK, "dry_run": True})
    assert (plan.status_code, plan.json()["action"], plan.json()["ready"]) == (200, "ROUTE_BACKEND_SWITCHED", True)
    assert plan.json()["left_behind"]["said"].startswith("Existing data is not carried over")
    assert plan.json()["probe"]["steps"][0]["milliseconds"] >= 0
    assert CANARY not in plan.content.decode()
    assert ours.get(one(route)).json()["revision"] == 1
    done = ours.post(one(route, "switch"), BANK)
    assert (done.status_code, done["ETag"], done.json()["previous_backend_type"]) == (200, '"2"', "vault")
    assert done.json() == ours.get(one(route)).json()


def test_a_switch_weighs_if_match_and_answers_a_repeated_key_again(ours, route):
    stale = ours.post(one(route, "switch"), BANK, headers={"If-Match": '"7"'})
    assert code(stale) == (412, "VERSION_CONFLICT")
    again = {"Idempotency-Key": "k-1", "If-Match": '"1"'}
    answers = [ours.post(one(route, "switch"), BANK, headers=again) for _ in range(2)]
    assert [answer.json()["revision"] for answer in answers] == [2, 2]
    assert answers[1]["Idempotent-Replayed"] == "true"


def test_switching_takes_its_own_scope(acme, route, api):
    writer = api(acme, scopes=["routes:read", "routes:write", "data:write"])
    for verb in ("switch", "rollback", "lock"):
        assert code(writer.post(one(route, verb), {})) == (403, "FORBIDDEN")
    for path in (one(route), one(route, "lock")):  # to delete and create again is to switch
        assert code(writer.delete(path)) == (403, "FORBIDDEN")
    assert code(writer.post("routing/locks", {"reason": "x"})) == (403, "FORBIDDEN")


def test_without_the_scope_to_switch_no_requests_are_led_elsewhere_by_a_project_or_by_disabling(acme, ours, route, api):
    writer = api(acme, scopes=["routes:read", "routes:write"])
    projects = {"resource_kind": "tabular_store", **BANK, "project_id": "p1"}
    assert code(writer.post("routing/routes", projects)) == (403, "FORBIDDEN")
    assert code(writer.patch(one(route), {"enabled": False})) == (403, "FORBIDDEN")
    alone = writer.post("routing/routes", {**projects, "resource_kind": "event_stream"})
    assert alone.status_code == 201  # nobody served this project before
    made = ours.post("routing/routes", {**projects, "enabled": False})
    assert code(writer.patch(f"routing/routes/{made.json()['id']}", {"enabled": True})) == (403, "FORBIDDEN")
    assert ours.patch(one(route), {"enabled": False}).status_code == 200


def test_a_locked_route_answers_423_until_it_is_unlocked(ours, route):
    until = instant_text(datetime.now(UTC) + timedelta(days=1))
    lock = ours.post(one(route, "lock"), {"reason": "audit", "until": until})
    assert (lock.status_code, lock.json()["active"], lock.json()["route_id"]) == (201, True, route.pk)
    for answer in (
        ours.post(one(route, "switch"), BANK),
        ours.patch(one(route), {"config": {"place": "there"}}),
        ours.patch(one(route), {"enabled": False}),
        ours.post("routing/routes", {"resource_kind": "tabular_store", **BANK}),
        ours.post("/routing/routes", {"resource_kind": "tabular_store", **BANK}),
        ours.delete(one(route)),
    ):
        assert code(answer) == (423, "STRATEGY_LOCKED")
        assert answer.json()["locks"] == [lock.json()]
        assert all(word in answer.json()["detail"] for word in (lock.json()["owner"], "audit", until[:19]))
    assert ours.patch(one(route), {"tier": "pro"}).status_code == 200
    assert ours.delete(one(route, "lock")).status_code == 204
    assert ours.post(one(route, "switch"), BANK).status_code == 200


def test_overriding_is_asked_for_takes_the_scope_and_a_rationale(ours, admin, route):
    ours.post(one(route, "lock"), {"reason": "audit"})
    asked = {**BANK, "override_lock": True}
    assert code(ours.post(one(route, "switch"), asked)) == (403, "FORBIDDEN")
    assert code(admin.post(one(route, "switch"), BANK)) == (423, "STRATEGY_LOCKED")  # nobody passes by accident
    silent = admin.post(one(route, "switch"), {**asked, "switch_rationale": ""})
    assert code(silent) == (423, "STRATEGY_LOCKED")
    assert silent.json()["errors"][0]["field"] == "switch_rationale"
    assert admin.post(one(route, "switch"), asked).status_code == 200
    assert RouteChange.objects.filter(action="ROUTE_LOCK_OVERRIDDEN", rationale="cheaper").count() == 1
    assert code(admin.delete(one(route))) == (423, "STRATEGY_LOCKED")
    assert admin.delete(f"{one(route)}?override_lock=true&switch_rationale=gone").status_code == 204


def test_locks_are_listed_read_and_released_by_their_owner(ours, admin, route):
    for body in ({"reason": "freeze"}, {"reason": "freeze", "env": "prod"}):
        assert ours.post("routing/locks", body).status_code == 201
    mine = ours.post(one(route, "lock"), {"reason": "audit"}).json()
    listed = ours.get("routing/locks").json()["items"]
    assert [(lock["env"], lock["resource_kind"]) for lock in listed] == [
        ("dev", "tabular_store"),
        ("prod", None),
        ("dev", None),
    ]
    assert [lock["id"] for lock in ours.get("routing/locks?env=prod").json()["items"]] == [listed[1]["id"]]
    address = f"routing/locks/{mine['id']}"
    assert ours.get(address).json() == mine
    assert code(admin.delete(address)) == (423, "STRATEGY_LOCKED")
    assert ours.delete(address).status_code == 204
    assert ours.delete(address).status_code == 204
    assert ours.get(address).json()["released_by"] == mine["owner"]
    assert ours.delete("routing/locks?env=prod").status_code == 204
    assert code(ours.delete("routing/locks?env=prod")) == (404, "NOT_FOUND")
    assert [lock["active"] for lock in ours.get("routing/locks?active=false").json()["items"]] == [False, False, True]


def test_another_tenants_locks_and_routes_are_not_there(ours, route, globex, api):
    lock = ours.post(one(route, "lock"), {"reason": "audit"}).json()
    theirs = api(globex)
    for answer in (
        theirs.get(f"routing/locks/{lock['id']}"),
        theirs.delete(f"routing/locks/{lock['id']}?override_lock=true&switch_rationale=x"),
        theirs.delete(one(route, "lock") + "?override_lock=true&switch_rationale=x"),
        theirs.post(one(route, "lock"), {"reason": "x"}),
        theirs.post(one(route, "switch"), {**BANK, "override_lock": True}),
        theirs.post(one(route, "switch"), {**BANK, "dry_run": True}),
        theirs.post(one(route, "rollback"), {"revision": 1, "dry_run": True}),
        theirs.get(one(route, "history")),
    ):
        assert code(answer) == (404, "NOT_FOUND")
    assert code(theirs.post("routing/locks", {"reason": "x", "tenant_id": "acme"})) == (403, "TENANT_MISMATCH")
    assert code(theirs.delete("routing/locks?tenant_id=acme")) == (403, "TENANT_MISMATCH")
    assert theirs.get("routing/locks").json()["items"] == []
    assert StrategyLock.objects.get().released_at is None


def test_a_key_of_one_env_locks_no_other(acme, api):
    limited = api(acme, scopes=ORDINARY, envs=["dev"])
    assert code(limited.post("routing/locks", {"reason": "x", "env": "prod"})) == (403, "FORBIDDEN")
    assert code(limited.delete("routing/locks?env=prod")) == (403, "FORBIDDEN")


def test_a_history_shows_each_change_and_where_one_may_return_to(ours, route):
    ours.post(one(route, "switch"), BANK)
    ours.post(one(route, "lock"), {"reason": "audit"})
    history = ours.get(one(route, "history")).json()["items"]
    assert [(entry["action"], entry["revision"], entry["can_roll_back"]) for entry in history] == [
        ("ROUTE_LOCKED", None, False),
        ("ROUTE_BACKEND_SWITCHED", 2, False),
        ("ROUTE_CREATED", 1, True),
    ]
    assert {"name": "backend_type", "before": "vault", "after": "bank"} in history[1]["differences"]
    assert CANARY not in repr(history)
    first = ours.get(one(route, "history") + "?limit=1").json()
    assert ours.get(one(route, "history") + f"?cursor={first['next_cursor']}").json()["items"] == history[1:]


def test_a_rollback_shows_its_diff_asks_for_lost_secrets_and_brings_the_revision_back(ours, route):
    ours.post(one(route, "switch"), BANK)
    asked = {"revision": 1, "switch_rationale": "the bank is slow"}
    plan = ours.post(one(route, "rollback"), {**asked, "dry_run": True}).json()
    assert [error["field"] for error in plan["blockers"][0]["errors"]] == ["config.password"]
    assert code(ours.post(one(route, "rollback"), asked)) == (400, "INVALID_CONFIG")
    given = {**asked, "secrets": {"password": CANARY}}
    plan = ours.post(one(route, "rollback"), {**given, "dry_run": True}).json()
    assert (plan["ready"], plan["after"]["config"]["password"]) == (True, "****")
    back = ours.post(one(route, "rollback"), given, headers={"If-Match": '"2"'})
    assert (back.status_code, back.json()["backend_type"], back.json()["revision"]) == (200, "vault", 3)
    assert CANARY not in back.content.decode()


def test_the_view_over_all_tenants_is_for_operators_and_read_only(operator_api, ours, route, globex, api):
    create_route(draft("globex", "event_stream"), CAUSE)
    lock_env("globex", "dev", reason="freeze", until=None, cause=CAUSE)
    seen = operator_api.get("routing/view").json()["items"]
    assert [(item["tenant_id"], item["mode"], item["locked"]) for item in seen] == [
        ("acme", "lab", False),
        ("globex", "lab", True),
    ]
    narrowed = operator_api.get("routing/view?resource_kind=event_stream").json()["items"]
    assert [item["tenant_id"] for item in narrowed] == ["globex"]
    assert CANARY not in repr(seen)
    for refused in (
        ours.get("routing/view"),
        api(globex).get("routing/view?resource_kind=event_stream"),
        operator_api.get("routing/view", headers={"X-Tenant-Id": "acme"}),
    ):
        assert code(refused) == (403, "FORBIDDEN")
    assert operator_api.post("routing/view", {}).status_code == 405


SERVER_FIELDS = (
    "owner",
    "created_at",
    "released_at",
    "released_by",
    "active",
    "id",
    "actor",
    "may_override",
    "may_switch",
)


@pytest.mark.parametrize("field", SERVER_FIELDS)
def test_what_the_server_decides_cannot_be_sent_to_any_verb(ours, route, field):
    for path, body in (
        (one(route, "switch"), BANK),
        (one(route, "rollback"), {"revision": 1}),
        (one(route, "lock"), {"reason": "x"}),
        ("routing/locks", {"reason": "x"}),
    ):
        assert code(ours.post(path, {**body, field: "x"})) == (400, "INVALID_REQUEST")
    assert (Route.objects.get().revision, StrategyLock.objects.count()) == (1, 0)
