"""The control plane over REST: who may do what to which route, and what the answers say."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from routing.changes import create_route
from routing.denials import ACCESS_DENIED
from routing.keys import SCOPES, issue_key
from routing.models import Route, RouteChange
from routing.resolve import invalidate
from storage.registry import KINDS
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY

TENANT_SCOPES = [scope for scope in SCOPES if scope != "act:tenants"]
ROUTES = "/api/v1/routing/routes"


class Caller:
    """Speaks JSON with one key."""

    def __init__(self, token: str) -> None:
        self._client = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=True)

    def __getattr__(self, method: str):
        def call(path: str, body: object = None, **headers: str):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
            return getattr(self._client, method)(path, headers=names, **data)

        return call


@pytest.fixture
def caller(db) -> Callable[..., Caller]:
    """Issue a key and speak with it."""

    def make(tenant: str, scopes: Any = TENANT_SCOPES, **limits: Any) -> Caller:
        return Caller(issue_key(tenant, "test", scopes, cause=CAUSE, **limits)[1])

    return make


@pytest.fixture
def ours(acme, caller: Callable[..., Caller]) -> Caller:
    return caller("acme")


@pytest.fixture
def theirs(globex, caller: Callable[..., Caller]) -> Caller:
    return caller("globex")


@pytest.fixture
def operator(system, caller: Callable[..., Caller]) -> Caller:
    return caller("t_system", SCOPES)


def asked(**changes) -> dict:
    return {"resource_kind": "tabular_store", "backend_type": "vault", "config": {"place": "here"}, **changes}


def code(response) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


def test_a_route_is_created_with_tenant_and_env_from_the_context(ours):
    response = ours.post(ROUTES, asked(tier="pro", cost_notes="20"), X_Env="prod")
    route = response.json()
    assert (response.status_code, response["ETag"]) == (201, '"1"')
    assert (route["tenant_id"], route["env"], route["project_id"]) == ("acme", "prod", None)
    assert (route["tier"], route["cost_notes"], route["revision"], route["enabled"]) == ("pro", "20", 1, True)
    assert route["created_by"].startswith("key:")
    assert route["created_at"].endswith("Z")


def test_every_field_comes_back(ours):
    made = ours.post(ROUTES, asked(project_id="p1", env="dev", tenant_id="acme", enabled=False)).json()
    assert ours.get(f"{ROUTES}/{made['id']}").json() == made
    assert set(made) >= {"previous_backend_type", "switch_rationale", "last_switch_time", "updated_by"}


def test_the_same_key_again_flips_the_route(ours):
    first = ours.post(ROUTES, asked()).json()
    response = ours.post(ROUTES, asked(backend_type="Bank", switch_rationale="cheaper"))
    route = response.json()
    assert (response.status_code, route["id"], route["backend_type"]) == (200, first["id"], "bank")
    assert (route["previous_backend_type"], route["switch_rationale"], route["revision"]) == ("vault", "cheaper", 2)


def test_a_patch_takes_the_changed_fields_only(ours):
    made = ours.post(ROUTES, asked(tier="pro")).json()
    response = ours.patch(f"{ROUTES}/{made['id']}", {"cost_notes": "much"})
    assert (response.json()["tier"], response.json()["cost_notes"], response["ETag"]) == ("pro", "much", '"2"')


def test_a_deleted_route_is_gone(ours):
    made = ours.post(ROUTES, asked()).json()
    assert ours.delete(f"{ROUTES}/{made['id']}").status_code == 204
    assert code(ours.get(f"{ROUTES}/{made['id']}")) == (404, "NOT_FOUND")


def test_a_stale_if_match_is_refused(ours):
    made = ours.post(ROUTES, asked()).json()
    one = f"{ROUTES}/{made['id']}"
    assert ours.patch(one, {"tier": "a"}, If_Match='"1"').status_code == 200
    assert code(ours.patch(one, {"tier": "b"}, If_Match='"1"')) == (412, "VERSION_CONFLICT")
    assert code(ours.post(ROUTES, asked(tier="b"), If_Match='"1"')) == (412, "VERSION_CONFLICT")
    assert code(ours.delete(one, If_Match='"1"')) == (412, "VERSION_CONFLICT")
    assert ours.get(one).json()["tier"] == "a"


def test_an_idempotency_key_creates_once(ours):
    first = ours.post(ROUTES, asked(), Idempotency_Key="k1")
    again = ours.post(ROUTES, asked(), Idempotency_Key="k1")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert code(ours.post(ROUTES, asked(tier="x"), Idempotency_Key="k1")) == (422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"backend_type": "foo"}, (400, "UNSUPPORTED_BACKEND")),
        ({"backend_type": "gcs"}, (501, "BACKEND_NOT_IMPLEMENTED")),
        ({"resource_kind": "object_store", "backend_type": "firestore"}, (501, "BACKEND_NOT_IMPLEMENTED")),
        ({"config": {}}, (400, "INVALID_CONFIG")),
        ({"config": {"place": "x", "other": 1}}, (400, "INVALID_CONFIG")),
        ({"backend_type": "filesystem", "config": {"base_dir": "/etc"}}, (400, "FORBIDDEN_ENDPOINT")),
        ({"backend_type": "filesystem", "config": {"base_dir": "../.."}}, (400, "FORBIDDEN_ENDPOINT")),
        ({"resource_kind": "teapot"}, (400, "INVALID_REQUEST")),
        ({"env": "../x"}, (400, "INVALID_REQUEST")),
        ({"tenant_id": "globex"}, (403, "TENANT_MISMATCH")),
        ({"tenant_id": "nobody"}, (403, "TENANT_MISMATCH")),
        ({"project_id": ""}, (400, "INVALID_REQUEST")),
        ({"config": "x"}, (400, "INVALID_REQUEST")),
        ({"enabled": "yes"}, (400, "INVALID_REQUEST")),
    ],
)
def test_a_refused_route_says_why_and_writes_nothing(ours, globex, changes, answer):
    changed = RouteChange.objects.exclude(action=ACCESS_DENIED)
    rows = changed.count()
    response = ours.post(ROUTES, asked(**changes))
    assert code(response) == answer
    assert response["Content-Type"] == "application/problem+json"
    assert (Route.objects.count(), changed.count()) == (0, rows)


def test_a_wrong_config_names_its_fields(ours):
    problem = ours.post(ROUTES, asked(config={"pool": 0})).json()
    assert {error["field"] for error in problem["errors"]} == {"config.place", "config.pool"}


def test_the_filesystem_is_refused_to_a_sellable_tenant_on_every_way_in(initech, caller):
    paying = caller("initech")
    made = paying.post(ROUTES, asked()).json()
    for response in (
        paying.post(ROUTES, asked(backend_type="filesystem", config={}, switch_rationale="x")),
        paying.post("/routing/routes", asked(backend_type="FileSystem", config={}, switch_rationale="x")),
        paying.patch(f"{ROUTES}/{made['id']}", {"backend_type": "filesystem", "config": {}, "switch_rationale": "x"}),
    ):
        assert code(response) == (403, "FORBIDDEN_BACKEND_CLASS")
        assert "saas" in response.json()["detail"]


SERVER_FIELDS = (
    "id",
    "revision",
    "previous_backend_type",
    "last_switch_time",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "sealed_secrets",
)


@pytest.mark.parametrize("field", SERVER_FIELDS)
def test_what_the_server_decides_cannot_be_sent(ours, field):
    made = ours.post(ROUTES, asked()).json()
    assert code(ours.post(ROUTES, asked(env="prod", **{field: 1}))) == (400, "INVALID_REQUEST")
    assert code(ours.patch(f"{ROUTES}/{made['id']}", {field: 1})) == (400, "INVALID_REQUEST")
    assert ours.get(f"{ROUTES}/{made['id']}").json() == made


@pytest.mark.parametrize("field", ["resource_kind", "tenant_id", "env", "project_id"])
def test_the_key_of_a_route_cannot_be_patched(ours, field):
    made = ours.post(ROUTES, asked()).json()
    assert code(ours.patch(f"{ROUTES}/{made['id']}", {field: "globex"})) == (400, "INVALID_REQUEST")


def test_another_tenants_route_is_not_there(ours, theirs):
    made = ours.post(ROUTES, asked()).json()
    one = f"{ROUTES}/{made['id']}"
    missing = theirs.get(f"{ROUTES}/{made['id'] + 1}").json()
    for response in (theirs.get(one), theirs.patch(one, {"tier": "x"}), theirs.delete(one)):
        assert code(response) == (404, "NOT_FOUND")
    assert theirs.get(one).json()["title"] == missing["title"]
    assert theirs.get(ROUTES).json()["items"] == []
    assert theirs.get("/api/v1/routing/audit").json()["items"] != []
    assert not [row for row in theirs.get("/api/v1/routing/audit").json()["items"] if row["tenant_id"] != "globex"]
    assert ours.get(one).json() == made


def test_another_tenant_cannot_be_named_in_the_query(ours, globex):
    for path in (f"{ROUTES}?tenant_id=globex", "/api/v1/routing/audit?tenant_id=globex"):
        assert code(ours.get(path)) == (403, "TENANT_MISMATCH")


def test_a_key_of_one_env_sees_and_changes_no_other(acme, caller, ours):
    prod = ours.post(ROUTES, asked(env="prod")).json()
    limited = caller("acme", envs=["dev"])
    assert code(limited.post(ROUTES, asked(env="prod", tier="x"))) == (403, "FORBIDDEN")
    assert code(limited.get(f"{ROUTES}/{prod['id']}")) == (404, "NOT_FOUND")
    assert code(limited.delete(f"{ROUTES}/{prod['id']}")) == (404, "NOT_FOUND")
    assert limited.get(ROUTES).json()["items"] == []
    assert "prod" not in {row["env"] for row in limited.get("/api/v1/routing/audit").json()["items"]}


def test_an_operator_acts_for_the_tenant_it_names(operator, acme):
    by_body = operator.post(ROUTES, asked(tenant_id="acme"))
    by_header = operator.post(ROUTES, asked(env="prod"), X_Tenant_Id="acme")
    assert (by_body.status_code, by_header.status_code) == (201, 201)
    assert {route["env"] for route in operator.get(f"{ROUTES}?tenant_id=acme").json()["items"]} == {"dev", "prod"}
    assert operator.get(f"{ROUTES}?tenant_id=t_system").json()["items"] == []
    assert operator.patch(f"{ROUTES}/{by_body.json()['id']}", {"tier": "x"}).status_code == 200


def test_an_operator_that_names_one_tenant_touches_no_other(operator, acme, globex):
    made = operator.post(ROUTES, asked(tenant_id="acme")).json()
    assert code(operator.get(f"{ROUTES}/{made['id']}", X_Tenant_Id="globex")) == (404, "NOT_FOUND")
    assert code(operator.post(ROUTES, asked(tenant_id="acme"), X_Tenant_Id="globex")) == (403, "TENANT_MISMATCH")


def test_an_operator_is_told_of_a_tenant_that_does_not_exist(operator):
    problem = operator.post(ROUTES, asked(tenant_id="nobody")).json()
    assert problem["errors"][0]["field"] == "tenant_id"


CALLS = (
    ("get", ROUTES, "routes:read"),
    ("post", ROUTES, "routes:write"),
    ("get", "/api/v1/routing/kinds", "routes:read"),
    ("get", "/api/v1/routing/explain?resource_kind=tabular_store", "routes:read"),
    ("get", "/api/v1/routing/audit", "audit:read"),
    ("get", "/api/v1/routing/audit/verify", "audit:read"),
)


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_each_call_needs_its_scope_and_a_key(acme, caller, method, path, scope):
    others = caller("acme", [other for other in TENANT_SCOPES if other != scope])
    body = asked() if method == "post" else None
    assert code(getattr(others, method)(path, body)) == (403, "FORBIDDEN")
    assert code(getattr(Caller("ns_aaaaaaaaaaaa_" + "0" * 64), method)(path, body)) == (401, "UNAUTHENTICATED")
    assert not Route.objects.exists()


def test_writing_routes_alone_does_not_allow_a_switch(acme, caller):
    writer = caller("acme", ["routes:read", "routes:write"])
    made = writer.post(ROUTES, asked()).json()
    assert writer.patch(f"{ROUTES}/{made['id']}", {"tier": "x"}).status_code == 200
    refused = writer.post(ROUTES, asked(config={"place": "there"}))
    assert code(refused) == (403, "FORBIDDEN")
    assert "routes:switch" in refused.json()["fix"]


def test_a_list_filters_and_pages(ours):
    for env in ("a", "b", "c", "d", "e"):
        ours.post(ROUTES, asked(env=env, project_id="p1"))
    ours.post(ROUTES, asked(resource_kind="event_stream", backend_type="bank"))
    for query in ("kind=event_stream", "resource_kind=event_stream", "backend=bank", "backend_type=bank", "env=dev"):
        assert [route["resource_kind"] for route in ours.get(f"{ROUTES}?{query}").json()["items"]] == ["event_stream"]
    seen, cursor = [], ""
    while cursor is not None:
        page = ours.get(f"{ROUTES}?project=p1&limit=2{cursor and '&cursor=' + cursor}").json()
        seen += [route["env"] for route in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["a", "b", "c", "d", "e"]


def test_a_filter_under_both_its_names_is_refused(ours):
    refused = ours.get(f"{ROUTES}?kind=event_stream&resource_kind=object_store")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_REQUEST")


def test_a_cursor_of_another_query_or_tenant_is_refused(ours, theirs):
    for env in ("a", "b"):
        ours.post(ROUTES, asked(env=env))
    cursor = ours.get(f"{ROUTES}?limit=1").json()["next_cursor"]
    assert code(theirs.get(f"{ROUTES}?limit=1&cursor={cursor}")) == (400, "INVALID_CURSOR")
    assert code(ours.get(f"{ROUTES}?limit=1&env=a&cursor={cursor}")) == (400, "INVALID_CURSOR")
    assert code(ours.get(f"{ROUTES}?limit=1&cursor={cursor[:-2]}xx")) == (400, "INVALID_CURSOR")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "color=red", "env=a&env=b"])
def test_a_bad_query_is_refused(ours, query):
    assert code(ours.get(f"{ROUTES}?{query}")) == (400, "INVALID_REQUEST")


def test_secrets_are_masked_in_every_answer(ours):
    made = ours.post(ROUTES, asked(config={"place": "here", "password": CANARY}))
    one = f"{ROUTES}/{made.json()['id']}"
    answers = [made, ours.get(one), ours.get(ROUTES), ours.get("/api/v1/routing/audit")]
    answers += [ours.get("/api/v1/routing/explain?resource_kind=tabular_store"), ours.patch(one, {"tier": "x"})]
    answers.append(ours.post(ROUTES, asked(config={"place": CANARY * 99, "password": [CANARY], CANARY: CANARY})))
    assert made.json()["config"]["password"] == "****"
    for answer in answers[:-1]:
        assert CANARY not in answer.content.decode()
    problem = answers[-1].json()
    assert CANARY not in problem["detail"] + problem["fix"] + "".join(error["detail"] for error in problem["errors"])


def test_the_trail_tells_who_did_what_newest_first(ours):
    made = ours.post(ROUTES, asked(), X_Request_Id="req-77").json()
    ours.patch(f"{ROUTES}/{made['id']}", {"tier": "x"})
    rows = ours.get(f"/api/v1/routing/audit?route={made['id']}").json()["items"]
    assert [row["action"] for row in rows] == ["ROUTE_UPDATED", "ROUTE_CREATED"]
    assert rows[1]["request_id"] == "req-77"
    assert rows[0]["previous_hash"] == rows[1]["hash"]
    actor, since = rows[0]["actor"], rows[0]["at"]
    assert len(ours.get(f"/api/v1/routing/audit?actor={actor}&limit=1").json()["items"]) == 1
    assert [row["action"] for row in ours.get(f"/api/v1/routing/audit?since={since}").json()["items"]] == [
        "ROUTE_UPDATED"
    ]


def test_the_chain_is_verified_for_everybody_and_counted_for_operators(ours, operator):
    assert ours.get("/api/v1/routing/audit/verify").json()["ok"] is True
    assert ours.get("/api/v1/routing/audit/verify").json()["rows"] is None
    assert operator.get("/api/v1/routing/audit/verify").json()["rows"] == RouteChange.objects.count()


def test_kinds_tell_backends_schemas_and_limits(ours, initech, caller):
    kinds = {kind["resource_kind"]: kind for kind in ours.get("/api/v1/routing/kinds").json()["items"]}
    backends = {backend["backend_type"]: backend for backend in kinds["tabular_store"]["backends"]}
    assert set(kinds) == set(KINDS)
    assert backends["vault"]["config_schema"]["required"] == ["place"]
    assert backends["vault"]["config_schema"]["properties"]["place"]["description"] == "Where the data lies."
    assert backends["vault"]["limits"]["ordered_scan"] is True
    assert (backends["firestore"]["available"], backends["filesystem"]["allowed"]) == (True, True)
    blobs = {backend["backend_type"]: backend for backend in kinds["object_store"]["backends"]}
    assert (blobs["gcs"]["available"], blobs["gcs"]["config_schema"]["required"]) == (True, ["bucket"])
    assert "s3" not in backends
    paying = caller("initech").get("/api/v1/routing/kinds").json()["items"]
    assert not [b for kind in paying for b in kind["backends"] if b["backend_type"] == "filesystem" and b["allowed"]]


def test_an_explanation_names_the_route_and_why_not_the_others(ours):
    made = ours.post(ROUTES, asked()).json()
    ours.post(ROUTES, asked(project_id="p1", enabled=False))
    told = ours.get("/api/v1/routing/explain?resource_kind=tabular_store", X_Project_Id="p1").json()
    assert (told["route_id"], told["revision"], told["backend_type"]) == (made["id"], 1, "vault")
    assert [candidate["verdict"] for candidate in told["candidates"]] == ["disabled", "chosen"]
    missing = ours.get("/api/v1/routing/explain?resource_kind=event_stream").json()
    assert (missing["route_id"], missing["error"]["error_code"]) == (None, "NO_ROUTE_CONFIGURED")


def test_the_earlier_engines_address_answers_alike(ours):
    assert ours.post("/routing/routes", asked()).status_code == 201
    assert ours.post("/routing/routes", asked(tier="x")).status_code == 200


def test_a_forced_bad_row_is_shown_not_hidden(ours, acme):
    route = create_route(draft(), CAUSE)
    Route.objects.filter(pk=route.pk).update(backend_type="foo")
    invalidate()
    assert ours.get(f"{ROUTES}/{route.pk}").json()["backend_type"] == "foo"
    told = ours.get("/api/v1/routing/explain?resource_kind=tabular_store").json()
    assert told["error"]["error_code"] == "UNSUPPORTED_BACKEND"
