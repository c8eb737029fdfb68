"""Routes out and in, as commands: `routes export` and `import` with files, `routes push` and `pull` with the routing registry."""

import json
import os
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper

from northstar.config_options import config_of, config_option
from northstar.console import BAD, GOOD, WARN, Out
from northstar.errors import NoRouteConfigured, NorthstarError
from routing.audit import Cause
from routing.entries import count_subjects
from routing.exporting import export_routes
from routing.management.route_files import bodies_in, draft_of, read_body
from routing.operations.importing import Asked, import_routes
from routing.operations.plans import ACTIONS, CREATE, REFUSED, SWITCH, UNCHANGED, UPDATE, Step
from routing.operations.pulling import pull_registry
from routing.operations.pushing import Pushed, push_registry
from routing.operations.registry import REGISTRY, open_registry, registry_at
from storage.kinds.routing_registry_store import RoutingRegistryStore
from storage.registry import BACKENDS, DOCUMENTS

STYLES: Final = {CREATE: GOOD, UPDATE: GOOD, SWITCH: WARN, UNCHANGED: "", REFUSED: BAD}
PULLED: Final = "Pulled from the routing registry."


def add_transfers(actions: Any) -> None:
    """Add the four actions to the parser of `routes`."""
    push = actions.add_parser(
        "push",
        help="Mirror all routes, tenants, aliases and locks to the routing registry, and anchor the audit trail there.",
    )
    push.add_argument("--prune", action="store_true", help="Also remove from the registry what is not here.")
    push.add_argument(
        "--take-over",
        action="store_true",
        help="Also where the registry mirrors another database: this one wins, and its trail goes on after that one's.",
    )
    pull = actions.add_parser(
        "pull",
        help="Bring back what the routing registry holds: into an empty database, everything. Exit code 1 on a refusal.",
    )
    for action in (push, pull):
        _name_place(action)
    imported = actions.add_parser(
        "import", help="Put the routes of a JSON file, bodies of POST /routing/routes. Exit code 1 on a refusal."
    )
    imported.add_argument("file", type=Path)
    for action in (pull, imported):
        _say_how(action)
    export = actions.add_parser("export", help="Write routes as such a file, each secret as a reference.")
    export.add_argument("--tenant", help="Only routes of this tenant.")
    export.add_argument("--output", type=Path, help="The file to write; standard output without it.")
    for action in (push, pull, imported, export):
        action.add_argument("--format", choices=["text", "json"], default="text")


def run_transfer(options: dict[str, Any], stdout: OutputWrapper, stderr: OutputWrapper) -> bool:
    """Run the action, and say whether nothing was refused. Raises NorthstarError or CommandError."""
    as_json = options["format"] == "json"
    if options["action"] == "export":
        _export(options, stdout, as_json=as_json)
        return True
    out = Out(stderr if as_json else stdout)
    if options["action"] == "push":
        return _push(options, out, stdout, as_json=as_json)
    cause = _cause(options)
    steps = _imported(options, cause, out) if options["action"] == "import" else _pulled(options, cause, out)
    return _tell_plan(steps, out, stdout, dry_run=options["dry_run"], as_json=as_json)


def _name_place(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        choices=[name for name, backend in BACKENDS.items() if DOCUMENTS in backend.serves],
        help="Where the registry is, for a database without a route that says so.",
    )
    parser.add_argument(
        "--config",
        metavar="KEY=VALUE",
        type=config_option,
        action="append",
        default=[],
        help="A field of that backend's config, once per field. A secret must be a reference: env:NORTHSTAR_SECRET_… or file:…",
    )


