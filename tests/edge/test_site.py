"""The site as a whole: every call is guarded and described; health, metrics, docs and pages answer."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.cache import caches
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from northstar.access import ANY_KEY
from northstar.api import ApiView
from northstar.settings.base import shared_cache
from northstar.views import DocsView, SchemaView
from routing.keys import SCOPES
from routing.snapshot import cache as snapshots
from tests.server import free_port

OPEN = {"", "admin", "healthz", "readyz", "metrics", "api/schema", "api/docs"}
SAMPLES = {"int": "1", "uuid": "0198c0de-7a3b-7c4d-8e5f-0123456789ab"}
TICKETED = {"api/v1/storage/presigned/<str:token>": {"GET", "HEAD", "PUT", "POST"}}
"""No key is asked for here: what is signed in the address is the permission."""


def patterns(resolver: Any = None, before: str = "") -> Iterator[tuple[str, Any]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver) and not route.startswith("admin/"):
            yield from patterns(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def api_views() -> dict[str, type[ApiView]]:
    return {route: callback.cls for route, callback in patterns() if hasattr(callback, "cls")}


def test_every_address_is_a_guarded_view_or_known_to_be_open():
    for route, callback in patterns():
        view = getattr(callback, "cls", None)
        assert route in OPEN or (view is not None and issubclass(view, ApiView)), route


@pytest.mark.parametrize("route", sorted(api_views()))
def test_every_method_of_every_view_names_a_scope_that_exists(route):
    view = api_views()[route]
    if view in {DocsView, SchemaView} or route in TICKETED:
        return
    methods = {name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)}
    assert methods == {method.lower() for method in view.scopes}, route
    assert set(view.scopes.values()) <= {*SCOPES, ANY_KEY}


@pytest.mark.parametrize("route", sorted(api_views()))
def test_no_view_answers_without_a_key(db, route):
    view = api_views()[route]
    if view in {DocsView, SchemaView} or route in TICKETED:
        return
    path = "/" + re.sub(r"<(?:([a-z]+):)?[a-z_]+>", lambda part: SAMPLES.get(part[1], "x"), route)
    for method in view.scopes:
        assert Client(raise_request_exception=False).generic(method, path).status_code == 401, path


def test_every_view_that_asks_for_no_key_is_known_and_answers_nobody_without_a_signature(acme_api):
    unkeyed = {route for route, view in api_views().items() if not view.authentication_classes}
    assert unkeyed - {"api/schema", "api/docs"} == set(TICKETED)
    for route, methods in TICKETED.items():
        path = "/" + re.sub(r"<[^>]*>", "eyJrZXkiOiJ4In0:forged", route)
        for method in methods:
            assert Client().generic(method, path).status_code == 403, (method, path)
            assert acme_api.request(method, path).status_code == 403, (method, path)


def test_the_schema_is_valid_and_has_no_warning(tmp_path):
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--api-version", "v1", "--file", str(tmp_path / "schema.yml")
    )


@pytest.fixture(scope="module")
def schema():
    return json.loads(Client().get("/api/schema").content)


def test_the_schema_is_openapi_3_1_and_needs_no_key(schema):
    assert schema["openapi"].startswith("3.1")


def test_every_address_of_the_api_is_described(schema):
    described = {re.sub(r"\{[^}]*\}", "{}", path) for path in schema["paths"]}
    mounted = {"/" + re.sub(r"<[^>]*>", "{}", route) for route in api_views()} - {"/api/schema", "/api/docs"}
    assert mounted == described


def test_every_call_says_what_it_does_itself(schema):
    for path, operations in schema["paths"].items():
        told = [operation.get("description", "") for operation in operations.values()]
        assert all(told), path
        assert len(set(told)) == len(told), path


def test_every_call_is_summed_up_in_a_line(schema):
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert 8 <= len(operation["summary"]) <= 160, (path, operation["summary"])
            assert operation["description"].startswith(operation["summary"])


def test_every_call_stands_in_a_part_that_is_described(schema):
    parts = {part["name"] for part in schema["tags"] if part["description"]}
    calls = [operation for operations in schema["paths"].values() for operation in operations.values()]
    assert {name for operation in calls for name in operation["tags"]} == parts


def test_the_description_knows_what_a_context_header_may_hold(schema):
    patterns = {name: parameter["schema"]["pattern"] for name, parameter in schema["components"]["parameters"].items()}
    assert re.search(patterns["X-Env"], "dev")
    assert re.search(patterns["X-Surface-Id"], "SQUARED²")
    assert re.search(patterns["X-Mode"], "LAB")
    assert not re.search(patterns["X-Mode"], "foo")
    assert not any(re.search(patterns[name], "../x") for name in ("X-Env", "X-Tenant-Id", "X-Project-Id", "X-Mode"))


def test_the_description_knows_places_that_are_gone_and_ranges_beyond_the_end(schema):
    responses = schema["paths"]["/api/v1/storage/objects/{key}"]["get"]["responses"]
    assert {"410", "416"} <= set(responses)


def test_a_json_body_is_required_and_an_objects_bytes_may_be_none(schema):
    paths = schema["paths"]
    assert paths["/api/v1/storage/streams/{stream_id}/events"]["post"]["requestBody"]["required"]
    assert paths["/api/v1/routing/routes/{route_id}"]["patch"]["requestBody"] == {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RouteEdit"}}},
        "required": True,
    }
    assert not paths["/api/v1/storage/objects/{key}"]["put"]["requestBody"].get("required")


def test_every_call_documents_its_problems_and_the_contexts_headers(schema):
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert {"400", "401", "403", "404", "429", "500", "503"} <= operation["responses"].keys(), (method, path)
            keyed = not path.startswith("/api/v1/storage/presigned/")
            assert ({"$ref": "#/components/parameters/X-Env"} in operation["parameters"]) is keyed, (method, path)
            assert [list(way) for way in operation["security"]] == ([["apiKey"]] if keyed else []), (method, path)
            assert all(set(way["apiKey"]) <= set(SCOPES) for way in operation["security"]), (method, path)


def test_the_docs_page_has_no_inline_script_or_style_and_its_files_exist():
    answer = Client().get("/api/docs")
    page = answer.content.decode()
    assert "<style" not in page
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    for name in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        assert finders.find(name), name
    directives = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in directives
    assert "default-src 'none'" in directives


def test_the_docs_script_is_served_as_a_script():
    script = re.search(r'src="([^"]+script=[^"]*)"', Client().get("/api/docs").content.decode())
    assert script is not None
    assert Client().get(script[1]).headers["Content-Type"].startswith("application/javascript")


@pytest.mark.parametrize("path", ["/", "/admin"])
def test_people_are_led_to_the_admin(path):
    answer = Client().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_no_address_of_the_api_is_redirected_for_a_slash(db):
    for path in ("/api/v1/context/", "/api/v1", "/healthz/", "/routing/routes/"):
        assert Client(raise_request_exception=False).get(path).status_code in {401, 404}, path


def test_every_answer_has_the_secure_headers(db):
    for path in ("/healthz", "/admin/login/", "/api/v1/context"):
        headers = Client().get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Request-Id"]


def test_the_process_is_up():
    assert Client().get("/healthz").json() == {"status": "ok"}


def test_readiness_names_what_it_looked_at(db):
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "database": True,
        "cache": True,
        "snapshot": True,
    }


def test_an_unready_process_says_what_is_wrong(db, monkeypatch):
    monkeypatch.setattr(snapshots, "age", lambda: 1e6)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["snapshot"]["ok"]) == (503, False)


def test_a_redis_that_takes_connections_and_is_silent_holds_no_request_for_long(settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CACHES = {"default": shared_cache(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")}
        got: list[object] = []
        asking = threading.Thread(target=lambda: got.append(caches["default"].get("name", "missing")), daemon=True)
        asking.start()
        asking.join(60)
        assert got == ["missing"]


def test_a_redis_that_is_away_is_told_and_takes_no_process_out_of_service(db, settings):
    settings.CACHES = {"default": shared_cache(f"redis://127.0.0.1:{free_port()}/0")}
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["cache"]["ok"]) == (200, False)


def test_metrics_count_requests_by_route_and_never_by_key(acme_api):
    acme_api.put("storage/objects/canary-key", b"x")
    page = Client().get("/metrics").content.decode()
    assert 'northstar_requests_total{method="PUT"' in page
    assert "northstar_store_operations_total" in page
    assert "canary-key" not in page


def test_metrics_may_ask_for_a_token(settings):
    settings.NORTHSTAR_METRICS_TOKEN = "let-me-in"
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer let-me-in"}).status_code == 200


def test_a_data_answer_names_the_backend_and_the_route_revision(acme_api):
    answer = acme_api.put("storage/tables/t/records/k", {"data": {"n": 1}})
    assert answer.headers["X-Northstar-Backend"] == "filesystem"
    assert answer.headers["X-Northstar-Route-Revision"] == "1"


def test_a_form_without_its_token_is_refused_in_the_admin(db):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 403
