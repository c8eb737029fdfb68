"""Remove uploads that nobody registered and parts of writes that died, behind every object route."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from northstar.console import BAD, GOOD, Out
from northstar.durations import read_duration
from routing.operations.sweeping import OLDER_THAN, RouteSweep, sweep_routes


class Command(BaseCommand):
    help = (
        "Remove uploads that nobody registered, and parts of writes that died. An upload goes when even the longest-lived URL "
        "that could have sent it has been over for a while: 7 days after it came, and --older-than. Exit code 1 if a route fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=read_duration,
            default=OLDER_THAN,
            metavar="24h",
            help="How long an upload's URL must be over at least, such as 30m, 24h or 3d. Default: 24h.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count what would be removed.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        as_json = options["format"] == "json"
        out = Out(self.stderr if as_json else self.stdout)
        rows = []
        for one in sweep_routes(older_than=options["older_than"], dry_run=options["dry_run"]):
            row = _row(one)
            rows.append(row)
            if not as_json:
                out.line(_told(row, dry_run=options["dry_run"]), BAD if one.error else GOOD)
        ok = not any(row["error_code"] for row in rows)
        if as_json:
            self.stdout.write(json.dumps({"ok": ok, "dry_run": options["dry_run"], "routes": rows}, indent=2))
        elif not rows:
            out.line("There is no enabled object route.")
        if not ok:
            sys.exit(1)


def _row(one: RouteSweep) -> dict[str, Any]:
    route, error = one.route, one.error
    place = "/".join(part for part in (route.tenant_id, route.env, route.project_id) if part)
    counts = {"uploads": one.swept.uploads, "parts": one.swept.parts}
    problem = {"error_code": error.code if error else "", "detail": error.told() if error else ""}
    return {"route_id": route.id, "place": place, "backend_type": route.backend_type, **counts, **problem}


def _told(row: dict[str, Any], *, dry_run: bool) -> str:
    where = f"Route {row['route_id']} ({row['place']} on {row['backend_type']})"
    if row["error_code"]:
        return f"{where}: {row['error_code']}: {row['detail']}"
    return f"{where}: {row['uploads']} uploads and {row['parts']} parts {'would be ' if dry_run else ''}removed."
