"""Prove the counters of analytics records, carry out what waits in the spool, judge kept records again, merge counts."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from analytics.records import spool
from analytics.records.checking import differences
from analytics.records.counters import tally_of
from analytics.records.draining import drain_spool
from analytics.records.ingest import analytics_store
from analytics.records.instants import EARLIEST
from analytics.records.replaying import replay_range
from northstar.console import BAD, GOOD, Out, refused
from northstar.context import RequestContext
from northstar.errors import NorthstarError, NotFound
from routing.resolve import snapshot
from storage.kinds.analytics_store import AnalyticsStore

ACTOR: Final = "command:records"


class Command(BaseCommand):
    help = "Prove the counters of analytics records, drain the spool, judge kept records again, merge counts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        about = {
            "check": "Count everything anew from the rows; exit code 1 when a counter disagrees.",
            "replay": "Judge quarantined and refused rows again, and take in those that pass.",
            "merge": "Merge small documents of counts, as ingestion does by itself.",
        }
        for name, text in about.items():
            action = actions.add_parser(name, help=text)
            action.add_argument("--tenant", required=True)
            action.add_argument("--env", default="dev")
            action.add_argument("--project")
            action.add_argument("--start", type=datetime.fromisoformat, help="The first instant, ISO 8601, UTC.")
            action.add_argument("--end", type=datetime.fromisoformat, help="The first instant after the range.")
            action.add_argument("--format", choices=["text", "json"], default="text")
        drain = actions.add_parser(
            "drain", help="Carry out what waits in this machine's spool, as `serve` does by itself."
        )
        drain.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        actions = {"check": self._check, "replay": self._replay, "merge": self._merge, "drain": self._drain}
        try:
            actions[options["action"]](options)
        except NorthstarError as error:
            raise refused(error) from None

    def _check(self, options: dict[str, Any]) -> None:
        context, store, start, end = _place(options)
        tally = tally_of(context, store, start, end)
        found = differences(store, start, end, tally)
        self._tell(options, tally.answer() | {"differences": found})
        if found:
            raise CommandError(f"{len(found)} counters disagree with the rows.")

    def _replay(self, options: dict[str, Any]) -> None:
        context, store, start, end = _place(options)
        self._tell(options, dict(replay_range(context, store, start, end)))

    def _merge(self, options: dict[str, Any]) -> None:
        _, store, start, end = _place(options)
        self._tell(options, {"merged": store.merge_all_counts(start, end)})

    def _drain(self, options: dict[str, Any]) -> None:
        self._tell(options, {"drained": drain_spool(), "waiting": spool.all_waiting()})

    def _tell(self, options: dict[str, Any], facts: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.stdout.write(json.dumps(facts))
            return
        out = Out(self.stdout)
        wrong = facts.pop("differences", None)
        out.table(["what", "records"], [[name, str(count)] for name, count in facts.items()])
        for line in wrong or []:
            out.line(line, BAD)
        if wrong == []:
            out.line("The counters say what the rows say.", GOOD)


def _place(options: dict[str, Any]) -> tuple[RequestContext, AnalyticsStore, datetime, datetime]:
    tenant, env = options["tenant"], options["env"]
    mode = snapshot().modes.get(tenant)
    if mode is None:
        raise NotFound(f"There is no tenant {tenant}.")
    context = RequestContext(tenant, env, mode, options["project"], actor=ACTOR, request_id=ACTOR)
    start = options["start"] or EARLIEST
    end = options["end"] or datetime.now(UTC) + timedelta(days=1)
    return context, analytics_store(context), _utc(start), _utc(end)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
