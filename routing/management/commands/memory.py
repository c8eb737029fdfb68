"""Export or erase everything that memory stores keep of a user; sweep what expired sessions have left."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from northstar.console import BAD, GOOD, Out, refused
from northstar.context import RequestContext
from northstar.errors import NorthstarError
from routing.models import Tenant
from routing.operations.memory import MemorySweep, erase_memory, export_memory, manifest_answer, sweep_memory

ACTOR: Final = "command:memory"


class Command(BaseCommand):
    help = "Export or erase everything that memory stores keep of a user; sweep what expired sessions have left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        export = actions.add_parser("export", help="Write everything of a user as JSON lines with hashes.")
        export.add_argument("--output", type=Path, help="A new file for the lines. Default: standard output.")
        erase = actions.add_parser("erase", help="Erase everything of a user, and print the manifest. Asks for --yes.")
        erase.add_argument("--yes", action="store_true", help="Really erase: there is no way back.")
        for action in (export, erase):
            action.add_argument("--tenant", required=True)
            action.add_argument("--user", required=True)
            action.add_argument("--env", default="dev")
        sweep = actions.add_parser(
            "sweep", help="Remove what expired sessions have left. Exit code 1 if a route fails."
        )
        sweep.add_argument("--dry-run", action="store_true", help="Only count what would be removed.")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except NorthstarError as error:
            raise refused(error) from None

    def _export(self, options: dict[str, Any]) -> None:
        lines = export_memory(_context(options), options["user"])
        if options["output"] is None:
            for line in lines:
                self.stdout.write(line.decode(), ending="")
            return
        try:
            with options["output"].open("xb") as file:
                file.writelines(lines)
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None

    def _erase(self, options: dict[str, Any]) -> None:
        if not options["yes"]:
            raise CommandError(f"This erases everything of {options['user']}, for good. Say --yes to do it.")
        manifest = erase_memory(_context(options), options["user"])
        self.stdout.write(json.dumps(manifest_answer(manifest), indent=2))
        if not manifest.complete:
            sys.exit(1)

    def _sweep(self, options: dict[str, Any]) -> None:
        out, failed = Out(self.stdout), False
        for one in sweep_memory(dry_run=options["dry_run"]):
            failed = failed or one.error is not None
            out.line(_told(one, dry_run=options["dry_run"]), BAD if one.error else GOOD)
        if failed:
            sys.exit(1)


def _context(options: dict[str, Any]) -> RequestContext:
    tenant = Tenant.objects.filter(pk=options["tenant"]).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {options['tenant']}. `manage.py tenant list` shows them.")
    return RequestContext(tenant.tenant_id, options["env"], tenant.effective_mode, actor=ACTOR)


def _told(one: MemorySweep, *, dry_run: bool) -> str:
    where = f"Route {one.route.id} ({one.route.tenant_id}/{one.route.env} on {one.route.backend_type})"
    if one.error:
        return f"{where}: {one.error.code}: {one.error.told()}"
    return f"{where}: what {one.sessions} ended sessions left {'would be' if dry_run else 'was'} removed."
