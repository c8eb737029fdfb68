"""What a server process does beside its requests, in threads of its own: begun with the first request, ended with the process."""

import logging
import os
import random
import threading
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from time import monotonic
from typing import Final

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection

from analytics.budgets.sweeping import sweep_in_turn as sweep_budgets_in_turn
from analytics.records.draining import drain_spool
from media.sweeping import sweep_media_in_turn
from northstar.notices import notices
from northstar.periodic import Periodic
from northstar.propagation import hear_changes
from routing.operations.health import probe_due_routes
from routing.operations.memory import SWEPT_EVERY as SWEPT_MEMORY_EVERY
from routing.operations.memory import sweep_memory_in_turn
from routing.operations.processes import report_process, withdraw_process
from routing.operations.relay import Relay, start_relay
from routing.operations.sweeping import SWEPT_EVERY, sweep_in_turn
from routing.operations.usage import flush_usage, forget_old_usage

WEB: Final = "web"
"""Answers requests only."""
STREAMS: Final = "streams"
"""Also relays the outbox, probes routes and sweeps what was left; there must be one such process, and may be several."""
STOP_SECONDS: Final = 2.0
DAY_SECONDS: Final = 86_400.0
DUE_EVERY_SECONDS: Final = 5.0
SWEEP_WITHIN_SECONDS: Final = 3600.0
"""Processes that start together do not sweep together."""

logger = logging.getLogger(__name__)


@dataclass
class Background:
    """The threads of one process."""

    role: str
    jobs: list[Periodic] = field(default_factory=list)
    relay: Relay | None = None
    pid: int = field(default_factory=os.getpid)

    def start(self) -> None:
        """Start what the role has to do."""
        hear_changes()
        self.jobs.append(Periodic("northstar-report", _Report(self.role), settings.NORTHSTAR_REPORT_SECONDS))
        self.jobs.append(Periodic("northstar-spool", drain_spool, settings.NORTHSTAR_SPOOL_SECONDS))
        if self.role == STREAMS:
            self.relay = start_relay()
            first = random.uniform(0, SWEEP_WITHIN_SECONDS)  # noqa: S311 - spreads work, and is no secret
            every = SWEPT_MEMORY_EVERY.total_seconds()
            self.jobs.append(Periodic("northstar-memory", sweep_memory_in_turn, every, first_after=first))
            self.jobs.append(Periodic("northstar-sweep", _sweep, SWEPT_EVERY.total_seconds(), first_after=first))
            if settings.NORTHSTAR_PROBE_SECONDS:
                seconds = min(DUE_EVERY_SECONDS, settings.NORTHSTAR_PROBE_SECONDS)
                self.jobs.append(Periodic("northstar-probes", probe_due_routes, seconds))
            if seconds := settings.NORTHSTAR_BUDGET_SWEEP_SECONDS:
                first = random.uniform(0, seconds)  # noqa: S311
                self.jobs.append(Periodic("northstar-budgets", sweep_budgets_in_turn, seconds, first_after=first))
        for job in self.jobs:
            job.start()

    def stop(self) -> None:
        """End them all, and keep what was counted last."""
        deadline = monotonic() + STOP_SECONDS
        for job in self.jobs:
            job.ask_to_stop()
        if self.relay:
            self.relay.stop()
        for job in self.jobs:
            job.join(max(0.0, deadline - monotonic()))
        mine = notices()
        if mine:
            mine.stop()
        try:
            flush_usage()
            withdraw_process()
        except DatabaseFailure as error:
            logger.warning("What was counted last is lost: %s", error)
        finally:
            connection.close()


def _sweep() -> None:
    """Sweep uploads, then media: what a stranger never registered is gone before what expected it is given up."""
    sweep_in_turn()
    sweep_media_in_turn()


class _Report:
    """Keeps what was counted and says that the process is there; once a day also forgets what is old."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._forget_at = 0.0

    def __call__(self) -> None:
        flush_usage()
        report_process(self._role)
        if monotonic() >= self._forget_at:
            forget_old_usage()
            self._forget_at = monotonic() + DAY_SECONDS


_current: Background | None = None
_starting: Final = threading.Lock()


def start_background(role: str) -> Background:
    """Start the background of this process unless it runs; a forked child has its own. Call `stop` before the process ends."""
    global _current  # noqa: PLW0603 - one per process
    if _current is None or _current.pid != os.getpid():
        with _starting:
            if _current is None or _current.pid != os.getpid():
                background = Background(role)
                background.start()
                _current = background
                # A worker of another server ends without telling us; where it is multiprocessing's child, without atexit too.
                Finalize(None, stop_background, exitpriority=0)
    return _current


def stop_background() -> None:
    """Stop the background of this process, if it runs."""
    global _current  # noqa: PLW0603
    if _current is not None and _current.pid == os.getpid():
        _current.stop()
        _current = None
