"""routes prepare creates what the services behind routes need, again and again, and one failure holds up no other route."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from routing.changes import RouteDraft, create_route
from tests.conftest import CAUSE


@pytest.fixture
def folders(acme, globex, lab: Path) -> Path:
    """Three routes, each to a folder that does not exist yet; below the folder that holds them all."""
    _route("acme", "dev", "tabular_store", "made/acme-dev")
    _route("acme", "prod", "object_store", "made/acme-prod")
    _route("globex", "dev", "tabular_store", "made/globex-dev")
    return lab / "made"


def _route(tenant: str, env: str, kind: str, base_dir: str) -> None:
    draft = RouteDraft(
        resource_kind=kind, tenant_id=tenant, env=env, backend_type="filesystem", config={"base_dir": base_dir}
    )
    create_route(draft, CAUSE)


def _prepare(*arguments: str) -> tuple[int, list[dict]]:
    """Return the exit code and the verdicts."""
    out, code = StringIO(), 0
    try:
        call_command("routes", "prepare", "--format", "json", *arguments, stdout=out)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    document = json.loads(out.getvalue())
    assert document["ok"] is (code == 0)
    return code, document["routes"]


def _made(folders: Path) -> list[str]:
    return sorted(path.name for path in folders.iterdir())


def test_the_service_of_every_route_is_prepared_and_again_without_harm(folders):
    for _ in range(2):
        code, routes = _prepare()
        assert (code, [route["error_code"] for route in routes]) == (0, ["", "", ""])
        assert _made(folders) == ["acme-dev", "acme-prod", "globex-dev"]


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (("--tenant", "acme"), ["acme-dev", "acme-prod"]),
        (("--env", "dev"), ["acme-dev", "globex-dev"]),
        (("--kind", "object_store"), ["acme-prod"]),
        (("--tenant", "globex", "--env", "dev", "--kind", "tabular_store"), ["globex-dev"]),
    ],
)
def test_only_the_routes_asked_for_are_prepared(folders, asked, made):
    assert _prepare(*asked)[0] == 0
    assert _made(folders) == made


def test_a_route_that_cannot_be_prepared_is_told_with_its_fix_and_holds_up_no_other(folders):
    folders.mkdir()
    (folders / "file").write_text("where a folder should be")
    _route("acme", "broken", "tabular_store", "made/file/below")
    _route("acme", "later", "tabular_store", "made/later")
    code, routes = _prepare("--tenant", "acme")
    assert code == 1
    verdicts = {route["place"]: route["error_code"] for route in routes}
    assert verdicts.pop("acme/broken").startswith("BACKEND_")
    assert verdicts == {"acme/dev": "", "acme/prod": "", "acme/later": ""}


def test_the_text_form_has_one_line_per_route(folders):
    out = StringIO()
    call_command("routes", "prepare", "--tenant", "globex", stdout=out)
    assert out.getvalue().endswith("\ttabular_store\tglobex/dev\tfilesystem\n")
    assert out.getvalue().startswith("ok\t")


def test_asking_for_routes_that_do_not_exist_is_an_error(folders):
    with pytest.raises(CommandError, match="There is no enabled route of tenant acme, env test"):
        call_command("routes", "prepare", "--tenant", "acme", "--env", "test")
