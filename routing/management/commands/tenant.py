"""Create and list tenants: every key, route and byte belongs to one."""

import json
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand

from northstar.console import Out, refused
from northstar.errors import NorthstarError
from northstar.modes import MODES
from routing.changes import Cause, create_tenant
from routing.models import Tenant

CAUSE: Final = Cause("command:tenant")


class Command(BaseCommand):
    help = "Create and list tenants."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="Create a tenant.")
        create.add_argument("tenant_id", help="1 to 64 letters, digits, dots, dashes or underscores, such as acme.")
        create.add_argument("--mode", required=True, choices=MODES, help="lab alone may keep data on one machine.")
        create.add_argument("--name", help="What people call it. Default: the id.")
        listing = actions.add_parser("list", help="List the tenants.")
        for action in (create, listing):
            action.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            tenants = [_create(options)] if options["action"] == "create" else list(Tenant.objects.all())
        except NorthstarError as error:
            raise refused(error) from None
        rows = [_public(tenant) for tenant in tenants]
        if options["format"] == "json":
            self.stdout.write(json.dumps(rows if options["action"] == "list" else rows[0], indent=2))
        elif options["action"] == "create":
            self.stdout.write(f"Tenant {rows[0]['tenant_id']} is created in mode {rows[0]['mode']}.")
        else:
            columns = ("tenant_id", "mode", "routes", "name")
            Out(self.stdout).table(columns, [[str(row[column]) for column in columns] for row in rows])


def _create(options: dict[str, Any]) -> Tenant:
    return create_tenant(options["tenant_id"], options["name"] or options["tenant_id"], options["mode"], CAUSE)


def _public(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "mode": tenant.effective_mode,
        "routes": tenant.routes.count(),
    }
