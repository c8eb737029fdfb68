"""tenant creates and lists tenants."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from routing.models import RouteChange, Tenant
from storage.registry import KINDS
from tests.conftest import filesystem_routes

pytestmark = pytest.mark.django_db


def _run(*arguments: str) -> str:
    out = StringIO()
    call_command("tenant", *arguments, stdout=out)
    return out.getvalue().strip()


def test_a_created_tenant_is_there_and_in_the_trail():
    assert _run("create", "initech", "--mode", "saas", "--name", "Initech") == "Tenant initech is created in mode saas."
    assert Tenant.objects.get(pk="initech").mode == "saas"
    assert RouteChange.objects.latest("id").actor == "command:tenant"


def test_the_list_shows_every_tenant_with_its_mode_and_routes(acme, globex):
    filesystem_routes(acme)
    listed = {row["tenant_id"]: row for row in json.loads(_run("list", "--format", "json"))}
    assert listed["acme"] == {"tenant_id": "acme", "name": "Acme", "mode": "lab", "routes": len(KINDS)}
    assert listed["globex"]["routes"] == 0
    assert _run("list").splitlines()[0].split("\t") == ["acme", "lab", str(len(KINDS)), "Acme"]


@pytest.mark.parametrize(("tenant_id", "said"), [("acme", "exists already"), ("a b", "not valid")])
def test_a_tenant_that_cannot_be_is_refused_without_a_trace(acme, tenant_id, said):
    with pytest.raises(CommandError, match=said):
        _run("create", tenant_id, "--mode", "lab")
    assert Tenant.objects.count() == 1
