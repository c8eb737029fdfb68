"""Find what crashes and people who left have begun and not ended with media, and repair it when asked to."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from media.sweeping import OLDER_THAN, Finding, ScopeSweep, sweep_media
from northstar.console import BAD, GOOD, Out
from northstar.durations import read_duration


class Command(BaseCommand):
    help = (
        "Find media uploads that were abandoned and deletions that were not finished; with --objects also objects without a row "
        "and rows without an object, which takes a listing of each place. Only tells, unless --repair is given. "
        "Exit code 1 if something could not be looked at or repaired."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repair", action="store_true", help="Remove or finish what was found, and mark lost bytes."
        )
        parser.add_argument(
            "--objects", action="store_true", help="Also compare the objects of each place with the rows."
        )
        parser.add_argument(
            "--older-than",
            type=read_duration,
            default=OLDER_THAN,
            metavar="24h",
            help="How long an upload must be over (begun a day ago, or its URL expired), such as 30m, 24h or 3d. Default: 24h.",
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        as_json = options["format"] == "json"
        out = Out(self.stderr if as_json else self.stdout)
        told = []
        ok = True
        for one in sweep_media(older_than=options["older_than"], repair=options["repair"], objects=options["objects"]):
            ok = ok and not one.failed
            told += _rows(one)
            if not as_json:
                _tell(out, one)
        if as_json:
            self.stdout.write(json.dumps({"ok": ok, "repair": options["repair"], "findings": told}, indent=2))
        elif not told:
            out.line("Nothing was found.", GOOD)
        if not ok:
            sys.exit(1)


def _rows(one: ScopeSweep) -> list[dict[str, Any]]:
    rows = [
        {"scope": one.scope, "media_id": finding.media_id, "found": finding.found, "repaired": finding.repaired}
        | _problem(finding)
        for finding in one.findings
    ]
    return [*rows, {"scope": one.scope, **_problem(one)}] if one.error else rows


def _problem(one: ScopeSweep | Finding) -> dict[str, str]:
    return {"error_code": one.error.code if one.error else "", "detail": one.error.told() if one.error else ""}


def _tell(out: Out, one: ScopeSweep) -> None:
    if one.error:
        out.line(f"{one.scope}: {one.error.code}: {one.error.told()}", BAD)
    for finding in one.findings:
        outcome = finding.error.told() if finding.error else "repaired" if finding.repaired else "found"
        out.line(f"{one.scope}: {finding.media_id}: {finding.found}: {outcome}", BAD if finding.error else GOOD)
