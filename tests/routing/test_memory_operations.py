"""Everything of a user, behind every memory route of an environment: exported, erased, and swept of what has ended."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.cache import cache
from django.core.management import CommandError, call_command

from northstar.context import RequestContext
from northstar.errors import NoRouteConfigured
from routing.changes import RouteDraft, RouteUpdate, create_route, update_route
from routing.operations.memory import (
    erase_memory,
    export_memory,
    manifest_answer,
    sweep_memory,
    sweep_memory_in_turn,
)
from routing.resolve import snapshot
from storage.errors import InvalidKey
from storage.kinds.sessions import NewMessage
from storage.opening import open_store
from tests.conftest import CAUSE, Api, token

ACME = RequestContext("acme", "dev", "lab")


def lead(tenant="acme", project=None, backend="filesystem", **config):
    draft = RouteDraft(
        resource_kind="memory_store",
        tenant_id=tenant,
        env="dev",
        project_id=project,
        backend_type=backend,
        config=config,
    )
    return create_route(draft, CAUSE)


def remember(tenant="acme", project=None, user="ada", session="s"):
    store = open_store("memory_store", RequestContext(tenant, "dev", "lab", project_id=project, user_id=user))
    store.sessions.append(session, [NewMessage("user", f"{tenant} {project} {user}")])
    store.blackboards().put("b", {"n": 1})
    return store


def command(*arguments):
    out = StringIO()
    call_command("memory", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def places(acme, globex) -> None:
    """Acme's projects: one shares the tenant's place, one has a route to the same place, one a place of its own."""
    lead()
    lead(project="same", durability="none")
    lead(project="atlas", base_dir="atlas")
    lead("globex")
    for project in (None, "shares", "same", "atlas"):
        remember(project=project)
    remember(user="bob")
    remember("globex")


def test_all_places_are_exported_and_erased_and_each_thing_once(places):
    records = [json.loads(line) for line in export_memory(ACME, "ada")]
    told = [record["content"] for record in records if record["record"] == "message"]
    assert sorted(told) == ["acme None ada", "acme atlas ada", "acme same ada", "acme shares ada"]
    manifest = erase_memory(ACME, "ada")
    assert (manifest.complete, manifest.totals) == (True, {"sessions": 4, "messages": 4, "blackboards": 4})
    assert len(manifest.routes) == 2
    assert [json.loads(line)["record"] for line in export_memory(ACME, "ada")] == ["export", "end"]
    assert erase_memory(ACME, "ada").totals == {"sessions": 0, "messages": 0, "blackboards": 0}
    for tenant, user in (("acme", "bob"), ("globex", "ada")):
        store = open_store("memory_store", RequestContext(tenant, "dev", "lab", user_id=user))
        assert store.sessions.get("s").header.count == 1
        assert store.blackboards().get("b").data == {"n": 1}


def test_a_route_that_fails_is_told_and_holds_up_no_other(places, settings, acme):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = ["http://127.0.0.1:9"]
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    lead(project="away", backend="dynamodb", region="eu-central-1", endpoint="http://127.0.0.1:9", **keys)
    manifest = erase_memory(ACME, "ada")
    assert (manifest.complete, manifest.totals["sessions"]) == (False, 4)
    assert [route["error_code"] for route in manifest_answer(manifest)["routes"] if route["error_code"]] == [
        "BACKEND_UNAVAILABLE"
    ]
    answer = Api(token(acme)).delete("storage/users/ada/memory")
    assert (answer.status_code, answer.json()["complete"]) == (207, False)


def test_a_route_that_cannot_be_opened_is_told_and_holds_up_no_other(places, acme):
    atlas = next(route for route in snapshot().routes.values() if route.project_id == "atlas")
    update_route(atlas.id, RouteUpdate(enabled=False), CAUSE)
    manifest = erase_memory(ACME, "ada")
    assert (manifest.complete, manifest.totals["sessions"]) == (False, 3)
    told = [(route["error_code"], route["detail"]) for route in manifest_answer(manifest)["routes"] if route["detail"]]
    assert [(code, "disabled" in detail) for code, detail in told] == [("NO_ROUTE_CONFIGURED", True)]


def test_who_is_remembered_again_after_an_erasure_is_found_again(places):
    erase_memory(ACME, "ada")
    store = open_store("memory_store", RequestContext("acme", "dev", "lab", user_id="ada"))
    store.blackboards().put("b", {"n": 2})
    assert "ada" in {person.user_id for person in store.people().people}


def test_without_a_route_or_a_user_there_is_nothing_to_begin(acme):
    with pytest.raises(NoRouteConfigured):
        export_memory(ACME, "ada")
    with pytest.raises(NoRouteConfigured):
        erase_memory(ACME, "ada")
    lead()
    with pytest.raises(InvalidKey):
        erase_memory(ACME, "")


def test_the_command_exports_and_erases_what_the_call_does(places, tmp_path):
    exported = command("export", "--tenant", "acme", "--user", "ada")
    command("export", "--tenant", "acme", "--user", "ada", "--output", str(tmp_path / "ada.jsonl"))
    assert len(exported.splitlines()) == len((tmp_path / "ada.jsonl").read_text().splitlines()) == 14
    with pytest.raises(CommandError, match="cannot be written"):
        command("export", "--tenant", "acme", "--user", "ada", "--output", str(tmp_path / "ada.jsonl"))
    with pytest.raises(CommandError, match="--yes"):
        command("erase", "--tenant", "acme", "--user", "ada")
    with pytest.raises(CommandError, match="no tenant"):
        command("export", "--tenant", "nobody", "--user", "ada")
    assert json.loads(command("erase", "--tenant", "acme", "--user", "ada", "--yes"))["totals"]["sessions"] == 4


def test_what_expired_sessions_have_left_is_swept_behind_every_route_once_a_day(places):
    store = open_store("memory_store", RequestContext("acme", "dev", "lab", project_id="atlas", user_id="ada"))
    store.sessions.save("ends", {}, ttl_hint=60)
    store.sessions.append("ends", [NewMessage("user", "soon gone")])
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=False):
        assert sum(one.sessions for one in sweep_memory(dry_run=True)) == 1
        assert "1 ended sessions" in command("sweep", "--dry-run")
        cache.clear()
        sweep_memory_in_turn()
        assert list(store.sessions.messages("ends")) == []
        assert sum(one.sessions for one in sweep_memory()) == 0
        assert store.sessions.get("s").header.count == 1


def test_a_sweep_that_fails_is_told_and_holds_up_no_other(places, settings):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = ["http://127.0.0.1:9"]
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    lead(project="away", backend="dynamodb", region="eu-central-1", endpoint="http://127.0.0.1:9", **keys)
    failed = [one.error.code for one in sweep_memory() if one.error]
    assert failed == ["BACKEND_UNAVAILABLE"]
    with pytest.raises(SystemExit):
        command("sweep")
