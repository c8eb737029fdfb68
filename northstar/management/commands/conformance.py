"""Try the behaviour contract on the service behind a route, in a scratch place, and clean up."""

import json
import re
import secrets
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError

from northstar.conformance.scratch import Scratch, scratch_for
from northstar.console import BAD, GOOD, WARN, Out, refused
from northstar.context import RequestContext
from northstar.errors import NorthstarError
from northstar.modes import SELLABLE_MODES
from routing.resolve import ResolvedRoute, resolve, snapshot
from storage.registry import BLOBS, DOCUMENTS, KINDS, is_installed

if TYPE_CHECKING:
    from northstar.conformance.running import Line, Result

OPERATIONS_PER_TEST: Final = {BLOBS: 150, DOCUMENTS: 50}
"""Measured on the filesystem: 30,832 operations in 205 tests of objects, 10,650 in 228 tests of documents."""
INTERRUPTED: Final = 130
NO_PYTEST: Final = (
    "The contract's suites are tests, and pytest is not installed here. "
    "Install the development environment: .venv/bin/python -m pip install --require-hashes -r requirements/dev.txt"
)
_RANGE: Final = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")
_STYLES: Final = {"passed": ("ok", GOOD), "failed": ("NOT", BAD), "skipped": ("skip", WARN)}


