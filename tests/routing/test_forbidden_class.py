"""A tenant that pays is never served by one machine's disk: whichever way somebody tries."""

from typing import Any

import pytest
from django.utils import timezone

from northstar.modes import SYSTEM_TENANT
from routing.changes import create_route
from routing.keys import SCOPES
from routing.models import Route, RouteChange, Tenant
from routing.resolve import invalidate
from tests.conftest import Api, token
from tests.routing.conftest import CAUSE, draft

FILES = {"backend_type": "FileSystem", "config": {}, "switch_rationale": "cheaper"}
KEY = {"resource_kind": "object_store"}
TO_OBJECTS = "storage/objects/k1"


@pytest.fixture(params=["saas", "enterprise", SYSTEM_TENANT])
def paying(request, initech, system, settings) -> Tenant:
    """A tenant in a sellable mode; t_system is in one wherever the deployment is no lab."""
    if request.param == SYSTEM_TENANT:
        settings.NORTHSTAR_DEPLOYMENT = "production"
        return Tenant.objects.get(pk=system.pk)
    Tenant.objects.filter(pk=initech.pk).update(mode=request.param)
    invalidate()
    return Tenant.objects.get(pk=initech.pk)


@pytest.fixture
def api_of(paying) -> Api:
    return Api(token(paying, SCOPES if paying.pk == SYSTEM_TENANT else [s for s in SCOPES if s != "act:tenants"]))


def forge(tenant: Tenant) -> Route:
    """Write a row as a fixture or a hand in the database would, past every check."""
    now = timezone.now()
    route = Route(tenant=tenant, backend_type="filesystem", created_at=now, updated_at=now, **KEY)
    route.save()
    invalidate()
    return route


def refused(answer: Any) -> bool:
    return (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN_BACKEND_CLASS")


def test_no_verb_brings_a_paying_tenant_onto_the_filesystem(paying, api_of):
    route = create_route(draft(paying.pk), CAUSE)
    before, one = Route.objects.values().get(), f"routing/routes/{route.pk}"
    kind = {"resource_kind": "tabular_store"}
    assert refused(api_of.post("routing/routes", {**FILES, **kind}))
    assert refused(api_of.post("routing/routes", {**FILES, **kind, "project_id": "p1"}))
    assert refused(api_of.post("/routing/routes", {**FILES, **kind}))
    assert refused(api_of.patch(one, FILES))
    assert refused(api_of.post(f"{one}/switch", FILES))
    plan = api_of.post(f"{one}/switch", {**FILES, "dry_run": True}).json()
    assert [blocker["error_code"] for blocker in plan["blockers"]] == ["FORBIDDEN_BACKEND_CLASS"]
    assert Route.objects.values().get() == before


def test_a_rollback_into_the_days_as_a_lab_is_refused(acme, system):
    route = create_route(draft(backend_type="filesystem", config={}), CAUSE)
    api = Api(token(acme))
    to_vault = {"backend_type": "vault", "config": {"place": "here"}}
    assert api.post(f"routing/routes/{route.pk}/switch", to_vault).status_code == 200
    Tenant.objects.filter(pk="acme").update(mode="saas")
    invalidate()
    assert refused(api.post(f"routing/routes/{route.pk}/rollback", {"revision": 1, "switch_rationale": "back"}))
    assert Route.objects.get().backend_type == "vault"


def test_a_row_that_was_forged_in_the_database_opens_nothing(paying, api_of, lab):
    forge(paying)
    for answer in (api_of.put(TO_OBJECTS, b"x"), api_of.get(TO_OBJECTS), api_of.get("storage/objects")):
        assert refused(answer)
        assert "object_store" in answer.json()["detail"]
    assert not list(lab.glob("object_store*"))


def test_a_forged_row_cannot_be_changed_into_a_good_one_that_stays_there(paying, api_of):
    route = forge(paying)
    rows = RouteChange.objects.filter(route_id=route.pk).count()
    assert refused(api_of.patch(f"routing/routes/{route.pk}", {"tier": "gold"}))
    assert RouteChange.objects.filter(route_id=route.pk).count() == rows
