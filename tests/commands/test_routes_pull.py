"""routes pull: an emptied database gets everything back, byte for byte, and no rule is passed by on the way."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.core.management import CommandError

from routing.chain import verify_chain
from routing.changes import (
    Cause,
    RouteUpdate,
    create_route,
    create_tenant,
    delete_route,
    lock_env,
    lock_route,
    put_route,
    set_alias,
    update_route,
)
from routing.models import OutboxEntry, Route, RouteChange, SurfaceAlias, Tenant
from routing.operations.mirror import mirror_changes
from routing.operations.registry import open_registry, registry_at
from routing.operations.verification import verify_trail
from routing.resolve import invalidate
from storage.errors import BackendUnavailable
from storage.kinds.routing_registry_store import Entry, RoutingRegistryStore
from storage.registry import BACKENDS
from tests.api.test_every_backend import CONFIGS
from tests.commands.transfers import actions, everything, plan, run
from tests.conftest import CAUSE, database_copy, default_database
from tests.routing.conftest import draft
from tests.routing.vault import CANARY, VAULT

Config = dict[str, Any]


@pytest.fixture(autouse=True)
def surroundings(settings, monkeypatch) -> None:
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k1": b"1" * 32}
    monkeypatch.setitem(BACKENDS, "vault", VAULT)


@pytest.fixture
def wiped(own_database, request, tmp_path: Path) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """`with wiped():` has another database, in which there is nothing but the tables."""
    with database_copy(request, tmp_path / "spare.sqlite3") as name:

        def enter() -> AbstractContextManager[None]:
            invalidate()
            return default_database(name)

        yield enter


@pytest.fixture
def registry_config(backend: str, request: pytest.FixtureRequest, monkeypatch) -> Config:
    """A config for the registry at the backend, with secrets as references."""
    config = CONFIGS[backend](request)
    for name in ("access_key_id", "secret_access_key", "key"):
        if name in config:
            monkeypatch.setenv(f"NORTHSTAR_SECRET_{name.upper()}", config[name])
            config[name] = {"$secret": f"env:NORTHSTAR_SECRET_{name.upper()}"}
    return config


@pytest.fixture
def backend() -> str:
    return "filesystem"


def registry_route(backend: str, config: Config) -> None:
    create_route(draft("t_system", "routing_registry_store", backend_type=backend, config=config), CAUSE)
    run("prepare", "--tenant", "t_system")


def tamper_with(entry: Entry, **values: Any) -> None:
    """Let the registry say something else."""
    open_registry().save(replace(entry, number=entry.number + 100, data={**(entry.data or {}), **values}))


def options(backend: str, config: Config) -> list[str]:
    """The registry's place as the command line says it."""
    told = ["--backend", backend]
    for name, value in config.items():
        told += ["--config", f"{name}={value['$secret'] if isinstance(value, dict) else value}"]
    return told


@pytest.fixture
def deployment(backend, registry_config, wiped, acme, system) -> None:
    """A deployment with a bit of everything, all of it mirrored."""
    registry_route(backend, registry_config)
    create_tenant("initech", "Initech", "saas", CAUSE)
    set_alias("SHOP²", "shop2", CAUSE)
    route = create_route(draft(config={"place": "here", "password": CANARY}, tier="pro"), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "there", "pool": 9}), CAUSE)
    create_route(draft("initech", env="prod", project_id="p1", enabled=False, cost_notes="é"), CAUSE)
    gone = create_route(draft(env="gone"), CAUSE)
    delete_route(gone.pk, CAUSE)
    lock_route(route.pk, reason="audit week", until=None, cause=CAUSE)
    lock_env("initech", "prod", reason="launch", until=None, cause=CAUSE)
    mirror_changes()


@pytest.mark.parametrize("backend", CONFIGS)
def test_an_emptied_database_gets_everything_back_byte_for_byte(deployment, backend, registry_config, wiped):
    before = everything()
    with wiped():
        assert Route.objects.count() == 0
        document = plan("pull", *options(backend, registry_config))
        assert document["counts"]["refused"] == 0
        assert everything() == before
        assert verify_chain().ok
        assert plan("pull")["counts"]["create"] == 0


def test_secrets_open_again_after_a_pull_and_show_up_nowhere(deployment, wiped):
    with wiped():
        _, text = run("pull", "--backend", "filesystem")
        assert CANARY not in text
        route = Route.objects.get(tenant="acme", resource_kind="tabular_store")
        assert put_route(draft(config={"place": "there", "pool": 9, "password": CANARY}, tier="pro"), CAUSE)[0] == route
        assert Route.objects.get(pk=route.pk).revision == 2