class Command(BaseCommand):
    help = "Run the behaviour contract on a route's service, in a scratch place that no tenant has. Exit code 1 if a line fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="Whose route to try; the tenant's data is not touched.")
        parser.add_argument("--env", default="dev", help="Default: dev.")
        parser.add_argument("--kind", required=True, choices=list(KINDS), help="Which of the tenant's routes to try.")
        parser.add_argument("--project", help="Try the route of this project.")
        parser.add_argument(
            "--lines", type=_lines, default=(), help="Only these lines of the contract, such as 27-47,60."
        )
        parser.add_argument("--yes", action="store_true", help="Write although the tenant is not in mode lab.")
        parser.add_argument(
            "--format", choices=["text", "json"], default="text", help="json: progress on standard error."
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument("--list", action="store_true", help="Only list the tests, line by line.")
        instead.add_argument(
            "--clean",
            action="store_true",
            help="Only remove what killed runs have left; not while another run is at work.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not is_installed("pytest"):
            raise CommandError(NO_PYTEST)
        as_json = options["format"] == "json"
        out = Out(self.stderr if as_json else self.stdout)
        try:
            document = self._asked(out, options)
        except NorthstarError as error:
            raise refused(error) from None
        if as_json:
            self.stdout.write(json.dumps(document, indent=2))
        if document.get("interrupted"):
            sys.exit(INTERRUPTED)
        if not document["ok"]:
            sys.exit(1)

    def _asked(self, out: Out, options: dict[str, Any]) -> dict[str, Any]:
        """Do what was asked for, tell it, and return it as JSON."""
        tests = _collected(options)
        if options["list"]:
            return _listed(out, tests)
        route, mode = _route(options)
        run = secrets.token_hex(4)
        out.line(f"Route {route.id}: {route.resource_kind} of {route.tenant_id}/{route.env} on {route.backend_type}.")
        if options["clean"]:
            return _cleaned(out, scratch_for(route, mode, run))
        if mode in SELLABLE_MODES and not options["yes"]:
            raise CommandError(_warning(route, mode, len(tests.tests)))
        return _tried(out, options, route, scratch_for(route, mode, run), run)


def _collected(options: dict[str, Any]) -> "Result":
    """Return the tests of the lines asked for. Raises CommandError when there is none."""
    from northstar.conformance import running  # noqa: PLC0415 - it needs pytest

    try:
        tests = running.collect(KINDS[options["kind"]].primitive, options["lines"])
    except running.SuitesFailed as error:
        raise CommandError(str(error)) from None
    if not tests.tests:
        raise CommandError(f"No test of {options['kind']} stands for these lines.")
    return tests


def _route(options: dict[str, Any]) -> tuple[ResolvedRoute, str]:
    """Return the route asked for, and its tenant's mode. Raises as `resolve`."""
    mode = snapshot().modes.get(options["tenant"])
    if mode is None:
        raise CommandError(f"There is no tenant {options['tenant']!a}.")
    context = RequestContext(options["tenant"], options["env"], mode, project_id=options["project"])
    return resolve(options["kind"], context), mode


def _warning(route: ResolvedRoute, mode: str, tests: int) -> str:
    operations = tests * OPERATIONS_PER_TEST[KINDS[route.resource_kind].primitive]
    return (
        f"{route.tenant_id} is in mode {mode}: the run sends about {operations:,} operations to {route.backend_type}, which "
        "charges for them and counts them against its limits. The tenant's data is not touched. Go on with --yes."
    )


def _listed(out: Out, tests: "Result") -> dict[str, Any]:
    lines: dict[int, list[str]] = {number: [] for number in sorted(tests.lines)}
    for name, numbers in tests.tests.items():
        for number in numbers:
            lines[number].append(name)
    for number, names in lines.items():
        for name in names:
            out.line(f"{number}\t{name}")
    return {"ok": True, "lines": lines}


def _cleaned(out: Out, scratch: Scratch) -> dict[str, Any]:
    runs = scratch.clean_all()
    out.line(f"Removed what {len(runs)} runs had left: {', '.join(runs)}." if runs else "No run has left anything.")
    return {"ok": True, "cleaned": runs}


def _tried(out: Out, options: dict[str, Any], route: ResolvedRoute, scratch: Scratch, run: str) -> dict[str, Any]:
    """Run the tests, clean up however they end, and return what was seen. Raises as the driver when it does not answer."""
    from northstar.conformance import running  # noqa: PLC0415 - it needs pytest

    scratch.adapter.driver.ping()
    primitive = KINDS[route.resource_kind].primitive
    with _interrupted_by_sigterm(), _cleaning(out, scratch, run):
        result = running.run(primitive, options["lines"], scratch, lambda line: _tell(out, line))
    for failure in result.failures:
        out.line(f"{failure.test} (lines {', '.join(map(str, failure.lines))})", BAD)
        out.line(f"  {failure.detail}")
    _summary(out, result)
    facts = {"ok": result.ok, "interrupted": result.interrupted, "run": run, "route_id": route.id}
    seen = {line.number: {"verdict": line.verdict, **asdict(line)} for line in result.lines.values() if line.seen}
    return {**facts, "backend_type": route.backend_type, "lines": seen, "failures": list(map(asdict, result.failures))}


def _tell(out: Out, line: "Line") -> None:
    mark, style = _STYLES[line.verdict]
    skipped = f"\t{'; '.join(sorted(set(line.skipped)))}" if line.skipped else ""
    out.line(f"{mark}\t{line.number}\t{line.passed} of {line.tests} tests passed{skipped}", style)


def _summary(out: Out, result: "Result") -> None:
    counts = dict.fromkeys(_STYLES, 0)
    for line in result.lines.values():
        counts[line.verdict] += line.seen > 0
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    out.line(f"Lines: {told}.{' Interrupted.' if result.interrupted else ''}", GOOD if result.ok else BAD)


@contextmanager
def _cleaning(out: Out, scratch: Scratch, run: str) -> Iterator[None]:
    """Remove what the run writes, however the block ends; say so when that fails."""
    try:
        yield
    finally:
        out.line("Removing what the run has written.")
        try:
            scratch.clean()
        except (NorthstarError, OSError) as error:
            out.line(f"What run {run} wrote could not be removed: {error} Run this again with --clean.", BAD)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does, so that it is cleaned up after."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _lines(text: str) -> tuple[int, ...]:
    """Return the numbers of ranges such as 27-47,60."""
    numbers: list[int] = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise ArgumentTypeError(f"{text!a} is no list of lines such as 27-47,60.")
        first, last = int(found[1]), int(found[2] or found[1])
        numbers += range(first, last + 1)
    return tuple(numbers)