def _say_how(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
    parser.add_argument("--rationale", default="", help="Why: required outside of lab when data's place changes.")
    parser.add_argument(
        "--override-locks", action="store_true", help="Pass strategy locks; needs --rationale, and is audited."
    )


def _cause(options: dict[str, Any]) -> Cause:
    if options["override_locks"] and not options["rationale"].strip():
        raise CommandError("--override-locks needs --rationale: say why.")
    usual = PULLED if options["action"] == "pull" else ""
    return Cause(
        f"command:routes {options['action']}",
        rationale=options["rationale"] or usual,
        may_override=options["override_locks"],
    )


def _registry(options: dict[str, Any]) -> RoutingRegistryStore:
    if options["backend"]:
        config = config_of(REGISTRY, options["backend"], dict(options["config"]), clear_secrets=False)
        return registry_at(options["backend"], config)
    if options["config"]:
        raise CommandError("--config describes a backend: name it with --backend.")
    try:
        return open_registry()
    except NoRouteConfigured as error:
        fix = "Say where the registry is with --backend and --config; docs/recovery.md shows how."
        raise NoRouteConfigured(error.detail, fix=fix) from None


def _imported(options: dict[str, Any], cause: Cause, out: Out) -> Iterator[Step]:
    asked = [_asked(f"#{number}", body) for number, body in enumerate(bodies_in(options["file"]), start=1)]
    return import_routes(out.each("Routes", asked), cause, dry_run=options["dry_run"])


def _asked(place: str, body: Any) -> Asked:
    try:
        route = read_body(body)
        return Asked(place, draft_of(route), route.switch_rationale)
    except NorthstarError as error:
        return Asked(place, error)


def _pulled(options: dict[str, Any], cause: Cause, out: Out) -> Iterator[Step]:
    return out.each("Routing registry", pull_registry(_registry(options), cause, dry_run=options["dry_run"]))


def _tell_plan(steps: Iterable[Step], out: Out, stdout: OutputWrapper, *, dry_run: bool, as_json: bool) -> bool:
    """Tell each step as soon as it is taken, and at the end how many of each sort there were."""
    counts: Counter[str] = Counter()
    told = []
    for step in steps:
        counts[step.action] += 1
        if as_json:
            told.append(asdict(step))
        else:
            _tell_step(out, step)
    good = not counts[REFUSED]
    summary = {action: counts[action] for action in ACTIONS}
    if as_json:
        stdout.write(json.dumps({"ok": good, "dry_run": dry_run, "counts": summary, "steps": told}, indent=2))
    else:
        numbers = ", ".join(f"{count} {action}" for action, count in summary.items())
        out.line(f"{numbers}.{' Nothing was written: this was a dry run.' if dry_run else ''}", GOOD if good else BAD)
    return good


def _tell_step(out: Out, step: Step) -> None:
    where = f" on {step.backend_type}" if step.backend_type else ""
    out.line(f"{step.action:<10}{step.what} {step.name}{where}", STYLES[step.action])
    for difference in step.differences:
        out.line(f"            {difference.name}: {difference.before} → {difference.after}")
    for note in step.notes:
        out.line(f"            Note: {note}", WARN)
    if step.error_code:
        out.line(f"            {step.error_code}: {step.detail}")
        out.line(f"            Fix: {step.fix}")


def _push(options: dict[str, Any], out: Out, stdout: OutputWrapper, *, as_json: bool) -> bool:
    registry = _registry(options)
    pushed = push_registry(
        registry, Cause("command:routes push"), take_over=options["take_over"], prune=options["prune"]
    )
    counts = Counter(map(_told, out.each("Rows", pushed, count_subjects())))
    summary = {name: counts[name] for name in ("mirrored", "unchanged", "removed")}
    if as_json:
        stdout.write(json.dumps({"ok": True, "counts": summary}, indent=2))
    else:
        out.line(f"{', '.join(f'{count} {name}' for name, count in summary.items())}.", GOOD)
    return True


def _told(pushed: Pushed) -> str:
    if not pushed.news:
        return "unchanged"
    return "removed" if pushed.gone else "mirrored"


def _export(options: dict[str, Any], stdout: OutputWrapper, *, as_json: bool) -> None:
    routes = list(export_routes(options["tenant"]))
    text = json.dumps(routes, indent=2, ensure_ascii=False)
    path: Path | None = options["output"]
    if path is None:
        stdout.write(text)
        return
    _write(path, f"{text}\n")
    done = {"routes": len(routes), "output": str(path)}
    stdout.write(json.dumps(done, indent=2) if as_json else f"{len(routes)} routes written to {path}.")


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that nobody reads half of it. Raises CommandError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