def test_the_trail_goes_on_after_the_lost_one_and_every_change_is_audited_and_announced(deployment, wiped):
    lost = RouteChange.objects.count()
    with wiped():
        run("pull", "--backend", "filesystem")
        rows = list(RouteChange.objects.order_by("id"))
        assert (rows[0].action, rows[0].pk, rows[0].actor) == ("TRAIL_RESUMED", lost + 1, "command:routes pull")
        assert {row.action for row in rows[1:]} == {"TENANT_CREATED", "ALIAS_SET", "ROUTE_CREATED", "ROUTE_LOCKED"}
        assert OutboxEntry.objects.filter(payload__action="ROUTE_CREATED", stream_id="routing").count() == 3
        mirror_changes()
        status = verify_trail()
        assert (status.ok, status.anchored) == (True, rows[-1].pk)


def test_a_dry_run_says_the_same_and_writes_nothing(deployment, wiped):
    with wiped():
        trail = registry_at("filesystem", {}).trail()
        dry = plan("pull", "--backend", "filesystem", "--dry-run")
        assert (Route.objects.count(), Tenant.objects.count(), RouteChange.objects.count()) == (0, 0, 0)
        assert registry_at("filesystem", {}).trail() == trail
        assert actions(plan("pull", "--backend", "filesystem")) == actions(dry)


def test_another_key_ring_refuses_what_it_cannot_open_names_the_key_and_brings_the_rest(deployment, wiped, settings):
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32}
    with wiped():
        document = plan("pull", "--backend", "filesystem")
        step, lock = [step for step in document["steps"] if step["action"] == "refused"]
        assert (step["name"], lock["what"]) == ("tabular_store in acme/dev", "lock")
        assert "sealed with key 'k1'" in step["detail"]
        assert "NORTHSTAR_ENCRYPTION_KEYS" in step["fix"]
        assert Route.objects.count() == 2
        settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}
        counts = plan("pull")["counts"]
        assert (counts["create"], counts["refused"]) == (2, 0)


def test_the_filesystem_is_refused_to_a_tenant_that_pays(deployment, wiped):
    create_route(draft("acme", "object_store", backend_type="filesystem", config={}), CAUSE)
    mirror_changes()
    registry = open_registry()
    (acme,) = [entry for entry in registry.load_all("tenants") if entry.name == "acme"]
    tamper_with(acme, mode="saas")
    with wiped():
        steps = {step["name"]: step for step in plan("pull", "--backend", "filesystem")["steps"]}
        assert steps["object_store in acme/dev"]["error_code"] == "FORBIDDEN_BACKEND_CLASS"
        assert not Route.objects.filter(resource_kind="object_store").exists()


def test_a_lock_here_keeps_a_pull_from_moving_data_unless_it_is_overridden(deployment, wiped):
    with wiped():
        create_tenant("acme", "Acme", "lab", CAUSE)
        lock_env("acme", "dev", reason="do not touch", until=None, cause=CAUSE)
        steps = {step["name"]: step for step in plan("pull", "--backend", "filesystem")["steps"]}
        assert steps["tabular_store in acme/dev"]["error_code"] == "STRATEGY_LOCKED"
        with pytest.raises(CommandError, match="needs --rationale"):
            run("pull", "--override-locks")
        assert plan("pull", "--override-locks", "--rationale", "recovery")["counts"]["create"] == 2


def test_what_only_this_database_has_stays_and_is_mirrored(deployment, wiped):
    with wiped():
        create_tenant("globex", "Globex", "lab", CAUSE)
        create_route(draft("globex"), CAUSE)
        run("pull", "--backend", "filesystem")
        assert Route.objects.filter(tenant="globex").exists()
        assert "tabular_store#globex#dev" in {entry.name for entry in open_registry().load_all()}


