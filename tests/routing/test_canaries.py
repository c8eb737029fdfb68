"""Forty secrets and more, planted wherever somebody may type one: none turns up in anything that leaves the control plane."""

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from northstar import logs
from routing.changes import create_route
from routing.models import OutboxEntry, Route, RouteChange, StrategyLock
from routing.operations.health import probe_and_record
from routing.operations.relay import relay_outbox
from routing.operations.usage import flush_usage
from storage.config import reveal
from storage.errors import BackendRejected
from storage.registry import BACKENDS, CLOUD, DOCUMENTS, KINDS, Backend, load
from tests.conftest import Api, filesystem_routes, token
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import VaultConfig, VaultDocuments

GOOD = {
    "cosmos": {"endpoint": "https://acme.documents.azure.com", "database": "d", "container": "c"},
    "dynamodb": {"region": "eu-west-1"},
    "firestore": {"project": "acme-prod"},
    "vault": {"place": "here"},
}
"""What a config needs beside its secrets, where it is known; for the others the refusal is what is looked at."""


class LeakyDocuments(VaultDocuments):
    """A driver whose service repeats the password in everything that it says."""

    def __init__(self, config: VaultConfig, *, mode: str, epoch: int) -> None:
        super().__init__(config, mode=mode, epoch=epoch)
        self._password = reveal(config.password) if config.password else ""

    def __getattr__(self, name: str) -> Any:
        def refuse(*_args: Any, **_options: Any) -> None:
            raise BackendRejected(f"login as {self._password} refused", fix=f"Is {self._password} right?")

        return refuse


LEAKY = Backend("Leaky", CLOUD, {DOCUMENTS: "tests.routing.test_canaries.LeakyDocuments"})


@dataclass
class Yard:
    """The canaries, and everything that was heard."""

    canaries: list[str] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)

    def canary(self) -> str:
        self.canaries.append(f"cnry{len(self.canaries):02d}x7f3a")
        return self.canaries[-1]

    def hear(self, where: str, what: object) -> None:
        self.heard.append((where, str(what)))

    def answer(self, where: str, response: Any) -> Any:
        self.hear(where, f"{dict(response.items())} {response.content.decode(errors='replace')}")
        return response

    def hits(self) -> list[tuple[str, str]]:
        return [(canary, where) for where, what in self.heard for canary in self.canaries if canary in what]


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What a server would have logged, down to debug, in the form of production."""
    logs.configure(readable=False)
    root, lines = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(lines), root.level
    handler.setFormatter(root.handlers[-1].formatter)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)
    logs.configure(readable=True)


@pytest.fixture
def boss(db) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("alice", password="x"))
    return client


def secret_fields() -> list[tuple[str, str]]:
    """Every secret field of every document backend that has a driver."""
    paths = {name: backend.serves.get(DOCUMENTS) for name, backend in BACKENDS.items()}
    return [(name, one) for name, path in paths.items() if path for one in sorted(load(path).Config.secret_fields())]


def form(backend: str, **typed: Any) -> dict[str, Any]:
    return {f"config-{backend}-documents-{name}": value for name, value in typed.items()}


def plant_in_configs(yard: Yard, api: Api, boss: Client, route: Route) -> None:
    """Each secret field in every way that a config comes in, right and wrong."""
    for number, (backend, name) in enumerate(secret_fields()):
        good, env = GOOD.get(backend, {}), f"e{number}"
        body = {"resource_kind": "tabular_store", "env": env, "backend_type": backend, "switch_rationale": "x"}

        def config(**more: Any) -> dict[str, Any]:
            return {**good, name: yard.canary(), **more}  # noqa: B023 - called at once

        yard.answer("create", api.post("routing/routes", {**body, "config": config()}))
        yard.answer("refused", api.post("routing/routes", {**body, "config": config(nonsense=1, pool="many")}))
        nested = {**good, name: {"value": yard.canary(), "list": [yard.canary()]}}
        yard.answer("nested", api.post("routing/routes", {**body, "config": nested}))
        yard.answer(
            "reference", api.post("routing/routes", {**body, "config": {**good, name: {"$secret": yard.canary()}}})
        )
        target = {"backend_type": backend, "config": config(), "switch_rationale": "x", "dry_run": True}
        yard.answer("dry run", api.post(f"routing/routes/{route.pk}/switch", target))
        key = {"resource_kind": "tabular_store", "tenant": "acme", "env": f"f{number}", "backend_type": backend}
        typed = form(backend, **{**good, name: yard.canary()})
        yard.answer("form", boss.post("/admin/routing/route/add/", {**key, **typed, "tier": "x" * 99}))
        switch = {"backend_type": backend, **typed, "rationale": "x", "seen_revision": str(route.revision)}
        yard.answer("switch page", boss.post(f"/admin/routing/route/{route.pk}/switch/", switch))


def plant_in_endpoints_and_headers(yard: Yard, api: Api, boss: Client) -> None:
    for endpoint in ("http://user:{}@127.0.0.1:9", "http://192.0.2.1/?sig={}"):
        config = {"region": "eu-west-1", "endpoint": endpoint.format(yard.canary())}
        body = {"resource_kind": "tabular_store", "env": "n1", "backend_type": "dynamodb", "config": config}
        yard.answer("endpoint", api.post("routing/routes", body))
        yard.answer("endpoint form", boss.post("/admin/routing/route/add/", form("dynamodb", **config)))
    headers = {"Authorization": f"Bearer ns_abcdefghijkl_{yard.canary()}", "Cookie": f"sessionid={yard.canary()}"}
    for path in ("context", "routing/routes", "storage/tables/t/records/k"):
        yard.answer("wrong key", api.get(path, headers=headers))
    yard.answer("login", Client().post("/admin/login/", {"username": "alice", "password": yard.canary()}))


def plant_in_services(yard: Yard, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services that repeat the secret, given in clear and by reference; and a rotated, a removed and a rolled back one."""
    monkeypatch.setenv("NORTHSTAR_SECRET_LEAKY", yard.canary())
    for env, password in (("s1", yard.canary()), ("s2", {"$secret": "env:NORTHSTAR_SECRET_LEAKY"})):
        leaky = create_route(draft(env=env, backend_type="leaky", config={"place": "x", "password": password}), CAUSE)
        headers = {"X-Env": env}
        yard.answer("read", api.get("storage/tables/t/records/k", headers=headers))
        yard.answer("write", api.put("storage/tables/t/records/k", {"data": {"a": 1}}, headers=headers))
        yard.answer("probe", api.post(f"routing/routes/{leaky.pk}/probe"))
        yard.hear("report", probe_and_record(leaky.pk))
    route = create_route(draft(env="s3", config={"place": "x", "password": yard.canary()}), CAUSE)
    path = f"routing/routes/{route.pk}"
    yard.answer("rotated", api.patch(path, {"config": {"place": "x", "password": yard.canary()}}))
    yard.answer("moved", api.patch(path, {"config": {"place": "y", "password": None}, "switch_rationale": "x"}))
    yard.answer(
        "back",
        api.post(f"{path}/rollback", {"revision": 1, "secrets": {"password": yard.canary()}, "switch_rationale": "x"}),
    )
    yard.answer("wrong back", api.post(f"{path}/rollback", {"revision": 1, "secrets": {"word": yard.canary()}}))


