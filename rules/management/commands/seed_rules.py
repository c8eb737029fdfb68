"""Load the example rules: pipeline, validation and calculation rules, annual limits, agents."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from pydantic import TypeAdapter, ValidationError

from northstar.config_options import config_option
from northstar.console import GOOD, WARN, Out, refused
from northstar.errors import NorthstarError
from rules.checks import refuse_inconsistent
from rules.seed_places import Endpoint, context_of, routed_store, store_at
from rules.seeding import Part, Seeded, parts_of, put
from rules.seeds.reading import read_seed
from rules.seeds.rows import PLAN_SUFFIX
from storage.kinds.rules_rows import GLOBAL, Name
from storage.kinds.rules_store import RulesStore

DEMO_TENANT: Final = "t_demo"
"""Made by `quickstart`, with a filesystem route for rules."""
DEFAULT_ENV: Final = "dev"
SHOWN: Final = 10
"""Rows named of those that were kept."""


class Command(BaseCommand):
    help = "Load the example rules into a rules store. A second run changes nothing; what somebody has changed is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default=DEMO_TENANT, help=f"Whose rules. Default: {DEMO_TENANT}.")
        parser.add_argument("--env", default=DEFAULT_ENV, help=f"Default: {DEFAULT_ENV}.")
        parser.add_argument(
            "--client", type=_client, help="Also give this client its own pipeline and the example's own rules."
        )
        parser.add_argument(
            "--replace", action="store_true", help="Take the seed's rows in place of those that differ."
        )
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and write nothing.")
        parser.add_argument("--endpoint-url", help="Go to the DynamoDB at this address, not where the route leads.")
        parser.add_argument(
            "--table-suffix", default="", help="Ends the names of the eight tables there, such as -test."
        )
        parser.add_argument(
            "--config",
            metavar="KEY=VALUE",
            type=config_option,
            action="append",
            default=[],
            help="A field of the config there, once per field. A secret may be a reference: env:NORTHSTAR_SECRET_…",
        )
        parser.add_argument(
            "--format", choices=["text", "json"], default="text", help="json: narrate on standard error."
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a command line says. A suffix may begin with a dash, which would else begin an option."""
        super().run_from_argv(_joined(argv))

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["endpoint_url"] and (options["table_suffix"] or options["config"]):
            raise CommandError("--table-suffix and --config describe a DynamoDB: name it with --endpoint-url.")
        as_json = options["format"] == "json"
        out = Out(self.stderr if as_json else self.stdout)
        try:
            seed = read_seed()
            refuse_inconsistent(seed)
            store = _store(options)
            seeded = _seed(out, store, parts_of(seed, options["client"]), options)
            revision = store.rules_revision()
        except NorthstarError as error:
            raise refused(error) from None
        except DatabaseError as error:
            name = type(error).__name__
            raise CommandError(
                f"The control-plane database does not answer ({name}). Run `quickstart`, or `migrate`."
            ) from None
        _tell(out, seeded, revision, options)
        if as_json:
            self.stdout.write(json.dumps(_document(seeded, revision, options), indent=2))


def _joined(argv: Sequence[str]) -> list[str]:
    joined: list[str] = []
    for argument in argv:
        if joined and joined[-1] == "--table-suffix" and argument.startswith("-") and not argument.startswith("--"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _client(text: str) -> str:
    try:
        TypeAdapter(Name).validate_python(text + PLAN_SUFFIX)
    except ValidationError:
        raise ArgumentTypeError("a client's name has 1 to 115 printable characters, none of them '#'") from None
    if text in {"", GLOBAL}:
        raise ArgumentTypeError("name a client; what holds for all is loaded anyway")
    return text


def _store(options: dict[str, Any]) -> RulesStore:
    context = context_of(options["tenant"], options["env"])
    prepare = not options["dry_run"]
    if not options["endpoint_url"]:
        return routed_store(context, prepare=prepare)
    endpoint = Endpoint(options["endpoint_url"], options["table_suffix"], dict(options["config"]))
    return store_at(endpoint, context, prepare=prepare)


def _seed(out: Out, store: RulesStore, parts: list[Part], options: dict[str, Any]) -> list[Seeded]:
    seeded = []
    with out.progress("Rows", sum(part.size for part in parts)) as done:
        for one in put(store, parts, replace=options["replace"], dry_run=options["dry_run"]):
            seeded.append(one)
            done(sum(part.size for part in seeded))
    return seeded


def _tell(out: Out, seeded: list[Seeded], revision: int, options: dict[str, Any]) -> None:
    verb = "would be written" if options["dry_run"] else "written"
    rows = [[one.title, str(one.size), str(len(one.written)), str(len(one.kept))] for one in seeded]
    out.table(["Part", "Rows", verb.capitalize(), "Kept although different"], rows)
    kept = [name for one in seeded for name in one.kept]
    for name in kept[:SHOWN]:
        out.line(f"kept: {name}", WARN)
    if len(kept) > SHOWN:
        out.line(f"… and {len(kept) - SHOWN} more.", WARN)
    if kept:
        out.line("--replace takes the seed's rows instead.", WARN)
    written = sum(len(one.written) for one in seeded)
    if not written:
        out.line(f"Nothing to do: revision {revision} has all of it.", GOOD)
    elif options["dry_run"]:
        out.line(f"Dry run: {written} rows would be written. Nothing was changed.", GOOD)
    else:
        out.line(f"{written} rows written. Revision {revision} is in force.", GOOD)


def _document(seeded: list[Seeded], revision: int, options: dict[str, Any]) -> dict[str, Any]:
    parts = [
        {"part": one.title, "rows": one.size, "written": list(one.written), "kept": list(one.kept)} for one in seeded
    ]
    changed = not options["dry_run"] and any(one.written for one in seeded)
    return {"ok": True, "dry_run": options["dry_run"], "changed": changed, "revision": revision, "parts": parts}
