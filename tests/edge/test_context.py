"""RequestContext: the tenant is the key's, every header is checked, and none weakens a guard."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from northstar.authentication import authenticate, build_context
from northstar.errors import InvalidContext, Unauthenticated
from northstar.headers import Headers
from routing.changes import create_tenant, set_alias
from routing.keys import SCOPES, issue_key, revoke_key
from routing.models import ApiKey
from tests.conftest import CAUSE, Api, token


@pytest.fixture
def client(acme, globex, api):
    return api(acme)


def context(client: Api, **headers: str):
    answer = client.get("context", headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200, answer.content
    return answer.json()


def refusal(client: Api, **headers: str) -> tuple[int, str]:
    answer = client.get("context", headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["error_code"]


def test_a_bare_request_has_the_keys_tenant_and_the_defaults(client):
    found = context(client)
    assert (found["tenant_id"], found["env"], found["mode"], found["surface_id"]) == ("acme", "dev", "lab", "_")
    assert found["project_id"] is found["app_id"] is found["user_id"] is None


def test_every_header_is_echoed_after_normalisation(client):
    found = context(
        client,
        X_Env="prod-eu",
        X_Mode="LAB",
        X_Tenant_Id="acme",
        X_Project_Id="P1",
        X_App_Id="app.1",
        X_User_Id="u_1",
        X_Surface_Id="SQUARED²",
        X_Request_Id="abc-1",
    )
    assert found["env"] == "prod-eu"
    assert (found["project_id"], found["app_id"], found["user_id"]) == ("P1", "app.1", "u_1")
    assert (found["surface_id"], found["mode"], found["request_id"]) == ("squared2", "lab", "abc-1")


def test_a_new_alias_counts_from_the_next_request(client):
    set_alias("Front Door", "lobby", CAUSE)
    assert context(client, X_Surface_Id="Front Door")["surface_id"] == "lobby"


@pytest.mark.parametrize("mode", ["lab", "LAB", "Lab"])
def test_the_mode_may_be_repeated_in_any_case(client, mode):
    assert context(client, X_Mode=mode)["mode"] == "lab"


def test_an_unknown_mode_is_refused(client):
    assert refusal(client, X_Mode="foo") == (400, "INVALID_MODE")


@pytest.mark.parametrize("mode", ["saas", "enterprise", "t_system", "SAAS"])
def test_another_mode_than_the_tenants_is_refused(client, mode):
    assert refusal(client, X_Mode=mode) == (403, "MODE_MISMATCH")


def test_a_paying_tenant_cannot_call_itself_a_lab(db, api):
    initech = create_tenant("initech", "Initech", "saas", CAUSE)
    assert refusal(api(initech), X_Mode="lab") == (403, "MODE_MISMATCH")


@pytest.mark.parametrize("tenant", ["globex", "ACME", "acme2", "t_system", "nobody"])
def test_another_tenant_than_the_keys_is_refused(client, tenant):
    assert refusal(client, X_Tenant_Id=tenant) == (403, "TENANT_MISMATCH")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *[
            ("X-Tenant-Id", value)
            for value in ("../x", "a#b", "", "x" * 300, "acme,globex", "\u0430cme", "acme\x00", "a b", ".acme")
        ],
        *[("X-Env", value) for value in ("Dev", "1dev", "d" * 32, "dev,prod", "dev/..", "", "d_v", "dév")],
        *[("X-Project-Id", value) for value in ("-p", "p/1", "p" * 129, "p,q", "", "p 1", "pé")],
        *[("X-App-Id", value) for value in ("..", "a\\b", "a,b", "%00")],
        *[("X-User-Id", value) for value in ("@me", "u;1", "u,v", "")],
        *[("X-Surface-Id", value) for value in ("日本", "a,b", "///", "")],
    ],
)
def test_a_value_outside_its_pattern_is_refused(client, header, value):
    assert refusal(client, **{header: value}) == (400, "INVALID_CONTEXT")


def test_a_trailing_newline_never_passes_a_pattern(acme):
    key = authenticate(Headers([("Authorization", f"Bearer {token(acme)}".encode())]))
    for header in ("X-Env", "X-Project-Id", "X-Tenant-Id", "X-User-Id", "X-App-Id"):
        with pytest.raises(InvalidContext):
            build_context(key, Headers([(header, b"dev\n")]), "req")


def test_a_header_that_is_not_utf8_is_refused(client):
    answer = client._client.get(
        "/api/v1/context", headers=client._headers, HTTP_X_SURFACE_ID=b"\xff\xfe".decode("latin-1")
    )
    assert answer.json()["error_code"] == "INVALID_CONTEXT"


def test_a_key_limited_to_environments_sees_no_other(acme, api):
    client = api(acme, envs=["dev", "stage"])
    assert context(client, X_Env="stage")["env"] == "stage"
    assert refusal(client, X_Env="prod") == (403, "FORBIDDEN")


def test_a_key_that_is_not_for_dev_must_name_its_environment(acme, api):
    client = api(acme, envs=["prod"])
    assert refusal(client) == (403, "FORBIDDEN")
    assert context(client, X_Env="prod")["env"] == "prod"


def test_an_operator_may_name_another_tenant(operator_key, globex):
    assert context(operator_key, X_Tenant_Id="globex")["tenant_id"] == "globex"


def test_an_operator_naming_nobody_acts_for_the_system(operator_key):
    assert context(operator_key)["tenant_id"] == "t_system"


def test_an_operator_may_not_name_a_tenant_that_does_not_exist(operator_key):
    assert refusal(operator_key, X_Tenant_Id="nobody") == (404, "NOT_FOUND")


def test_a_system_key_without_the_operators_scope_may_not_name_another_tenant(system, globex, api):
    client = api(system, scopes=["data:read"])
    assert refusal(client, X_Tenant_Id="globex") == (403, "TENANT_MISMATCH")


@pytest.fixture
def operator_key(system, api):
    return api(system, scopes=SCOPES)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer ns_x_y",
        "Bearer ns_aaaaaaaaaaaa_" + "0" * 64,
        "Token x",
        "Bearer a b",
        "ns_",
    ],
)
def test_whatever_is_no_valid_key_gets_the_same_answer(client, header):
    answer = client._client.get("/api/v1/context", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_request_without_a_key_is_refused(client):
    assert client._client.get("/api/v1/context").status_code == 401


def test_a_key_in_the_query_is_no_key(client, acme):
    assert client._client.get(f"/api/v1/context?api_key={token(acme)}").status_code == 401


def test_a_revoked_key_is_refused_from_the_next_request(acme):
    key, secret = issue_key(acme, "test", ["data:read"], cause=CAUSE)
    client = Api(secret)
    assert client.get("context").status_code == 200
    revoke_key(key.key_id, CAUSE)
    assert refusal(client) == (401, "UNAUTHENTICATED")


def test_an_expired_key_is_refused(acme, time_machine):
    later = datetime.now(UTC) + timedelta(hours=1)
    client = Api(issue_key(acme, "test", ["data:read"], cause=CAUSE, expires_at=later)[1])
    assert client.get("context").status_code == 200
    time_machine.move_to(later + timedelta(seconds=1))
    assert refusal(client) == (401, "UNAUTHENTICATED")


def test_the_last_use_is_written_once_a_minute(acme, time_machine):
    time_machine.move_to(datetime(2026, 1, 1, tzinfo=UTC), tick=False)
    client = Api(token(acme))
    used = []
    for seconds in (0, 30, 61):
        time_machine.move_to(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), tick=False)
        client.get("context")
        used.append(ApiKey.objects.get().last_used_at.second)
    assert used == [0, 0, 1]


def test_the_bearer_scheme_has_no_case(acme):
    assert authenticate(Headers([("authorization", f"bEaReR {token(acme)}".encode())])).key.tenant_id == "acme"


def test_two_authorization_headers_are_refused(acme):
    value = f"Bearer {token(acme)}".encode()
    with pytest.raises(Unauthenticated):
        authenticate(Headers([("Authorization", value), ("authorization", value)]))


def test_a_request_id_that_could_forge_a_log_line_is_replaced(client):
    for offered in ("a b", "x" * 129, "a\tb", "{evil}", "é"):
        answer = client.get("context", headers={"X-Request-Id": offered})
        assert answer.headers["X-Request-Id"] == json.loads(answer.content)["request_id"] != offered
