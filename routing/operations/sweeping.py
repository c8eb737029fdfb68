"""Sweeping: uploads that nobody registered, and parts of writes that died, are removed from every object route.

The rule: a presigned URL lives at most 7 days, and an upload is never older than its URL. So an upload that came more than 7
days ago has terms that are over, and only such a one is removed, `older_than` after that.
"""

import logging
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.db import Error as DatabaseFailure
from django.db import connection

from northstar.errors import NorthstarError
from routing.resolve import snapshot
from routing.snapshot import ResolvedRoute
from storage.blob_guard import GuardedBlobs
from storage.blobs import Swept
from storage.guard import ServedBy
from storage.keys import Scope
from storage.kinds.uploads import LONGEST_SECONDS
from storage.opening import build_adapter
from storage.registry import BLOBS, KINDS

OLDER_THAN: Final = timedelta(hours=24)
URL_LIFE: Final = timedelta(seconds=LONGEST_SECONDS)
SWEPT_EVERY: Final = timedelta(days=1)
"""A sweep lists what a tenant has on its way in: cheap, but not free. Nothing is lost by waiting a day."""
FIRST_WITHIN: Final = timedelta(hours=1)
"""Processes that start together do not sweep together."""
STOP_SECONDS: Final = 5.0
_TURN: Final = "northstar.sweep"
_NOTHING: Final = Swept()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RouteSweep:
    """What was swept behind one route, or why it could not be."""

    route: ResolvedRoute
    swept: Swept = _NOTHING
    error: NorthstarError | None = None


def sweep_routes(*, older_than: timedelta = OLDER_THAN, dry_run: bool = False) -> Iterator[RouteSweep]:
    """Sweep behind each enabled object route, or only count what that would remove. One failure holds up no other route."""
    before = datetime.now(UTC) - URL_LIFE - older_than
    now = snapshot()
    for route in sorted(now.routes.values(), key=lambda route: route.id):
        if KINDS[route.resource_kind].primitive == BLOBS:
            yield _swept(route, now.modes[route.tenant_id], before, dry_run=dry_run)


def _swept(route: ResolvedRoute, mode: str, before: datetime, *, dry_run: bool) -> RouteSweep:
    try:
        blobs = blobs_of(route, mode)
        return RouteSweep(route, blobs.sweep(before=before, dry_run=dry_run))
    except NorthstarError as error:
        return RouteSweep(route, error=error)


def blobs_of(route: ResolvedRoute, mode: str) -> GuardedBlobs:
    """Open a route's objects by a driver of their own, which closes when nobody holds them. Raises as `build_adapter`."""
    adapter = build_adapter(route, mode)
    return GuardedBlobs(
        adapter.driver,
        scope=Scope(route.tenant_id, route.env, route.project_id),
        served_by=ServedBy(route.id, route.revision, route.backend_type),
        kind=route.resource_kind,
        secrets=adapter.secrets,
        lease=adapter,
    )


class Sweeper:
    """A thread that sweeps all object routes once a day; of processes that share a cache, one does."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upload-sweeper", daemon=True)

    def start(self) -> None:
        """Begin: the first sweep comes within an hour. A sweeper is started once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the route in hand."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        pause = random.uniform(0, FIRST_WITHIN.total_seconds())  # noqa: S311 - spreads work, and is no secret
        while not self._stopping.wait(pause):
            pause = SWEPT_EVERY.total_seconds()
            if cache.add(_TURN, True, timeout=pause / 2):
                self.sweep()

    def sweep(self) -> None:
        """Sweep all routes once, and log what was removed and what failed."""
        try:
            for one in sweep_routes():
                _log(one)
                if self._stopping.is_set():
                    return
        except (DatabaseFailure, NorthstarError) as error:
            logger.warning("Uploads were not swept: %s", error)
        finally:
            connection.close()


def _log(one: RouteSweep) -> None:
    if one.error:
        logger.warning("Route %s was not swept: %s: %s", one.route.id, one.error.code, one.error.detail)
    elif one.swept != _NOTHING:
        logger.info("Route %s: %s uploads and %s parts swept.", one.route.id, one.swept.uploads, one.swept.parts)


def start_sweeper() -> Sweeper:
    """Start the sweeper of this process; call `stop` on it before the process ends."""
    sweeper = Sweeper()
    sweeper.start()
    return sweeper
