"""routes check asks of every route what a save would ask, and writes nothing."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from northstar.quickstart import ensure_filesystem_routes
from routing.models import Route, RouteChange, Tenant
from storage.registry import KINDS

GOOD = {"resource_kind": "object_store", "tenant_id": "acme", "backend_type": "filesystem"}


def _check(*arguments: str) -> tuple[int, list[dict]]:
    """Return the exit code and the verdicts."""
    out = StringIO()
    code = 0
    try:
        call_command("routes", "check", "--format", "json", *arguments, stdout=out)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    document = json.loads(out.getvalue())
    assert document["ok"] is (code == 0)
    return code, document["routes"]


@pytest.fixture
def file(tmp_path):
    def write(*routes: object) -> str:
        path = tmp_path / "routes.json"
        path.write_text(json.dumps(routes))
        return str(path)

    return write


def test_good_routes_pass(acme):
    ensure_filesystem_routes("acme", "dev")
    code, routes = _check()
    assert code == 0
    assert {route["resource_kind"] for route in routes} == {name for name, kind in KINDS.items() if not kind.of_system}


def test_a_row_that_could_not_be_saved_again_is_a_problem_with_its_fix(acme):
    ensure_filesystem_routes("acme", "dev")
    Tenant.objects.filter(pk="acme").update(mode="saas")
    code, routes = _check()
    assert code == 1
    assert {route["error_code"] for route in routes} == {"FORBIDDEN_BACKEND_CLASS"}
    assert all(route["fix"] for route in routes)


def test_a_file_is_checked_without_writing(acme, file):
    changes = RouteChange.objects.count()
    code, routes = _check("--file", file(GOOD))
    assert (code, [route["error_code"] for route in routes]) == (0, [""])
    assert (Route.objects.count(), RouteChange.objects.count()) == (0, changes)


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"backend_type": "floppy"}, "UNSUPPORTED_BACKEND", "floppy"),
        ({"backend_type": "firestore"}, "BACKEND_NOT_IMPLEMENTED", "firestore"),
        ({"config": {"colour": "blue"}}, "INVALID_CONFIG", "config.colour"),
        ({"config": {"base_dir": "/etc"}}, "FORBIDDEN_ENDPOINT", "outside the allowed roots"),
        ({"tenant_id": "nobody"}, "INVALID_REQUEST", "nobody"),
        ({"env": "Dev\n"}, "INVALID_REQUEST", "env"),
        ({"colour": "blue"}, "INVALID_REQUEST", "colour: There is no such field"),
        ({"config": "text"}, "INVALID_REQUEST", "config: Input"),
    ],
)
def test_each_wrong_route_of_a_file_is_told_with_the_error_of_a_save(acme, file, change, code, said):
    exit_code, (good, bad) = _check("--file", file(GOOD, {**GOOD, "env": "prod", **change}))
    assert (exit_code, good["error_code"], bad["error_code"]) == (1, "", code)
    assert said in bad["detail"]


def test_two_routes_with_one_key_in_a_file_are_a_problem(acme, file):
    _, (_, second) = _check("--file", file(GOOD, GOOD))
    assert "the same four-part key as #1" in second["detail"]


def test_the_text_form_has_one_line_per_route(acme, file):
    out = StringIO()
    call_command("routes", "check", "--file", file(GOOD), stdout=out)
    assert out.getvalue().split("\t")[:5] == ["ok", "#1", "object_store", "acme/dev", "filesystem"]


@pytest.mark.parametrize(("content", "said"), [("{", "no JSON"), ("3", "holds no routes")])
def test_a_file_without_routes_is_an_error(db, tmp_path, content, said):
    path = tmp_path / "routes.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=said):
        call_command("routes", "check", "--file", str(path))


def test_a_missing_file_is_an_error(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("routes", "check", "--file", str(tmp_path / "nowhere.json"))
