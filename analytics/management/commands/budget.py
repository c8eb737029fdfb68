"""Set, list, raise, price, prove and sweep budgets."""

import json
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand

from analytics.api.budget_answers import level_answer
from analytics.budgets.adjustments import KINDS
from analytics.budgets.amounts import text
from analytics.budgets.figures import all_figures
from analytics.budgets.names import LEVELS, PROJECT, TENANT
from analytics.budgets.places import open_place
from analytics.budgets.policies import FAILS, GRACE_SECONDS, MODES, Terms
from analytics.budgets.projects import projects_of
from analytics.budgets.reconciling import BUSY, DRIFTED, Proof, reconcile
from analytics.budgets.setting import Target, adjust, set_policy, set_price, told
from analytics.budgets.sweeping import PlaceSweep, sweep_budgets
from northstar.console import BAD, GOOD, Out, refused
from northstar.context import RequestContext
from northstar.errors import InvalidRequest, NorthstarError
from northstar.rendering import dumps
from routing.models import Tenant
from routing.patterns import ENV_PATTERN, IDENTIFIER_PATTERN

ACTOR: Final = "command:budget"
_SHOWN: Final = ("provider", "metric", "level", "window", "usage", "reserved", "soft_limit", "effective_limit", "mode")


class Command(BaseCommand):
    help = "Set, list, raise, price, prove (reconcile) and sweep budgets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        _add_set(actions.add_parser("set", help="Set a budget's policy, whole."))
        listing = actions.add_parser("list", help="List the budgets of a tenant or project, and what is used of them.")
        listing.add_argument("--provider", default="")
        _add_adjust(actions.add_parser("adjust", help="Raise a hard limit for a time, or grant a credit."))
        price = actions.add_parser("price", help="Say what a unit costs, so that usage also counts in usd.")
        price.add_argument("provider")
        price.add_argument("metric")
        price.add_argument("rate", help="US dollars for one unit, such as 0.000002.")
        price.add_argument("--source", required=True, help="Where the figure is from.")
        price.add_argument("--since", type=_moment, help="UTC, ISO 8601; now where it is left out.")
        proving = actions.add_parser(
            "reconcile", help="Prove that counters are the sums of their rows, or repair them."
        )
        proving.add_argument("--provider", default="")
        proving.add_argument("--dry-run", action="store_true", help="Only tell. Exit 1 where a counter has drifted.")
        for action in actions.choices.values():
            _add_place(action)
        sweep = actions.add_parser("sweep", help="Settle what is due and deliver what is owed, everywhere.")
        sweep.add_argument("--fold", action="store_true", help="Also fold rows that were settled two days ago.")
        for action in actions.choices.values():
            action.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            ok = _ACTIONS[options["action"]](self, options)
        except NorthstarError as error:
            raise refused(error) from None
        if not ok:
            sys.exit(1)

    def say(self, options: dict[str, Any], answer: Any, sentence: str) -> None:
        """Print one answer as JSON or as a sentence."""
        self.stdout.write(_json(answer) if options["format"] == "json" else sentence)


def _set(command: Command, options: dict[str, Any]) -> bool:
    target = _target(options)
    names = (
        "soft_limit",
        "hard_limit",
        "window",
        "timezone",
        "anchor",
        "mode",
        "fail",
        "oversubscribe",
        "grace_seconds",
        "currency",
        "rollover_cap",
        "carry_debt",
    )
    terms = Terms(thresholds=tuple(options["threshold"]), **{name: options[name] for name in names})
    policy = set_policy(_context(options), target, terms, rationale=options["rationale"])
    command.say(options, told(policy), f"The {policy.level}'s budget of {policy.provider} {policy.metric} is set.")
    return True


def _list(command: Command, options: dict[str, Any]) -> bool:
    context = _context(options)
    rows = [level_answer(context, figure) for figure in all_figures(context, options["provider"])]
    if options["format"] == "json":
        command.stdout.write(_json(rows))
    else:
        Out(command.stdout).table(_SHOWN, [[_cell(row[name]) for name in _SHOWN] for row in rows])
    return True


def _adjust(command: Command, options: dict[str, Any]) -> bool:
    names = ("since", "until", "priority", "reason")
    made = adjust(
        _context(options),
        _target(options),
        options["kind"],
        options["amount"],
        **{name: options[name] for name in names},
    )
    command.say(
        options, {**asdict(made), "amount": text(made.amount)}, f"The {made.kind} of {text(made.amount)} holds."
    )
    return True


def _price(command: Command, options: dict[str, Any]) -> bool:
    since = options["since"] or datetime.now(UTC)
    made = set_price(
        _context(options),
        options["provider"],
        options["metric"],
        options["rate"],
        since=since,
        source=options["source"],
    )
    command.say(
        options, asdict(made), f"A unit of {made.provider} {made.metric} costs {made.rate} from {made.version}."
    )
    return True


def _reconcile(command: Command, options: dict[str, Any]) -> bool:
    context, out = _context(options), Out(command.stdout)
    tenant = open_place(context, None)
    places = [context.project_id] if context.project_id else [None, *projects_of(tenant)]
    found = []
    for project in places:
        proofs = reconcile(
            context, open_place(context, project), provider=options["provider"], repair=not options["dry_run"]
        )
        found += [_proof(project, proof) for proof in proofs]
    if options["format"] == "json":
        command.stdout.write(_json(found))
    for row in found if options["format"] == "text" else []:
        where = f"{row['project'] or 'tenant'} {row['counter']}"
        bad = row["verdict"] in {DRIFTED, BUSY}
        says, rows_say = (f"{sums['used']} used, {sums['reserved']} held" for sums in (row["says"], row["rows_say"]))
        out.line(f"{where}: {row['verdict']}, says {says}; its rows say {rows_say}", BAD if bad else GOOD)
    return not any(row["verdict"] in {DRIFTED, BUSY} for row in found)


