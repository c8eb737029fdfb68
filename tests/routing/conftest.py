"""What the control plane's tests add to the cast: initech, which pays for its data, and backends that keep nothing."""

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from northstar.context import RequestContext
from routing import triggers
from routing.changes import Cause, RouteDraft, create_tenant
from routing.models import Tenant
from storage.registry import BACKENDS
from tests.routing.vault import BANK, VAULT, WEAK

CAUSE = Cause(actor="user:alice", request_id="req-1")


@pytest.fixture(autouse=True)
def keys(settings, lab) -> None:
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k1": b"1" * 32}


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "bank", BANK)
    monkeypatch.setitem(BACKENDS, "vault", VAULT)
    monkeypatch.setitem(BACKENDS, "weak", WEAK)


@pytest.fixture
def initech(db) -> Tenant:
    return create_tenant("initech", "Initech", "saas", CAUSE)


def _editor(cursor) -> SimpleNamespace:
    """Enough of a schema editor to switch the triggers of the audit trail."""
    return SimpleNamespace(connection=connection, execute=cursor.execute)


@pytest.fixture
def _restored(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Put back what emptying the tables took away: the triggers, and the rows that the migrations made."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        triggers.install(_editor(cursor))
        import_module("routing.migrations.0002_append_only_and_seeds").seed(apps, None)


@pytest.fixture
def committed(_restored, transactional_db) -> Iterator[None]:
    """A database in which changes are committed, so that other threads see them. Use it instead of `db`."""
    yield
    with connection.cursor() as cursor:
        triggers.remove(_editor(cursor))  # else the tables cannot be emptied


def draft(tenant: str = "acme", kind: str = "tabular_store", **changes) -> RouteDraft:
    values = {"backend_type": "vault", "config": {"place": "here"}, **changes}
    return RouteDraft(resource_kind=kind, tenant_id=tenant, **values)


def context(tenant: str = "acme", env: str = "dev", mode: str = "lab", project: str | None = None) -> RequestContext:
    return RequestContext(tenant_id=tenant, env=env, mode=mode, project_id=project)
