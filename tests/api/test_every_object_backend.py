"""The same calls on every object backend: nothing of the API but a header and the URI's scheme tells which one serves."""

import hashlib
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from storage.registry import BACKENDS, BLOBS
from tests.conftest import Api
from tests.contract.presigned_http import send
from tests.object_places import OBJECT_BACKENDS, SCHEMES, object_config

OBJECTS = "storage/objects"
MIB = 1024 * 1024
SIZES = (0, 1024, 8 * MIB, 8 * MIB + 1, 20 * MIB)
"""Nothing, the smallest worth a request, one part to the byte, one byte more, and several parts."""
SECRETS = ("secret_access_key", "account_key", "key", "connection_string", "service_account")


def lead(operator: Api, tenant: str, backend: str, config: dict[str, Any]) -> Any:
    """Let a tenant's objects go to a backend, as an operator does it."""
    route = {
        "resource_kind": "object_store",
        "tenant_id": tenant,
        "env": "dev",
        "backend_type": backend,
        "config": config,
        "switch_rationale": "A test of every backend.",
    }
    answer = operator.post("routing/routes", route)
    assert answer.status_code in {200, 201}, answer.content
    told = answer.content.decode()
    assert not any(config[name] in told for name in SECRETS if isinstance(config.get(name), str))
    return answer.json()


@pytest.fixture(params=OBJECT_BACKENDS)
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def routed(backend, request, acme, globex, operator_api) -> None:
    """Acme's and globex's objects lie in one place of this backend."""
    config = object_config(request, backend)
    for tenant in ("acme", "globex"):
        lead(operator_api, tenant, backend, config)


@pytest.fixture
def client(routed, api, acme) -> Api:
    made: Api = api(acme)
    return made


def path(key):
    return f"{OBJECTS}/{quote(key)}"


def stranger(asked, body=b""):
    """Send a presigned request without a key, to the service or to this application; return its status and its bytes."""
    headers = dict(asked["headers"])
    if asked["url"].startswith("http://testserver/"):
        typed = headers.pop("Content-Type", "")
        ours = Client().generic(asked["method"], asked["url"], body, content_type=typed, headers=headers)
        return ours.status_code, ours.getvalue()
    answer = send(asked["method"], asked["url"], body, headers)
    return answer.status, answer.body


def test_every_driver_of_objects_takes_part():
    assert {name for name, backend in BACKENDS.items() if backend.serves.get(BLOBS)} == set(OBJECT_BACKENDS)


@pytest.mark.line(83, 87, 88, 94)
@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_every_size_comes_back_whole(client, backend, size):
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    digest = hashlib.sha256(data).hexdigest()
    for headers in ({}, {"X-Checksum-Sha256": digest}):
        stored = client.put(path("size/of it"), data, content_type="application/x-odd", headers=headers)
        assert (stored.status_code, stored.json()["size"], stored.json()["sha256"]) == (200, size, digest)
        got = client.get(path("size/of it"))
        assert (got["X-Northstar-Backend"], got["Content-Length"]) == (backend, str(size))
        assert hashlib.sha256(got.getvalue()).hexdigest() == digest
    wrong = client.put(path("size/of it"), data + b"x", headers={"X-Checksum-Sha256": digest})
    assert (wrong.status_code, wrong.json()["error_code"]) == (422, "CHECKSUM_MISMATCH")
    assert client.head(path("size/of it"))["ETag"] == stored["ETag"]


def test_metadata_conditions_ranges_and_listings_are_the_same_everywhere(client, backend):
    headers = {"X-Meta-Note": "Zo\u00eb  2", "If-None-Match": "*"}
    made = client.put(path("a/1.txt"), b"0123456789", content_type="text/plain; charset=utf-8", headers=headers)
    assert (made.status_code, made.json()["metadata"]) == (201, {"note": "Zo\u00eb  2"})
    assert made.json()["uri"].startswith(f"{SCHEMES[backend]}://")
    assert client.put(path("a/1.txt"), b"x", headers=headers).status_code == 412
    assert client.put(path("a/1.txt"), b"x", headers={"If-Match": '"other"'}).status_code == 412
    part = client.get(path("a/1.txt"), headers={"Range": "bytes=-3"})
    assert (part.status_code, part.getvalue(), part["Content-Range"]) == (206, b"789", "bytes 7-9/10")
    assert client.get(path("a/1.txt"), headers={"Range": "bytes=10-"}).status_code == 416
    assert client.get(path("a/1.txt"), headers={"If-None-Match": made["ETag"]}).status_code == 304
    replaced = client.put(path("a/1.txt"), b"new", headers={"If-Match": made["ETag"]})
    assert (replaced.status_code, replaced.json()["metadata"]) == (200, {})
    client.put(path("b"), b"2")
    listed = client.get(f"{OBJECTS}?delimiter=/").json()
    assert ([item["key"] for item in listed["items"]], listed["prefixes"]) == (["b"], ["a/"])


def test_a_tenant_never_meets_anothers_objects_in_the_same_place(client, api, globex):
    client.put(path("shared/name"), b"acme")
    other = api(globex)
    assert (other.get(path("shared/name")).status_code, other.get(OBJECTS).json()["items"]) == (404, [])
    other.put(path("shared/name"), b"globex")
    assert [other.delete(path("shared/name")).status_code for _ in range(2)] == [204, 204]
    assert client.get(path("shared/name")).getvalue() == b"acme"


@pytest.mark.line(113, 119)
def test_an_upload_by_a_presigned_url_becomes_an_object_when_it_is_registered(client):
    body = {"key": "up/load.bin", "content_type": "application/x-odd", "max_bytes": MIB}
    asked = client.post(f"{OBJECTS}/presign", {**body, "method": "PUT"}).json()
    assert stranger(asked, b"from outside")[0] < 300
    assert client.get(path("up/load.bin")).status_code == 404
    registered = client.post(
        f"{OBJECTS}/register",
        {"key": "up/load.bin", "upload_id": asked["upload_id"], "metadata": {"by": "a browser"}},
    )
    assert registered.json()["sha256"] == hashlib.sha256(b"from outside").hexdigest()
    assert (registered.json()["content_type"], registered.json()["metadata"]) == (
        "application/x-odd",
        {"by": "a browser"},
    )
    read = client.post(f"{OBJECTS}/presign", {"key": "up/load.bin", "method": "GET"}).json()
    assert stranger(read) == (200, b"from outside")


def test_one_route_flips_through_all_of_them_and_the_same_calls_work_after_each(request, acme, operator_api, api):
    client = api(acme)
    for number, backend in enumerate(OBJECT_BACKENDS):
        route = lead(operator_api, "acme", backend, object_config(request, backend))
        assert route["previous_backend_type"] == (OBJECT_BACKENDS[number - 1] if number else None)
        assert client.get(path("flip/me")).status_code == 404
        put = client.put(path("flip/me"), backend.encode())
        assert (put.status_code, put.json()["uri"].partition("://")[0]) == (200, SCHEMES[backend])
        got = client.get(path("flip/me"))
        assert (got.getvalue(), got["X-Northstar-Backend"]) == (backend.encode(), backend)
        assert [item["key"] for item in client.get(OBJECTS).json()["items"]] == ["flip/me"]
        assert client.delete(path("flip/me")).status_code == 204
        assert client.get(OBJECTS).json()["items"] == []
