"""Lay down the shipped attribution contracts; what stands is left alone."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from analytics.contracts.seeding import seed_contracts
from analytics.contracts.seeds import ACTIVE, DRAFTS
from northstar.console import Out, refused
from northstar.context import RequestContext
from northstar.errors import NorthstarError
from northstar.modes import SYSTEM_TENANT
from routing.audit import Cause
from routing.resolve import snapshot

CAUSE: Final = Cause("command:seed_contracts")


class Command(BaseCommand):
    help = (
        "Save the shipped attribution contracts: five platforms active, four as drafts. Without --tenant they are the GLOBAL "
        "ones, which apply to every tenant that has none of its own. A second run changes nothing; a newer version replaces an "
        "older one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default=SYSTEM_TENANT, help="Save them for this tenant alone. Default: GLOBAL.")
        parser.add_argument("--env", default="dev", help="The environment. Default: dev.")
        parser.add_argument(
            "--platform", action="append", choices=[*ACTIVE, *DRAFTS], help="Only this one; may be repeated."
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        tenant = options["tenant"]
        mode = snapshot().modes.get(tenant)
        if mode is None:
            raise CommandError(f"There is no tenant {tenant!a}. `manage.py tenant list` names those that there are.")
        context = RequestContext(tenant, options["env"], mode, actor=CAUSE.actor)
        try:
            found = seed_contracts(context, CAUSE, options["platform"] or ())
        except NorthstarError as error:
            raise refused(error) from None
        rows = [asdict(one) for one in found]
        if options["format"] == "json":
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            columns = ("platform", "version", "status", "outcome")
            Out(self.stdout).table(columns, [[row[column] for column in columns] for row in rows])
