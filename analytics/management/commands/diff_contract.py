"""Show which stored records a version of a contract would judge otherwise."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from analytics.contracts.diffing import Difference, decisions_told, differences, told
from northstar.console import Out, refused
from northstar.context import RequestContext
from northstar.errors import NorthstarError
from northstar.rendering import dumps
from routing.resolve import snapshot

ROWS: Final = 5000
SHOWN: Final = 20


class Command(BaseCommand):
    help = "Judge stored records by what applies now and as if a version of a contract did, and show whose verdict would change."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("platform", help="Such as google_ads.")
        parser.add_argument("version", help="A draft's, such as 1.1.0.")
        parser.add_argument("--tenant", required=True)
        parser.add_argument("--env", default="dev", help="The environment. Default: dev.")
        parser.add_argument("--project", help="Records of this project; else of the tenant.")
        parser.add_argument("--start", type=_moment, help="UTC, ISO 8601. Default: seven days ago.")
        parser.add_argument("--end", type=_moment, help="UTC, ISO 8601, exclusive. Default: now.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        mode = snapshot().modes.get(options["tenant"])
        if mode is None:
            raise CommandError(f"There is no tenant {options['tenant']!a}.")
        context = RequestContext(
            options["tenant"], options["env"], mode, options["project"], actor="command:diff_contract"
        )
        now = datetime.now(UTC)
        span = (options["start"] or now - timedelta(days=7), options["end"] or now)
        try:
            found = _whole(_pages(context, options["platform"], options["version"], span))
        except NorthstarError as error:
            raise refused(error) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps(json.loads(dumps(_document(found))), indent=2))
        else:
            _print(Out(self.stdout), found)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!a} is no time such as 2026-11-20T00:00:00Z.") from None
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)


def _pages(
    context: RequestContext, platform: str, version: str, span: tuple[datetime, datetime]
) -> Iterator[Difference]:
    after = None
    while True:
        found = differences(context, platform, version, *span, rows=ROWS, after=after)
        yield found
        after = found.after
        if after is None:
            return


def _whole(pages: Iterator[Difference]) -> Difference:
    whole = Difference()
    for page in pages:
        whole.looked_at += page.looked_at
        whole.judged += page.judged
        whole.changes += page.changes
        whole.decisions.update(page.decisions)
    return whole


def _document(found: Difference) -> dict[str, Any]:
    counts = {"looked_at": found.looked_at, "judged": found.judged, "changed": len(found.changes)}
    return {**counts, "decisions": decisions_told(found), "changes": told(found.changes)}


def _print(out: Out, found: Difference) -> None:
    out.line(
        f"{found.looked_at} records, {found.judged} of them judged by this contract; {len(found.changes)} would change."
    )
    for one in decisions_told(found):
        out.line(f"{one['count']} from {one['before']} to {one['after']}")
    appear: Counter[str] = Counter()
    for change in found.changes:
        appear.update(f"+ {code}" for code in set(change.after.codes) - set(change.before.codes))
        appear.update(f"- {code}" for code in set(change.before.codes) - set(change.after.codes))
    if appear:
        out.table(("finding", "records"), [[code, str(count)] for code, count in appear.most_common(SHOWN)])
    rows = [[one.stored.row_id, one.before.decision, one.after.decision] for one in found.changes[:SHOWN]]
    if rows:
        out.table(("row_id", "now", "then"), rows)
