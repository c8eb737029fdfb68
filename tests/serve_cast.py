"""Run as a process: makes the cast in a home, prints its keys, then, given a port, serves it with the real `serve` command.

It ends when its standard input does, so that no server outlives a test run, however that was killed.
"""

import json
import os
import sys

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "northstar.settings.lab"
django.setup()

from northstar.modes import LAB, SYSTEM_TENANT, T_SYSTEM  # noqa: E402
from routing.changes import Cause, RouteDraft, create_route, create_tenant  # noqa: E402
from routing.keys import ACT_FOR_TENANTS, SCOPES, issue_key  # noqa: E402
from routing.models import Tenant  # noqa: E402
from storage.registry import KINDS  # noqa: E402

CAUSE = Cause("command:test")
CAST = {"acme": LAB, "globex": LAB, SYSTEM_TENANT: T_SYSTEM}


def main(port: str = "") -> None:
    call_command("migrate", verbosity=0)
    tokens = {tenant_id: _member(tenant_id, mode) for tenant_id, mode in CAST.items()}
    print(json.dumps(tokens), flush=True)
    if port:
        call_command("serve", "--port", port, "--stop-at-eof")


def _member(tenant_id: str, mode: str) -> str:
    """Make a tenant with a route for every kind, unless an earlier run in this home has, and return a new key of it."""
    if not Tenant.objects.filter(pk=tenant_id).exists():
        create_tenant(tenant_id, tenant_id.title(), mode, CAUSE)
        for kind in KINDS:
            create_route(RouteDraft(resource_kind=kind, tenant_id=tenant_id, backend_type="filesystem"), CAUSE)
    scopes = SCOPES if tenant_id == SYSTEM_TENANT else [scope for scope in SCOPES if scope != ACT_FOR_TENANTS]
    return issue_key(tenant_id, "test", scopes, cause=CAUSE)[1]


if __name__ == "__main__":
    main(*sys.argv[1:])
