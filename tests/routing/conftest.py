"""The cast of the control plane's tests: acme owns things, globex must never see them, initech pays for its data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from northstar.context import RequestContext
from routing.changes import Cause, RouteDraft, create_tenant
from routing.models import Tenant
from routing.resolve import invalidate
from storage.registry import BACKENDS
from tests.routing.vault import BANK, VAULT, WEAK

CAUSE = Cause(actor="user:alice", request_id="req-1")


@pytest.fixture(autouse=True)
def fresh_snapshot(settings, tmp_path: Path) -> Iterator[None]:
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 0
    settings.NORTHSTAR_HOME = tmp_path
    settings.NORTHSTAR_ALLOWED_ROOTS = [tmp_path]
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k1": b"1" * 32}
    settings.NORTHSTAR_DEPLOYMENT = "lab"
    invalidate()
    yield
    invalidate()


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "bank", BANK)
    monkeypatch.setitem(BACKENDS, "vault", VAULT)
    monkeypatch.setitem(BACKENDS, "weak", WEAK)


@pytest.fixture
def acme(db) -> Tenant:
    return create_tenant("acme", "Acme", "lab", CAUSE)


@pytest.fixture
def globex(db) -> Tenant:
    return create_tenant("globex", "Globex", "lab", CAUSE)


@pytest.fixture
def initech(db) -> Tenant:
    return create_tenant("initech", "Initech", "saas", CAUSE)


@pytest.fixture
def system(db) -> Tenant:
    return create_tenant("t_system", "System", "t_system", CAUSE)


def draft(tenant: str = "acme", kind: str = "tabular_store", **changes) -> RouteDraft:
    values = {"backend_type": "vault", "config": {"place": "here"}, **changes}
    return RouteDraft(resource_kind=kind, tenant_id=tenant, **values)


def context(tenant: str = "acme", env: str = "dev", mode: str = "lab", project: str | None = None) -> RequestContext:
    return RequestContext(tenant_id=tenant, env=env, mode=mode, project_id=project)
