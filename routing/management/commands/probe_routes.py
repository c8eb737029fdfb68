"""Probe routes from the command line, or from cron where no server does it (NORTHSTAR_PROBE_SECONDS=0)."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from northstar.console import BAD, GOOD, Out
from routing.api.probes import probe_summary
from routing.operations.health import Probed, probe_due_routes


class Command(BaseCommand):
    help = (
        "Write, read, list and delete in a scratch place of each enabled route that is due. Exit code 1 when one fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="Every enabled route, whenever it was probed last.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        probed = probe_due_routes(everything=options["all"])
        good = all(one.report.ok for one in probed)
        if options["format"] == "json":
            routes = [{"route_id": one.route.pk, **probe_summary(one.report)} for one in probed]
            self.stdout.write(json.dumps({"ok": good, "routes": routes}, indent=2))
        else:
            _print_text(Out(self.stdout), probed)
        if not good:
            sys.exit(1)


def _print_text(out: Out, probed: list[Probed]) -> None:
    if not probed:
        out.line("No route is due.")
        return
    styles = [GOOD if one.report.ok else BAD for one in probed]
    columns = ("", "Route", "Kind", "Where", "Backend", "Milliseconds", "Problem", "Fix")
    out.table(columns, [_row(one) for one in probed], styles)


def _row(one: Probed) -> tuple[str, ...]:
    route, report = one.route, one.report
    place = "/".join(part for part in (route.tenant_id, route.env, route.project_id) if part)
    steps = " ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in report.steps)
    facts = (report.error_code or "ok", f"{route.pk}", route.resource_kind, place, route.backend_type)
    return (*facts, steps, report.error, report.fix)
