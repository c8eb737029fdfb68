"""Prepare a running Northstar, and print how to log in and what to try."""

import json
import shlex
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure

from northstar.console import Out, refused
from northstar.errors import NorthstarError
from northstar.quickstart import Credentials, Prepared, prepare


class Command(BaseCommand):
    help = "Migrate, make an administrator, and in a lab deployment demo tenants, routes and keys. A second run changes nothing."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--url",
            default=f"http://127.0.0.1:{settings.PORT}",
            help="Where the server will be reached; printed as is.",
        )

        parser.add_argument("--no-hint", action="store_true", help="Leave out how to serve: the caller is about to.")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            prepared = prepare(options["url"].rstrip("/"))
        except NorthstarError as error:
            raise refused(error) from None
        except DatabaseFailure as error:
            name = type(error).__name__
            raise CommandError(f"The control-plane database does not answer ({name}). Check DATABASE_URL.") from None
        except OSError as error:
            raise CommandError(f"NORTHSTAR_HOME ({settings.NORTHSTAR_HOME}) cannot be used: {error}") from None
        if options["format"] == "json":
            for note in prepared.notes:
                self.stderr.write(note)
            self.stdout.write(json.dumps(asdict(prepared.credentials), indent=2))
        else:
            out = Out(self.stdout)
            _print_text(out, prepared)
            if not options["no_hint"]:
                out.line()
                if prepared.credentials.api_key:
                    out.line(
                        f"Rules of an example payroll:  {shlex.join([sys.executable, 'manage.py', 'seed_rules'])}",
                        "dim",
                    )
                out.line(f"Serve it:  {shlex.join([sys.executable, 'manage.py', 'serve'])}", "dim")


def _print_text(out: Out, prepared: Prepared) -> None:
    credentials = prepared.credentials
    out.heading("Northstar is ready")
    rows = [
        ("Admin", f"{credentials.url}/admin/"),
        ("API docs", f"{credentials.url}/api/docs"),
        ("User", credentials.admin_user),
        ("Password", credentials.admin_password or "(unchanged)"),
        ("Tenant", credentials.tenant_id or "(none yet: create one in the admin)"),
        ("API key", credentials.api_key or "(none)"),
        ("Operator key", credentials.operator_key or "(shown once, by the run that made it)"),
    ]
    for name, value in rows:
        out.line(f"{name + ':':<14}{value}")
    for note in prepared.notes:
        out.line(f"Note: {note}", "yellow")
    if credentials.api_key:
        out.heading("Try it")
        for line in _examples(credentials, credentials.api_key):
            out.line(line)


def _examples(credentials: Credentials, api_key: str) -> list[str]:
    api = f"{credentials.url}/api/v1/storage"
    key = f"-H 'Authorization: Bearer {api_key}'"
    event = """-H 'Content-Type: application/json' -d '{"type": "hello", "data": {"from": "quickstart"}}'"""
    return [
        f"curl -sS {api}/streams/hello/events {key} {event}",
        f"curl -sS {api}/streams/hello/events {key}",
        f"curl -sS -X PUT {api}/objects/hello.txt {key} -H 'Content-Type: text/plain' -d 'first light'",
    ]
