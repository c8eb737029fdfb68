"""The cast of every test: acme owns things, globex must never see them; a lab of its own below tmp_path."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import setup_databases, teardown_databases

from northstar.modes import LAB, SYSTEM_TENANT, T_SYSTEM
from northstar.rendering import dumps
from routing.changes import Cause, RouteDraft, create_route, create_tenant
from routing.keys import ACT_FOR_TENANTS, SCOPES, issue_key
from routing.models import Route, Tenant
from routing.resolve import invalidate
from storage.opening import close_adapters
from storage.registry import KINDS
from storage.reopening import close_earlier
from tests.server import Running, running_server
from tests.stack.postgres import new_database, use_postgres

# Named here because the controlling process of pytest-xdist loads no other conftest.
pytest_plugins = ("tests.contract.ledger", "tests.stack.fixtures")

# A loaded machine is no finding: how long an example takes, or its generation, says nothing here.
hypothesis.settings.register_profile(
    "northstar", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("northstar")

CAUSE = Cause("user:alice", request_id="req-test")
TENANT_SCOPES = tuple(scope for scope in SCOPES if scope != ACT_FOR_TENANTS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="keep the control plane in PostgreSQL instead of SQLite")


@pytest.fixture(autouse=True)
def lab(settings, tmp_path: Path) -> Iterator[Path]:
    """A home for this test alone, and no memory of routes from the test before."""
    settings.NORTHSTAR_HOME = tmp_path
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    settings.NORTHSTAR_SECRETS_DIR = tmp_path / "secrets"
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 0
    invalidate()
    yield tmp_path
    close_adapters()
    close_earlier()
    invalidate()


@pytest.fixture(scope="session")
def django_db_setup(request, django_test_environment, django_db_blocker) -> Iterator[None]:
    """The common database, for any choice of tests: pytest-django makes none where all of them ask through `database`."""
    with django_db_blocker.unblock():
        if request.config.getoption("--postgres"):
            use_postgres(request.getfixturevalue("postgres"))
        made = setup_databases(verbosity=0, interactive=False)
        yield
        teardown_databases(made, verbosity=0)


@contextmanager
def default_database(name: str) -> Iterator[None]:
    """Let Django's connections, of every thread, lead to this database."""
    usual = connection.settings_dict["NAME"]
    connections.close_all()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = usual


@contextmanager
def database_copy(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """Copy the database that is the default now, and give the copy's name for `default_database`; in SQLite it is a file."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(path)])
        yield str(path)
        return
    template, name = connection.settings_dict["NAME"], f"copy-{secrets.token_hex(6)}"
    connections.close_all()
    with new_database(request.getfixturevalue("postgres"), name, template=template):
        yield name


@pytest.fixture
def own_database(request, django_db_setup, django_db_blocker, tmp_path: Path) -> Iterator[None]:
    """A database for this test alone: what it writes is committed, so other threads see it. Use it instead of `db`.

    pytest-django's transactional tests empty the tables at the end, which the audit trail's triggers refuse.
    """
    with (
        django_db_blocker.unblock(),
        database_copy(request, tmp_path / "northstar.sqlite3") as name,
        default_database(name),
    ):
        yield


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """The test's own database where it asks for one, else the common one, in which nothing stays."""
    request.getfixturevalue("own_database" if "own_database" in request.fixturenames else "db")


@pytest.fixture
def acme(database) -> Tenant:
    return create_tenant("acme", "Acme", LAB, CAUSE)


@pytest.fixture
def globex(database) -> Tenant:
    return create_tenant("globex", "Globex", LAB, CAUSE)


@pytest.fixture
def system(database) -> Tenant:
    return create_tenant(SYSTEM_TENANT, "Northstar itself", T_SYSTEM, CAUSE)


def token(tenant: Tenant, scopes: Any = TENANT_SCOPES, **options: Any) -> str:
    """Issue a key with every scope of a tenant, or those named, and return its token."""
    return issue_key(tenant, "test", scopes, cause=CAUSE, **options)[1]


def filesystem_routes(tenant: Tenant, env: str = "dev") -> list[Route]:
    """Give the tenant a filesystem route for every kind."""
    return [
        create_route(RouteDraft(resource_kind=kind, tenant_id=tenant.pk, env=env, backend_type="filesystem"), CAUSE)
        for kind in KINDS
    ]


class Api:
    """A client of one key. Bodies that are no bytes are sent as JSON; headers are named as on the wire."""

    def __init__(self, token: str, **headers: str) -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {token}", **headers}

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "", headers: Any = None) -> Any:
        content: dict[str, Any] = {}
        if isinstance(body, bytes):
            content = {"data": body, "content_type": content_type or "application/octet-stream"}
        elif body is not None:
            content = {"data": body, "content_type": content_type or "application/json"}
        wanted = {name: _as_sent(value) for name, value in {**self._headers, **(headers or {})}.items()}
        if not path.startswith("/"):
            path = f"/api/v1/{path}"
        return self._client.generic(method, path, headers=wanted, **_encoded(content))

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> Any:
        return self.request("HEAD", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.request("DELETE", path, **options)


def _as_sent(value: str) -> str:
    """UTF-8 as curl sends it, in the disguise that WSGI hands it on in."""
    return value.encode().decode("latin-1")


def _encoded(content: dict[str, Any]) -> dict[str, Any]:
    if content and not isinstance(content["data"], bytes):
        return {**content, "data": dumps(content["data"])}
    return content


@pytest.fixture
def api(database) -> Callable[..., Api]:
    """`api(acme)` is a client with a new key of the tenant; `scopes=`, `envs=` and headers may be given."""

    def make(tenant: Tenant, *, scopes: Any = TENANT_SCOPES, envs: Any = (), **headers: str) -> Api:
        return Api(token(tenant, scopes, envs=envs), **headers)

    return make


@pytest.fixture
def acme_api(acme: Tenant) -> Api:
    """A client of acme, whose routes are on the filesystem."""
    filesystem_routes(acme)
    return Api(token(acme))


@pytest.fixture
def globex_api(globex: Tenant) -> Api:
    """A client of globex, whose routes are on the filesystem."""
    filesystem_routes(globex)
    return Api(token(globex))


@pytest.fixture
def operator_api(system: Tenant) -> Api:
    """A client with an operator's key, which may act for any tenant."""
    return Api(token(system, SCOPES))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The real server, with acme and globex in it, for the tests of one module."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running
