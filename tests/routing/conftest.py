"""What the control plane's tests add to the cast: initech, which pays for its data, and backends that keep nothing."""

import pytest

from northstar.context import RequestContext
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


def draft(tenant: str = "acme", kind: str = "tabular_store", **changes) -> RouteDraft:
    values = {"backend_type": "vault", "config": {"place": "here"}, **changes}
    return RouteDraft(resource_kind=kind, tenant_id=tenant, **values)


def context(tenant: str = "acme", env: str = "dev", mode: str = "lab", project: str | None = None) -> RequestContext:
    return RequestContext(tenant_id=tenant, env=env, mode=mode, project_id=project)
