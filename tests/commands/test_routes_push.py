"""routes push: the registry gets everything there is, and what another database left there is not lost by accident."""

import json

import pytest
from django.core.management import CommandError

from routing.changes import create_route, create_tenant, set_alias
from routing.models import Route, RouteChange
from routing.operations import pushing
from routing.operations.mirror import mirror_changes
from routing.operations.registry import open_registry
from routing.operations.verification import verify_trail
from storage.kinds.routing_registry_store import Anchor, Entry, RoutingRegistryStore, Trail
from storage.registry import BACKENDS
from tests.commands.transfers import run
from tests.conftest import CAUSE
from tests.routing.conftest import draft
from tests.routing.vault import VAULT


@pytest.fixture
def registry(acme, system, monkeypatch):
    monkeypatch.setitem(BACKENDS, "vault", VAULT)
    create_route(draft("t_system", "routing_registry_store", backend_type="filesystem", config={}), CAUSE)
    create_route(draft(), CAUSE)
    set_alias("SHOP²", "shop2", CAUSE)
    return open_registry()


def counts(*arguments: str) -> dict[str, int]:
    _, text = run("push", *arguments, "--format", "json")
    told: dict[str, int] = json.loads(text)["counts"]
    return told


def names(registry) -> set[str]:
    return {entry.name for entry in registry.load_all()}


def test_everything_is_pushed_and_the_trail_anchored(registry):
    assert counts()["mirrored"] == 2 + 2 + 5  # routes, tenants, aliases
    assert names(registry) == {"routing_registry_store#t_system#dev", "tabular_store#acme#dev"}
    assert verify_trail().anchored == RouteChange.objects.count()
    assert mirror_changes().waiting == 0


def test_a_second_push_finds_nothing_new(registry):
    counts()
    assert counts() == {"mirrored": 0, "unchanged": 9, "removed": 0}


def test_what_was_damaged_in_the_registry_is_put_right(registry):
    mirror_changes()
    (entry, _) = registry.load_all()
    registry.save(Entry(entry.section, entry.name, entry.number, {"damaged": True}))
    counts()
    assert next(registry.load_all()) == entry


def test_only_prune_removes_what_is_not_here(registry):
    mirror_changes()
    Route.objects.filter(tenant="acme").delete()
    assert counts()["removed"] == 0
    assert "tabular_store#acme#dev" in names(registry)
    assert counts("--prune")["removed"] == 1
    assert names(registry) == {"routing_registry_store#t_system#dev"}


@pytest.mark.parametrize("arguments", [(), ("--prune",)])
def test_a_route_that_is_made_and_mirrored_during_a_push_stays_there(registry, monkeypatch, arguments):
    counts()
    save_many = RoutingRegistryStore.save_many
    made: list[Route] = []

    def interrupted(self, entries):
        news = save_many(self, entries)
        if not made and any(entry.section == "aliases" for entry in entries):
            made.append(create_route(draft(env="new"), CAUSE))
            mirror_changes()
        return news

    monkeypatch.setattr(RoutingRegistryStore, "save_many", interrupted)
    known = pushing._all_entries

    def afterwards():
        yield from known()
        made.append(create_route(draft(env="newer"), CAUSE))
        mirror_changes()

    monkeypatch.setattr(pushing, "_all_entries", afterwards)
    assert counts(*arguments)["removed"] == 0
    mirror_changes()
    assert {f"tabular_store#acme#{route.env}" for route in made} <= names(registry)


def test_a_registry_of_another_database_is_refused_unless_taken_over(registry):
    theirs = registry.keep_trail(Trail(Anchor(700, "a" * 64)))
    registry.save(Entry("routes", "tabular_store#acme#dev", 650, {"theirs": True}))
    with pytest.raises(CommandError, match="mirrors another audit trail"):
        counts()
    assert registry.trail() == theirs
    counts("--take-over")
    assert verify_trail().ok
    assert verify_trail().anchored == 701
    assert {entry.data.get("backend_type") for entry in registry.load_all()} == {"filesystem", "vault"}
    create_tenant("initech", "Initech", "saas", CAUSE)
    assert mirror_changes().waiting == 0


def test_the_registry_may_be_named_for_a_second_copy(registry):
    assert counts("--backend", "filesystem", "--config", "base_dir=second")["mirrored"] == 9
    assert registry.trail() is None


def test_the_text_form_says_how_many(registry):
    _, text = run("push")
    assert text.splitlines() == ["Rows: 9", "9 mirrored, 0 unchanged, 0 removed."]