def hear_the_api(yard: Yard, api: Api) -> None:
    for path in (
        "routes",
        "kinds",
        "audit",
        "audit/verify",
        "diagnostics",
        "locks",
        "view",
        "explain?resource_kind=tabular_store",
    ):
        separator = "&" if "?" in path else "?"
        limit = "" if path.startswith(("kinds", "audit/", "explain")) else f"{separator}limit=1000"
        yard.answer(path, api.get(f"routing/{path}{limit}"))
    for route in Route.objects.all():
        yard.answer("route", api.get(f"routing/routes/{route.pk}"))
        yard.answer("history", api.get(f"routing/routes/{route.pk}/history"))


def hear_the_pages(yard: Yard, boss: Client) -> None:
    lists = ("route", "strategylock", "tenant", "apikey", "surfacealias", "routechange", "outboxentry")
    paths = ["", "jump/?q=acme", *(f"routing/{name}/" for name in lists)]
    for route in Route.objects.all():
        paths += [f"routing/route/{route.pk}/{name}/" for name in ("change", "switch", "history", "lock", "delete")]
        paths += [f"routing/route/{route.pk}/rollback/1/"] if route.revision > 1 else []
    for model in (RouteChange, OutboxEntry, StrategyLock):
        paths += [f"routing/{model._meta.model_name}/{pk}/change/" for pk in model.objects.values_list("pk", flat=True)]
    for path in paths:
        yard.answer(path, boss.get(f"/admin/{path}"))


def hear_what_is_kept(yard: Yard, home: Path) -> None:
    """Every row of every table, every file of the streams and the registry, every export."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            yard.hear(f"table {table}", cursor.fetchall())
    for path in home.rglob("*"):
        if path.is_file():
            yard.hear(f"file {path.name}", path.read_bytes().decode(errors="replace"))
    for command in (("routes", "export"), ("dumpdata", "routing", "sessions"), ("routes", "check"), ("doctor",)):
        said = io.StringIO()
        try:
            call_command(*command, stdout=said, stderr=said)
        except (CommandError, SystemExit) as refusal:
            yard.hear("refusal", refusal)
        yard.hear(" ".join(command), said.getvalue())


@pytest.fixture
def planted(yard: Yard, acme, system, boss: Client, monkeypatch: pytest.MonkeyPatch) -> tuple[Api, Api]:
    """The clients of acme and of an operator, after every canary was planted."""
    monkeypatch.setitem(BACKENDS, "leaky", LEAKY)
    filesystem_routes(system)
    route = create_route(draft(backend_type="filesystem", config={}), CAUSE)
    create_route(draft(kind="event_stream", backend_type="filesystem", config={}), CAUSE)
    api, operator = Api(token(acme)), Api(token(system, ["act:tenants", "audit:read", "routes:read"]))

    plant_in_configs(yard, api, boss, route)
    plant_in_endpoints_and_headers(yard, api, boss)
    plant_in_services(yard, api, monkeypatch)
    assert len(yard.canaries) >= 40
    flush_usage()
    yard.hear("relay", relay_outbox())
    return api, operator


def test_no_canary_leaves_the_control_plane(log_lines, yard, planted, boss, lab):
    for caller in planted:
        hear_the_api(yard, caller)
    hear_the_pages(yard, boss)
    hear_what_is_kept(yard, lab)
    yard.hear("log", log_lines.getvalue())
    assert yard.hits() == []
    assert {kind for where, kind in kinds_told(yard)} >= {"tabular_store"}


def kinds_told(yard: Yard) -> list[tuple[str, str]]:
    """That something was said at all: a page that stays empty hides every secret."""
    return [(where, kind) for where, what in yard.heard for kind in KINDS if kind in what]
