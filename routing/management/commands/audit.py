"""The audit trail: does it hold, against itself and against its anchors outside of the database?"""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from northstar.console import BAD, GOOD, Out
from routing import audit
from routing.operations.verification import verify_trail


class Command(BaseCommand):
    help = "Verify the audit trail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verify = actions.add_parser(
            "verify",
            help="Read every row and compare it with the row before, and with the anchors in the routing registry and the stream "
            "`routing`. Exit code 1 when anything does not fit.",
        )
        verify.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        as_json = options["format"] == "json"
        out = Out(self.stderr if as_json else self.stdout)
        with out.progress("Audit rows", audit.current().audit_rows) as watch:
            status = verify_trail(watch)
        if as_json:
            self.stdout.write(json.dumps(asdict(status), indent=2))
        else:
            where = f" First at row {status.first_broken}." if status.first_broken else ""
            out.line(f"{'Intact' if status.ok else 'BROKEN'}: {status.reason}{where}", GOOD if status.ok else BAD)
        if not status.ok:
            sys.exit(1)
