"""Counts and times every store operation, in memory: no write per request, read by `/metrics` and the diagnostics.

What is counted per route is taken from here at intervals (`routing.operations.usage`); a crash loses what was counted since.
"""

import logging
import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

import prometheus_client
import structlog

from northstar.errors import NorthstarError
from storage.usage import Usage

_LABELS: Final = ("kind", "backend", "operation")
OPERATIONS: Final = prometheus_client.Counter(
    "northstar_store_operations", "Store operations by outcome.", (*_LABELS, "outcome")
)
SECONDS: Final = prometheus_client.Histogram(
    "northstar_store_operation_seconds", "Time of store operations, retries included.", _LABELS
)
REPLICA_READS: Final = prometheus_client.Counter(
    "northstar_store_replica_reads",
    "Reads answered by a replica region, because the route's own was down.",
    (*_LABELS, "region"),
)
OK: Final = "OK"
DEFECT: Final = "ERROR"
SERVER_ERROR: Final = 500
"""From this status on it is the service that failed; below, the answer is a good one."""

LATENCY_SECONDS: Final = tuple(
    round(step * 10.0**power, 6) for power in range(-5, 2) for step in (1, 2, 5) if step * 10.0**power <= 20
)
"""Upper bounds of the histogram that each route has, from 10 µs to 20 s; one more place takes what is slower."""

_LOGGER: Final = "northstar.store"
_log = structlog.get_logger(_LOGGER)
_logger = logging.getLogger(_LOGGER)


class _Meters(NamedTuple):
    seconds: prometheus_client.Histogram
    stored: prometheus_client.Counter


@lru_cache(maxsize=1024)
def _meters(kind: str, backend: str, operation: str) -> _Meters:
    return _Meters(SECONDS.labels(kind, backend, operation), OPERATIONS.labels(kind, backend, operation, OK))


@dataclass(frozen=True, slots=True)
class Failure:
    """The last time that a route's service failed. `error` was redacted by the guard."""

    at: datetime
    operation: str
    error_code: str
    error: str


@dataclass(slots=True)
class Tally:
    """What was counted of a route. `errors` are failures of the service: a conflict or a full quota is a good answer."""

    operations: int = 0
    errors: int = 0
    used: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    """Operations by the place of their time in `LATENCY_SECONDS`."""
    failure: Failure | None = None

    def add(self, other: "Tally") -> None:
        """Take up what another one has counted earlier."""
        self.operations += other.operations
        self.errors += other.errors
        self.used.update(other.used)
        self.latency.update(other.latency)
        self.failure = self.failure or other.failure


class RouteMeters:
    """The tallies of all routes of this process since they were last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[int, Tally] = {}

    def count(self, route_id: int, seconds: float, used: Usage, failure: Failure | None) -> None:
        """Count one operation."""
        with self._lock:
            tally = self._tallies.get(route_id)
            if tally is None:
                tally = self._tallies[route_id] = Tally()
            tally.operations += 1
            tally.latency[bisect_left(LATENCY_SECONDS, seconds)] += 1
            counted = tally.used
            for measure, amount in used.items():
                counted[measure] += amount
            if failure is not None:
                tally.errors += 1
                tally.failure = failure

    def take(self) -> dict[int, Tally]:
        """Return the tallies by route id and begin anew."""
        with self._lock:
            taken, self._tallies = self._tallies, {}
        return taken

    def give_back(self, taken: dict[int, Tally]) -> None:
        """Take up again what could not be kept."""
        with self._lock:
            for route_id, tally in taken.items():
                self._tallies.setdefault(route_id, Tally()).add(tally)


route_meters: Final = RouteMeters()


def record(
    *,
    kind: str,
    backend: str,
    tenant: str,
    route_id: int,
    operation: str,
    seconds: float,
    outcome: str,
    used: Usage,
    error: NorthstarError | None = None,
) -> None:
    """Count one operation and its outcome (`OK`, the error's code, or `ERROR` for a defect), and log it at debug level.

    An operation of no route (id 0), such as a probe's, counts for none.
    """
    meters = _meters(kind, backend, operation)
    meters.seconds.observe(seconds)
    if outcome == OK:
        meters.stored.inc()
    else:
        OPERATIONS.labels(kind, backend, operation, outcome).inc()
    if _logger.isEnabledFor(logging.DEBUG):  # structlog would find out only after most of its work
        _log.debug("store_operation", kind=kind, backend=backend, tenant=tenant, operation=operation, outcome=outcome)
    if route_id:
        route_meters.count(route_id, seconds, used, _failure(operation, outcome, error))


def _failure(operation: str, outcome: str, error: NorthstarError | None) -> Failure | None:
    if outcome == DEFECT:
        return Failure(datetime.now(UTC), operation, NorthstarError.code, "A defect: see the server's log.")
    if error is None or error.status < SERVER_ERROR:
        return None
    return Failure(datetime.now(UTC), operation, error.code, error.told())
