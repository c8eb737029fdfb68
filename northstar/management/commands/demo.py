"""Do the main job on this repository's own files, history and dependencies, and check every step."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from northstar.console import BAD, GOOD, Out, refused
from northstar.demo.backends import OtherBackend, other_backend
from northstar.demo.client import UnexpectedAnswer
from northstar.demo.play import play
from northstar.demo.report import Report
from northstar.demo.server import ServerFailed
from northstar.errors import NorthstarError
from northstar.quickstart import is_lab
from storage.registry import BACKENDS, CLOUD

_BACKENDS: Final = tuple(name for name, backend in BACKENDS.items() if backend.backend_class == CLOUD)


class Command(BaseCommand):
    help = "Use Northstar over HTTP on real input, check every step, print what was seen. Exit code 1 if a promise is broken."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--format", choices=["text", "json"], default="text", help="json: narrate on standard error."
        )
        parser.add_argument(
            "--keep", action="store_true", help="Leave the demo's objects and records for a look at them."
        )
        parser.add_argument(
            "--backend", choices=_BACKENDS, help="Keep the documents, or for an object service the objects, there."
        )
        parser.add_argument(
            "--endpoint", help="The address of the backend, such as an emulator's; else the service's own."
        )
        parser.add_argument(
            "--config",
            metavar="KEY=VALUE",
            type=_option,
            action="append",
            default=[],
            help="A field of the backend's config, once per field. A secret may be a reference: env:NORTHSTAR_SECRET_…",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not is_lab():
            raise CommandError("The demo stores on the filesystem, so it runs in a lab deployment only.")
        if not options["backend"] and (options["endpoint"] or options["config"]):
            raise CommandError("--endpoint and --config describe a backend: name it with --backend.")
        as_json = options["format"] == "json"
        report = Report(Out(self.stderr if as_json else self.stdout))
        try:
            play(report, keep=options["keep"], backend=_backend(options))
        except ServerFailed as error:
            raise CommandError(str(error)) from None
        except NorthstarError as error:
            raise refused(error) from None
        except (UnexpectedAnswer, OSError) as error:
            report.check("every step can be taken", False, str(error))
        except KeyboardInterrupt:
            raise CommandError("Interrupted. The server is stopped and the keys are revoked.", returncode=130) from None
        self._finish(report, as_json=as_json)

    def _finish(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            document = {"ok": report.ok, "checks": [asdict(check) for check in report.checks]}
            self.stdout.write(json.dumps(document, indent=2))
        else:
            report.table()
            good = sum(check.ok for check in report.checks)
            report.out.line(f"{good} of {len(report.checks)} as promised.", GOOD if report.ok else BAD)
        if not report.ok:
            sys.exit(1)


def _backend(options: dict[str, Any]) -> OtherBackend | None:
    if not options["backend"]:
        return None
    return other_backend(options["backend"], options["endpoint"], dict(options["config"]))


def _option(text: str) -> tuple[str, str]:
    """Split a field of a config; a wrong one is not repeated in the refusal, as it may hold a secret."""
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise ArgumentTypeError("write it as key=value, such as region=eu-central-1")
    return name, value
