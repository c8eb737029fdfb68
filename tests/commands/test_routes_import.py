"""routes export and import: what goes out comes in again, secrets stay here, and no rule is passed by."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from northstar.errors import InvalidConfig
from routing.changes import Cause, RouteUpdate, create_route, lock_env, put_route, update_route
from routing.exporting import placeholder
from routing.models import Route, RouteChange
from routing.resolve import resolve
from storage.config import reveal
from storage.registry import BACKENDS
from tests.commands.transfers import actions, everything, plan, run
from tests.conftest import CAUSE
from tests.routing.conftest import context, draft
from tests.routing.vault import CANARY, VAULT, VaultConfig, opened

PASSWORD = "NORTHSTAR_SECRET_ACME__DEV__TABULAR_STORE__PASSWORD"
BODY = {"resource_kind": "object_store", "tenant_id": "acme", "env": "dev", "backend_type": "filesystem"}


@pytest.fixture(autouse=True)
def surroundings(settings, monkeypatch) -> None:
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k1": b"1" * 32}
    monkeypatch.setitem(BACKENDS, "vault", VAULT)


@pytest.fixture
def routes(acme, globex) -> None:
    create_route(draft(config={"place": "here", "password": CANARY}, tier="pro", cost_notes="é"), CAUSE)
    create_route(draft("globex", config={"place": "here", "password": {"$secret": "file:vault"}}), CAUSE)
    create_route(draft("acme", "object_store", backend_type="filesystem", config={}), CAUSE)


@pytest.fixture
def file(tmp_path: Path):
    def write(*bodies: Any) -> str:
        path = tmp_path / "routes.json"
        path.write_text(json.dumps(bodies))
        return str(path)

    return write


def exported(*arguments: str) -> list[dict[str, Any]]:
    _, text = run("export", *arguments)
    routes: list[dict[str, Any]] = json.loads(text)
    return routes


def password() -> str:
    """Acme's secret, as its driver would get it."""
    secret = opened(resolve("tabular_store", context())).password
    assert secret is not None
    return reveal(secret)


def test_an_export_holds_references_and_never_a_secret(routes):
    _, text = run("export")
    assert CANARY not in text
    assert "k1." not in text
    config = {route["tenant_id"]: route["config"] for route in json.loads(text) if route["backend_type"] == "vault"}
    assert config["acme"]["password"] == {"$secret": f"env:{PASSWORD}"}
    assert config["globex"]["password"] == {"$secret": "file:vault"}


def test_an_export_may_be_of_one_tenant_and_go_to_a_file(routes, tmp_path):
    path = tmp_path / "acme.json"
    _, text = run("export", "--tenant", "acme", "--output", str(path))
    assert text.strip() == f"2 routes written to {path}."
    assert {route["tenant_id"] for route in json.loads(path.read_text())} == {"acme"}
    assert list(tmp_path.glob(".acme*")) == []


def test_an_export_is_a_file_that_check_accepts(routes, file):
    code, _ = run("check", "--file", file(*exported()))
    assert code == 0


def test_what_was_exported_comes_in_unchanged(routes, file):
    before, rows = everything(), RouteChange.objects.count()
    document = plan("import", file(*exported()))
    assert set(actions(document).values()) == {"unchanged"}
    assert (everything(), RouteChange.objects.count()) == (before, rows)


def test_an_import_into_another_deployment_names_the_secrets_to_set(routes, file, monkeypatch):
    bodies = exported("--tenant", "acme")
    Route.objects.all().delete()
    (step, _) = sorted(plan("import", file(*bodies))["steps"], key=lambda step: step["name"], reverse=True)
    assert (step["action"], step["notes"]) == (
        "create",
        [f"Set the secret env:{PASSWORD} where the server runs: it is not set here."],
    )
    with pytest.raises(InvalidConfig, match="not set here"):
        password()
    monkeypatch.setenv(PASSWORD, CANARY)
    assert password() == CANARY


def test_a_plan_says_what_would_happen_to_each_route_and_writes_nothing(routes, file):
    tabular = {**exported("--tenant", "acme")[1], "resource_kind": "tabular_store"}
    bodies = [
        {**BODY, "resource_kind": "event_stream"},
        {**tabular, "tier": "max"},
        {**exported("--tenant", "globex")[0], "config": {"place": "there"}, "switch_rationale": "cheaper"},
        BODY,
        {**BODY, "env": "prod", "backend_type": "floppy"},
    ]
    before, rows = everything(), RouteChange.objects.count()
    document = plan("import", file(*bodies), "--dry-run")
    assert list(actions(document).values()) == ["create", "update", "switch", "unchanged", "refused"]
    assert document["counts"] == {"create": 1, "update": 1, "switch": 1, "unchanged": 1, "refused": 1}
    _, update, switch, _, refused = document["steps"]
    assert update["differences"] == [{"name": "tier", "before": "pro", "after": "max"}]
    assert {"name": "config.place", "before": "here", "after": "there"} in switch["differences"]
    assert (refused["error_code"], "Use one of" in refused["fix"]) == ("UNSUPPORTED_BACKEND", True)
    assert (everything(), RouteChange.objects.count()) == (before, rows)
    assert actions(plan("import", file(*bodies))) == actions(document)