def test_a_pull_that_broke_off_is_finished_by_the_next_as_if_it_had_not(deployment, wiped, monkeypatch):
    with wiped():
        create_tenant("acme", "Another name", "lab", CAUSE)
        create_tenant("globex", "Globex", "lab", CAUSE)
        create_route(draft("globex"), CAUSE)
        for tier in range(30):  # as many rows as the lost trail had, and more
            put_route(draft(config={"place": "elsewhere"}, tier=str(tier)), CAUSE)
        with monkeypatch.context() as patch:
            patch.setattr(RoutingRegistryStore, "load_all", away)
            with pytest.raises(CommandError, match="is away"):
                run("pull", "--backend", "filesystem")
        assert plan("pull", "--backend", "filesystem")["counts"]["refused"] == 0
        assert Route.objects.get(tenant="acme", resource_kind="tabular_store").config["place"] == "there"
        assert Tenant.objects.get(pk="acme").name == "Acme"
        assert "tabular_store#globex#dev" in {entry.name for entry in open_registry().load_all()}
        assert actions(plan("pull")).keys() >= {"tabular_store in globex/dev"}
        update_route(Route.objects.get(tenant="globex").pk, RouteUpdate(tier="newer"), CAUSE)
        assert set(actions(plan("pull")).values()) == {"unchanged"}
        assert Route.objects.get(tenant="globex").tier == "newer"


def away(*_arguments: Any) -> NoReturn:
    raise BackendUnavailable("The registry is away.")


def test_a_pull_into_the_database_that_is_mirrored_changes_nothing(deployment):
    before, rows = everything(), RouteChange.objects.count()
    assert plan("pull")["counts"]["unchanged"] == 8 + 1
    assert (everything(), RouteChange.objects.count()) == (before, rows)


def test_a_registry_that_lags_never_brings_an_older_state_back(deployment):
    route = Route.objects.get(env="prod")
    cause = Cause("user:alice", rationale="because", may_override=True)
    update_route(route.pk, RouteUpdate(tier="newer"), cause)
    delete_route(Route.objects.get(env="dev", tenant="acme").pk, cause)
    assert set(actions(plan("pull")).values()) == {"unchanged"}
    assert Route.objects.get(pk=route.pk).tier == "newer"


def test_what_was_changed_behind_the_trails_back_is_put_right(deployment):
    Route.objects.filter(env="prod").update(backend_type="floppy")
    Route.objects.filter(tenant="acme").delete()
    SurfaceAlias.objects.filter(alias="SHOP²").delete()
    invalidate()
    cause = ("--override-locks", "--rationale", "it was tampered with")
    done = actions(plan("pull", *cause))
    assert done["tabular_store in acme/dev"] == "create"
    assert done["tabular_store in initech/prod/p1"] == "switch"
    assert done["SHOP²"] == "create"


def test_an_entry_that_was_damaged_is_refused_and_named(deployment, wiped):
    registry = open_registry()
    (route,) = [entry for entry in registry.load_all() if entry.name == "tabular_store#acme#dev"]
    tamper_with(route, revision="seven")
    with wiped():
        document = plan("pull", "--backend", "filesystem")
        (step,) = [step for step in document["steps"] if step["action"] == "refused"]
        assert "tabular_store#acme#dev" in step["detail"]
        assert "revision" in step["detail"]


def test_an_empty_database_is_told_to_say_where_the_registry_is(wiped):
    with pytest.raises(CommandError, match="--backend"):
        run("pull")


def test_a_place_without_a_registry_is_refused(wiped):
    with pytest.raises(CommandError, match="is empty"):
        run("pull", "--backend", "filesystem")


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(wiped):
    with pytest.raises(CommandError, match="others see it") as refused:
        run("pull", "--backend", "cosmos", "--config", f"key={CANARY}", "--config", "endpoint=https://x.example")
    assert CANARY not in str(refused.value)


def test_the_plan_is_readable_line_by_line(deployment, wiped):
    with wiped():
        _, text = run("pull", "--backend", "filesystem", "--dry-run")
    lines = text.splitlines()
    assert lines[0] == "Routing registry"
    assert "create    route tabular_store in acme/dev on vault" in lines
    assert lines[-1].endswith("0 refused. Nothing was written: this was a dry run.")


def test_a_whole_lab_comes_back_through_the_real_commands(manage, tmp_path):
    """quickstart, wipe the database, migrate, pull, as docs/recovery.md says."""
    manage("quickstart")
    dump = ("export", "--tenant", "t_demo")
    before = manage("routes", *dump).stdout
    for file in (tmp_path / "home").glob("northstar.sqlite3*"):
        file.unlink()
    manage("migrate")
    assert manage("routes", "pull").returncode == 1
    pulled = manage("routes", "pull", "--backend", "filesystem")
    assert pulled.returncode == 0, pulled.stderr
    assert manage("routes", *dump).stdout == before
    assert manage("audit", "verify").returncode == 0
