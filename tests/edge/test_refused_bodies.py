"""A client that is refused while it still sends comes to read why: against the real server, with real sockets."""

import json

import pytest

pytestmark = pytest.mark.server

LARGE = b"x" * (8 * 1024 * 1024)
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("tables/t/records/k", JSON, (413, "TOO_LARGE")),
        ("objects/k", {"Authorization": "Bearer none"}, (401, "UNAUTHENTICATED")),
        ("objects/k", {"X-Env": "nowhere"}, (500, "NO_ROUTE_CONFIGURED")),
        ("objects/k", {"If-Match": "no tag"}, (400, "INVALID_REQUEST")),
    ],
)
def test_a_refusal_reaches_a_client_that_sends_its_whole_body_first(server, path, headers, expected, chunked):
    for _ in range(5):
        body = iter([LARGE]) if chunked else LARGE
        status, _, answer = server.request("PUT", f"/api/v1/storage/{path}", body, headers=headers)
        assert (status, json.loads(answer)["error_code"]) == expected


def test_the_connection_of_a_refused_body_serves_on(server):
    connection = server.connect()
    headers = {"Authorization": f"Bearer {server.tokens['acme']}", **JSON}
    for _ in range(3):
        connection.request("PUT", "/api/v1/storage/tables/t/records/k", LARGE, headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error_code"]) == (413, "TOO_LARGE")
    connection.close()


def test_a_content_type_that_cannot_be_read_is_told_as_any_other_mistake(server):
    headers = {"Authorization": f"Bearer {server.tokens['acme']}", "Content-Type": "application/json; charset*=none''x"}
    status, _, answer = server.request("PUT", "/api/v1/storage/tables/t/records/k", b"{}", headers=headers)
    assert (status, json.loads(answer)["error_code"]) == (400, "INVALID_REQUEST")
