"""Tenants and surface aliases, and what may be done with them."""

import pytest

from northstar.errors import AlreadyExists, Forbidden, ForbiddenBackendClass, InvalidRequest, NotFound
from routing.changes import create_route, create_tenant, delete_alias, set_alias, update_tenant
from routing.models import Route, RouteChange, SurfaceAlias, Tenant
from routing.resolve import invalidate, snapshot
from tests.routing.conftest import CAUSE, draft


def test_creating_a_tenant_is_audited(acme):
    change = RouteChange.objects.get()
    assert (change.action, change.subject, change.tenant_id) == ("TENANT_CREATED", "tenant:acme", "acme")
    assert change.after == {"tenant_id": "acme", "name": "Acme", "mode": "lab"}


def test_a_tenant_is_created_once(acme):
    with pytest.raises(AlreadyExists):
        create_tenant("acme", "Another", "lab", CAUSE)


@pytest.mark.parametrize(
    ("tenant_id", "mode", "field"),
    [
        ("", "lab", "tenant_id"),
        ("../x", "lab", "tenant_id"),
        ("a#b", "lab", "tenant_id"),
        ("a" * 65, "lab", "tenant_id"),
        ("acme\n", "lab", "tenant_id"),
        ("acme", "free", "mode"),
        ("acme", "t_system", "mode"),
        ("t_system", "lab", "mode"),
    ],
)
def test_a_tenant_with_a_bad_id_or_mode_is_refused(db, tenant_id, mode, field):
    with pytest.raises(InvalidRequest) as refused:
        create_tenant(tenant_id, "X", mode, CAUSE)
    assert [error.field for error in refused.value.errors] == [field]


def test_a_rename_is_audited_and_the_same_name_again_is_not(acme):
    update_tenant("acme", CAUSE, name="ACME Inc.")
    update_tenant("acme", CAUSE, name="ACME Inc.")
    assert [row.action for row in RouteChange.objects.all()] == ["TENANT_UPDATED", "TENANT_CREATED"]


def test_the_mode_changes_in_a_lab_deployment_only(acme, settings):
    assert update_tenant("acme", CAUSE, mode="saas").mode == "saas"
    assert snapshot().modes["acme"] == "saas"
    settings.NORTHSTAR_DEPLOYMENT = "production"
    with pytest.raises(Forbidden):
        update_tenant("acme", CAUSE, mode="lab")
    assert Tenant.objects.get().mode == "saas"


def test_a_tenant_with_a_filesystem_route_cannot_become_sellable(acme):
    route = create_route(draft(), CAUSE)
    Route.objects.filter(pk=route.pk).update(backend_type="filesystem")
    with pytest.raises(ForbiddenBackendClass):
        update_tenant("acme", CAUSE, mode="enterprise")


def test_an_unknown_tenant_cannot_be_updated(db):
    with pytest.raises(NotFound):
        update_tenant("nobody", CAUSE, name="x")


def test_an_alias_is_set_moved_and_deleted_with_an_audit_entry_each(db):
    set_alias("Ω", "omega", CAUSE)
    set_alias("Ω", "omega", CAUSE)
    set_alias("Ω", "last", CAUSE)
    assert snapshot().aliases["Ω"] == "last"
    delete_alias("Ω", CAUSE)
    invalidate()
    assert "Ω" not in snapshot().aliases
    assert [row.action for row in RouteChange.objects.all()] == ["ALIAS_DELETED", "ALIAS_SET", "ALIAS_SET"]
    with pytest.raises(NotFound):
        delete_alias("Ω", CAUSE)


@pytest.mark.parametrize(
    ("alias", "canonical"),
    [("x", "UPPER"), ("x", ""), ("", "x"), ("x", "a/b"), ("x\n", "x"), ("x" * 129, "x"), ("x", "squared")],
)
def test_an_alias_to_what_is_not_canonical_is_refused(db, alias, canonical):
    before = SurfaceAlias.objects.count()
    with pytest.raises(InvalidRequest):
        set_alias(alias, canonical, CAUSE)
    assert SurfaceAlias.objects.count() == before


def test_what_aliases_lead_to_cannot_lead_elsewhere(db):
    with pytest.raises(InvalidRequest, match="not valid"):
        set_alias("squared2", "cubed", CAUSE)
