"""All routes at once: check what a save would ask, prepare their services, bring them to and from files and the registry."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from northstar.console import BAD, GOOD, Out, refused
from northstar.errors import InvalidRequest, NorthstarError
from routing.admission import RouteDraft, admit
from routing.management.route_files import DRAFTED, bodies_in, draft_of, read_body
from routing.management.transfers import add_transfers, run_transfer
from routing.models import Route, Tenant
from routing.preparation import Preparation, prepare_routes
from storage.registry import KINDS


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one route could be saved as it is, or its service prepared. `error_code` is empty when it could."""

    route: str
    resource_kind: str
    place: str
    backend_type: str
    error_code: str = ""
    detail: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        return not self.error_code


class Command(BaseCommand):
    help = (
        "Check all routes, prepare the services behind them, or bring them to and from files and the routing registry."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("check", help="Validate every route without writing. Exit code 1 on a problem.")
        check.add_argument(
            "--file", type=Path, help="Validate the routes in this JSON file, bodies of POST /routing/routes."
        )
        prepare = actions.add_parser(
            "prepare",
            help="Create what the routes' services need, such as tables; may run again. Exit code 1 on a problem.",
        )
        prepare.add_argument("--tenant", help="Only routes of this tenant.")
        prepare.add_argument("--env", help="Only routes of this environment.")
        prepare.add_argument("--kind", choices=list(KINDS), help="Only routes of this resource kind.")
        for action in (check, prepare):
            action.add_argument("--format", choices=["text", "json"], default="text")
        add_transfers(actions)

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["action"] not in {"check", "prepare"}:
            self._transfer(options)
            return
        as_json = options["format"] == "json"
        if options["action"] == "check":
            verdicts = list(_stored() if options["file"] is None else _in_file(options["file"]))
            if not as_json:
                _print_text(Out(self.stdout), verdicts)
        else:
            verdicts = list(self._prepared(options, None if as_json else Out(self.stdout)))
        good = all(verdict.ok for verdict in verdicts)
        if as_json:
            document = {"ok": good, "routes": [asdict(verdict) for verdict in verdicts]}
            self.stdout.write(json.dumps(document, indent=2))
        if not good:
            sys.exit(1)

    def _transfer(self, options: dict[str, Any]) -> None:
        try:
            good = run_transfer(options, self.stdout, self.stderr)
        except NorthstarError as error:
            raise refused(error) from None
        if not good:
            sys.exit(1)

    def _prepared(self, options: dict[str, Any], out: Out | None) -> Iterator[Verdict]:
        """Prepare the routes asked for, telling each as soon as it is done. Raises CommandError when there is none."""
        asked = {name: options[name] for name in ("tenant", "env", "kind")}
        found = False
        for preparation in prepare_routes(**asked):
            found = True
            verdict = _verdict_of(preparation)
            if out:
                out.line("\t".join(_row(verdict)).rstrip(), GOOD if verdict.ok else BAD)
            yield verdict
        if not found:
            said = ", ".join(f"{name} {value}" for name, value in asked.items() if value)
            raise CommandError(f"There is no enabled route{f' of {said}' if said else ''}.")


def _print_text(out: Out, verdicts: list[Verdict]) -> None:
    if not verdicts:
        out.line("There is no route.")
        return
    styles = [GOOD if verdict.ok else BAD for verdict in verdicts]
    columns = ("", "Route", "Kind", "Where", "Backend", "Problem", "Fix")
    out.table(columns, [_row(verdict) for verdict in verdicts], styles)


def _row(verdict: Verdict) -> tuple[str, ...]:
    head = (verdict.error_code or "ok", verdict.route, verdict.resource_kind)
    return (*head, verdict.place, verdict.backend_type, verdict.detail, verdict.fix)


def _verdict_of(preparation: Preparation) -> Verdict:
    route, error = preparation.route, preparation.error
    place = "/".join(part for part in (route.tenant_id, route.env, route.project_id) if part)
    facts = (f"{route.id}", route.resource_kind, place, route.backend_type)
    return Verdict(*facts, error.code, error.told(), error.fix) if error else Verdict(*facts)


def _stored() -> Iterator[Verdict]:
    for route in Route.objects.select_related("tenant").order_by("id"):
        draft = RouteDraft(**{name: getattr(route, name) for name in DRAFTED})
        yield _verdict(f"{route.pk}", draft, route.tenant, route)


def _in_file(path: Path) -> Iterator[Verdict]:
    seen: dict[tuple[str, str, str, str | None], int] = {}
    for number, body in enumerate(bodies_in(path), start=1):
        name = f"#{number}"
        try:
            draft = draft_of(read_body(body))
            tenant = _tenant(draft.tenant_id)
            key = (draft.resource_kind, draft.tenant_id, draft.env, draft.project_id)
            if key in seen:
                raise InvalidRequest(f"It has the same four-part key as #{seen[key]}.", fix="Keep one of the two.")
        except NorthstarError as error:
            yield _refused(name, body, error)
            continue
        seen[key] = number
        kind, _, env, project = key
        stored = Route.objects.filter(resource_kind=kind, tenant=tenant, env=env, project_id=project).first()
        yield _verdict(name, draft, tenant, stored)


def _tenant(tenant_id: str) -> Tenant:
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise InvalidRequest(f"There is no tenant {tenant_id!a}.", fix="Create it first.")
    return tenant


def _verdict(name: str, draft: RouteDraft, tenant: Tenant, stored: Route | None) -> Verdict:
    place = "/".join(part for part in (draft.tenant_id, draft.env, draft.project_id) if part)
    try:
        admit(draft, tenant, stored)
    except NorthstarError as error:
        return Verdict(name, draft.resource_kind, place, draft.backend_type, error.code, error.told(), error.fix)
    return Verdict(name, draft.resource_kind, place, draft.backend_type)


def _refused(name: str, body: Any, error: NorthstarError) -> Verdict:
    given = body if isinstance(body, dict) else {}
    place = f"{given.get('tenant_id', '?')}/{given.get('env', 'dev')}"
    kind, backend = str(given.get("resource_kind", "?")), str(given.get("backend_type", "?"))
    return Verdict(name, kind, place, backend, error.code, error.told(), error.fix)
