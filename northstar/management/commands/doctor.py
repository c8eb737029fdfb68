"""Say what would stop a request, and how to mend it."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from northstar.console import BAD, GOOD, WARN, Out
from northstar.doctor import examine
from northstar.findings import ERROR, Finding


class Command(BaseCommand):
    help = "List everything that would stop a request, each with its fix. Exit code 1 when something does now."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        findings = examine()
        errors = sum(finding.level == ERROR for finding in findings)
        if options["format"] == "json":
            document = {"ok": errors == 0, "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(document, indent=2))
        else:
            _print_text(Out(self.stdout), findings, errors)
        if errors:
            sys.exit(1)


def _print_text(out: Out, findings: list[Finding], errors: int) -> None:
    for finding in findings:
        out.line(f"{finding.level}: {finding.subject}", BAD if finding.level == ERROR else WARN)
        out.line(f"  {finding.detail}")
        out.line(f"  Fix: {finding.fix}")
    if findings:
        out.line(f"{errors} errors, {len(findings) - errors} warnings.")
    else:
        out.line("Nothing would stop a request.", GOOD)