def test_the_text_form_is_readable_and_its_exit_code_tells_of_a_refusal(routes, file):
    code, text = run("import", file({**BODY, "env": "prod", "backend_type": "floppy"}), "--dry-run")
    lines = text.splitlines()
    assert code == 1
    assert lines[1] == "refused   route object_store in acme/prod on floppy"
    assert lines[2].strip().startswith("UNSUPPORTED_BACKEND: Unsupported backend_type='floppy'")
    assert lines[3].strip().startswith("Fix: ")
    assert lines[4] == "0 create, 0 update, 0 switch, 0 unchanged, 1 refused. Nothing was written: this was a dry run."


@pytest.mark.parametrize("mode", ["saas", "enterprise"])
def test_the_filesystem_is_refused_to_a_tenant_that_pays(acme, file, mode):
    acme.mode = mode
    acme.save()
    for arguments in ((), ("--dry-run",)):
        (step,) = plan("import", file(BODY), *arguments)["steps"]
        assert (step["action"], step["error_code"]) == ("refused", "FORBIDDEN_BACKEND_CLASS")
        assert "dynamodb" in step["fix"] or "s3" in step["fix"]
    assert not Route.objects.exists()


def test_a_lock_keeps_an_import_from_moving_data_unless_it_is_overridden(routes, file):
    lock_env("globex", "dev", reason="launch", until=None, cause=CAUSE)
    moved = {**exported("--tenant", "globex")[0], "config": {"place": "there"}}
    (step,) = plan("import", file(moved))["steps"]
    assert step["error_code"] == "STRATEGY_LOCKED"
    (step,) = plan("import", file(moved), "--override-locks", "--rationale", "the launch is over")["steps"]
    assert step["action"] == "switch"


def test_a_switch_outside_of_lab_asks_for_a_rationale(acme, file):
    acme.mode = "saas"
    acme.save()
    create_route(draft(), CAUSE)
    moved = {**exported()[0], "config": {"place": "there"}}
    (step,) = plan("import", file(moved))["steps"]
    assert "rationale" in step["detail"]
    (step,) = plan("import", file(moved), "--rationale", "cheaper")["steps"]
    assert step["action"] == "switch"
    assert Route.objects.get().switch_rationale == "cheaper"


def test_each_route_of_a_file_stands_for_itself(routes, file):
    bodies = [
        3,
        {**BODY, "colour": "blue"},
        {**BODY, "env": "prod"},
        {**BODY, "env": "prod"},
        {**BODY, "tenant_id": "x"},
    ]
    steps = plan("import", file(*bodies))["steps"]
    assert [step["action"] for step in steps] == ["refused", "refused", "create", "refused", "refused"]
    assert [step["name"] for step in steps[:2]] == ["#1", "#2"]
    assert "#4 has the same four-part key as #3" in steps[3]["detail"]
    assert "There is no tenant 'x'" in steps[4]["detail"]


def test_a_change_is_audited_under_the_commands_name(acme, file):
    plan("import", file(BODY), "--rationale", "new tenant")
    change = RouteChange.objects.first()
    assert (change.actor, change.action, change.rationale) == ("command:routes import", "ROUTE_CREATED", "new tenant")


def test_placeholders_of_different_secrets_are_different_and_valid():
    keys = [
        ("tabular_store", "acme", "dev", None),
        ("tabular_store", "acme", "dev", "p"),
        ("tabular_store", "Acme", "dev", None),
        ("tabular_store", "acme.", "dev", None),
        ("tabular_store", "acme_", "dev", None),
        ("tabular_store", "acme__dev", "dev", None),
        ("tabular_store", "a" * 64, "d" * 31, "p" * 128),
        ("tabular_store", "a" * 64, "d" * 31, "p" * 127 + "q"),
    ]
    names = {placeholder(key, field)["$secret"] for key in keys for field in ("key", "password")}
    assert len(names) == 2 * len(keys)
    for name in names:
        VaultConfig.model_validate({"place": "here", "password": {"$secret": name}})


def test_a_reference_that_is_set_replaces_the_sealed_secret(routes, file, monkeypatch):
    monkeypatch.setenv(PASSWORD, "another")
    (step,) = plan("import", file(*[body for body in exported() if body["tier"] == "pro"]))["steps"]
    assert step["action"] == "update"
    assert Route.objects.get(tier="pro").sealed_secrets == ""


def test_another_backends_placeholder_keeps_nothing(routes, file, monkeypatch):
    monkeypatch.setitem(BACKENDS, "bank", VAULT)
    put_route(draft(backend_type="bank", config={"place": "here"}), Cause("user:alice", rationale="moved"))
    update_route(Route.objects.get(backend_type="bank").pk, RouteUpdate(config={"place": "x", "password": "y"}), CAUSE)
    (body,) = [body for body in exported() if body["backend_type"] == "bank"]
    (step,) = plan("import", file({**body, "backend_type": "vault"}))["steps"]
    assert step["notes"] == [f"Set the secret env:{PASSWORD} where the server runs: it is not set here."]


def test_a_file_without_routes_is_an_error(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        run("import", str(tmp_path / "nowhere.json"))
