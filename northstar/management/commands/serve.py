"""Serve the admin, the API and the streams at one port, in the foreground, until told to stop."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure
from django.db import connection

from northstar.migrations import pending_migrations
from northstar.serving import PortTaken, serve
from northstar.settings.sources import HIGHEST_PORT


class Command(BaseCommand):
    help = "Serve the admin, the API and the streams at one port until Ctrl-C or SIGTERM."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 unless others should reach it.")
        parser.add_argument("--port", type=_port, default=settings.PORT)
        parser.add_argument(
            "--stop-at-eof",
            action="store_true",
            help="Stop when standard input ends too: for a program that starts the server and holds a pipe to it.",
        )

    def handle(self, *_args: Any, host: str, port: int, stop_at_eof: bool, **_options: Any) -> None:
        Path(settings.NORTHSTAR_HOME).mkdir(parents=True, exist_ok=True)
        _refuse_pending_migrations()
        try:
            serve(
                host,
                port,
                on_listening=lambda: self.stdout.write(_welcome(host, port)),
                stop_at_eof=stop_at_eof,
            )
        except PortTaken as error:
            raise CommandError(f"{error} Choose another port with --port or PORT.") from None


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= HIGHEST_PORT:
        raise ArgumentTypeError(f"{text!a} is no port; 1 to {HIGHEST_PORT} are allowed.")
    return number


def _welcome(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"Northstar listens at http://{shown}:{port} (admin: /admin/, API: /api/docs). Ctrl-C stops it."


def _refuse_pending_migrations() -> None:
    try:
        pending = pending_migrations()
    except DatabaseFailure as error:
        raise CommandError(
            f"The control-plane database does not answer ({type(error).__name__}). Check DATABASE_URL."
        ) from None
    finally:
        connection.close()
    if pending:
        raise CommandError(
            f"{len(pending)} migrations are pending. Run: python manage.py migrate (or: python manage.py quickstart)"
        )