def _proof(project: str | None, proof: Proof) -> dict[str, Any]:
    says, rows_say = (
        {"used": text(sums.used), "reserved": text(sums.reserved)} for sums in (proof.says, proof.rows_say)
    )
    return {
        "project": project,
        "counter": proof.counter,
        "verdict": proof.verdict,
        "says": says,
        "rows_say": rows_say,
    }


def _sweep(command: Command, options: dict[str, Any]) -> bool:
    out, rows = Out(command.stdout), []
    for one in sweep_budgets(folding=options["fold"]):
        row = _swept(one)
        rows.append(row)
        if options["format"] == "text":
            done = f"{one.settled} settled, {one.delivered} delivered, {one.alerts} alerts, {one.folded} folded"
            told_of = f"{row['error_code']}: {row['detail']}" if one.error else f"{done}, {one.waiting} letters wait"
            out.line(f"{row['place']}: {told_of}", BAD if one.error else GOOD)
    if options["format"] == "json":
        command.stdout.write(_json(rows))
    return not any(row["error_code"] for row in rows)


def _swept(one: PlaceSweep) -> dict[str, Any]:
    error = one.error
    counts = {name: getattr(one, name) for name in ("settled", "delivered", "waiting", "alerts", "folded")}
    place = "/".join(part for part in (one.tenant, one.env, one.project) if part)
    return {
        "place": place,
        **counts,
        "error_code": error.code if error else "",
        "detail": error.told() if error else "",
    }


_ACTIONS: Final[dict[str, Callable[[Command, dict[str, Any]], bool]]] = {
    "adjust": _adjust,
    "list": _list,
    "price": _price,
    "reconcile": _reconcile,
    "set": _set,
    "sweep": _sweep,
}


def _add_set(parser: ArgumentParser) -> None:
    _add_budget(parser)
    parser.add_argument("--soft", dest="soft_limit", help="Usage that is told of.")
    parser.add_argument("--hard", dest="hard_limit", help="Usage that is not passed.")
    parser.add_argument(
        "--window", default="lifetime", help="lifetime, hour, day, week, month, quarter, year; 48h, 30d"
    )
    parser.add_argument("--timezone", default="UTC", help="The IANA zone whose clock a calendar window follows.")
    parser.add_argument("--anchor", default="", help="Where a calendar window begins: 06:00, mon, 15, 4 or 04-01.")
    parser.add_argument("--threshold", action="append", default=[], metavar="80%%", help="May be given again.")
    parser.add_argument("--mode", choices=MODES, help="Default: block with a hard limit, else warn.")
    parser.add_argument(
        "--fail", choices=FAILS, default=FAILS[0], help="What happens while counters cannot be reached."
    )
    parser.add_argument(
        "--oversubscribe", action="store_true", help="Projects may be promised more than the tenant has."
    )
    parser.add_argument("--grace-seconds", type=int, default=GRACE_SECONDS, help="How late usage of a window may come.")
    parser.add_argument(
        "--currency", type=_like(r"([A-Z]{3})?"), default="", help="What the amounts are in, such as USD."
    )
    parser.add_argument("--rollover-cap", help="How much unused limit the next window gets at most.")
    parser.add_argument(
        "--carry-debt", action="store_true", help="The next window pays what was used beyond the limit."
    )
    parser.add_argument("--rationale", default="", help="Why; for the audit trail.")


def _add_adjust(parser: ArgumentParser) -> None:
    _add_budget(parser)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("amount")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--since", type=_moment, help="UTC, ISO 8601; now where it is left out.")
    parser.add_argument("--until", type=_moment, help="UTC, ISO 8601; an increase needs one.")
    parser.add_argument("--priority", type=int, default=100, help="The lowest is used first.")


def _add_budget(parser: ArgumentParser) -> None:
    parser.add_argument("provider", help="Such as openai.")
    parser.add_argument("metric", help="Such as tokens.")
    parser.add_argument("--level", choices=LEVELS, help="project where a project is named, else tenant.")
    parser.add_argument("--user", type=_like(IDENTIFIER_PATTERN), help="With level user: for this user alone.")


def _add_place(parser: ArgumentParser) -> None:
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--env", type=_like(ENV_PATTERN), default="dev", help="Default: dev.")
    parser.add_argument(
        "--project", type=_like(IDENTIFIER_PATTERN), help="The project's budgets, which stand below its tenant's."
    )


def _like(pattern: str) -> Callable[[str], str]:
    def checked(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ArgumentTypeError(f"{given[:80]!a} does not look like {pattern}")
        return given

    return checked


def _context(options: dict[str, Any]) -> RequestContext:
    tenant = Tenant.objects.filter(pk=options["tenant"]).first()
    if tenant is None:
        raise InvalidRequest(f"There is no tenant {options['tenant'][:64]!a}.", fix="See `manage.py tenant list`.")
    return RequestContext(tenant.pk, options["env"], tenant.effective_mode, project_id=options["project"], actor=ACTOR)


def _target(options: dict[str, Any]) -> Target:
    project = options["project"]
    level = options["level"] or (PROJECT if project else TENANT)
    return Target(options["provider"], options["metric"], level, None if level == TENANT else project, options["user"])


def _moment(given: str) -> datetime:
    moment = datetime.fromisoformat(given)
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)


def _json(answer: Any) -> str:
    return json.dumps(json.loads(dumps(answer)), indent=2)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
