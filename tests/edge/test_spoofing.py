"""What a client may try with headers, against the real server: raw bytes on the wire, as no library would send them."""

import json
import socket

import pytest

from tests.server import HOST, Running

pytestmark = pytest.mark.server


def ask(server: Running, *headers: bytes, tenant: str = "acme", target: bytes = b"/api/v1/context") -> tuple[int, dict]:
    """Send raw header lines and return the status and the JSON answer."""
    lines = [
        b"GET " + target + b" HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Connection: close",
        f"Authorization: Bearer {server.tokens[tenant]}".encode(),
        *headers,
    ]
    with socket.create_connection((HOST, server.port), timeout=30) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else {}


def code(server: Running, *headers: bytes, **options) -> tuple[int, str]:
    status, body = ask(server, *headers, **options)
    return status, body.get("error_code", "")


@pytest.mark.parametrize(
    "headers",
    [
        [b"X-Tenant-Id: globex"],
        [b"x-tenant-id: globex"],
        [b"X-TENANT-ID: GLOBEX"],
        [b"X-Tenant-Id: t_system"],
        [b"X-Tenant_Id: acme", b"X-Tenant-Id: globex"],
    ],
)
def test_another_tenants_name_is_a_mismatch_however_it_is_spelled(server, headers):
    assert code(server, *headers) == (403, "TENANT_MISMATCH")


@pytest.mark.parametrize("name", [b"X_Tenant_Id", b"X-Tenant_Id", b"HTTP_X_TENANT_ID", b"X_TENANT-ID"])
def test_a_header_name_with_an_underscore_means_nothing(server, name):
    status, body = ask(server, name + b": globex")
    assert (status, body["tenant_id"]) == (200, "acme")


@pytest.mark.parametrize(
    "name",
    [b"X-Tenant-Id", b"X-Env", b"X-Mode", b"X-Project-Id", b"X-App-Id", b"X-User-Id", b"X-Surface-Id", b"X-Request-Id"],
)
def test_a_context_header_that_stands_twice_is_refused(server, name):
    assert code(server, name + b": acme", name.lower() + b": acme") == (400, "INVALID_CONTEXT")


def test_two_credentials_are_refused(server):
    assert code(server, f"Authorization: Bearer {server.tokens['globex']}".encode())[0] in {400, 401}


@pytest.mark.parametrize(
    "value",
    [b"acme,globex", b"globex,acme", "\u0430cme".encode(), b"acme\xff", b"acme%2fglobex", b"a" * 300, b"../acme"],
)
def test_a_value_that_is_no_tenants_name_is_refused(server, value):
    assert code(server, b"X-Tenant-Id: " + value) == (400, "INVALID_CONTEXT")


@pytest.mark.parametrize(
    "header",
    [
        b"X-Forwarded-Tenant: globex",
        b"X-Original-Tenant-Id: globex",
        b"Forwarded: for=globex;host=globex",
        b"X-Forwarded-Host: globex.example",
        b"X-Forwarded-User: globex",
        b"X-HTTP-Method-Override: DELETE",
        b"Tenant: globex",
        b"Cookie: X-Tenant-Id=globex; tenant=globex",
    ],
)
def test_no_other_header_says_who_asks(server, header):
    status, body = ask(server, header)
    assert (status, body["tenant_id"]) == (200, "acme")


def test_utf8_headers_arrive_as_curl_sends_them(server):
    status, body = ask(server, "X-Surface-Id: SQUARED²".encode())
    assert (status, body["surface_id"]) == (200, "squared2")


@pytest.mark.parametrize("target", [b"/api/v1/context?a=1&a=2", b"/api/v1/context?%61=1&a=2"])
def test_a_query_parameter_that_stands_twice_is_refused(server, target):
    assert code(server, target=target) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("target", [b"/api/v1/%ff", b"/raw/get/%c0%af", b"/api/v1/storage/objects/%ed%a0%80"])
def test_a_path_that_is_not_utf8_is_refused(server, target):
    assert code(server, target=target) == (400, "INVALID_REQUEST")


def test_interleaved_requests_of_two_tenants_never_mix(server):
    for _ in range(20):
        for tenant in ("acme", "globex"):
            assert ask(server, tenant=tenant)[1]["tenant_id"] == tenant


def test_encoded_slashes_and_dots_in_a_key_are_taken_literally(server):
    path = "/api/v1/storage/objects/a%2Fb%20c%25"
    assert server.request("PUT", path, b"hello")[0] == 200
    status, _, body = server.request("GET", "/api/v1/storage/objects/a/b%20c%25")
    assert (status, body) == (200, b"hello")


@pytest.mark.parametrize("key", ["../x", "a/../../x", "%2e%2e/x", "a//b", "a%00b", "a%5cb", "."])
def test_a_key_that_climbs_or_folds_is_refused_by_the_store_and_not_rewritten(server, key):
    status, _, body = server.request("PUT", f"/api/v1/storage/objects/{key}", b"x")
    assert (status, json.loads(body)["error_code"]) == (400, "INVALID_KEY")
