"""Counts and times every store operation, in memory: no write per request, read by `/metrics` and the diagnostics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, NamedTuple

import structlog
from prometheus_client import Counter, Histogram

from northstar.errors import NorthstarError

_LABELS: Final = ("kind", "backend", "operation")
OPERATIONS: Final = Counter("northstar_store_operations", "Store operations by outcome.", (*_LABELS, "outcome"))
SECONDS: Final = Histogram("northstar_store_operation_seconds", "Time of store operations, retries included.", _LABELS)
REPLICA_READS: Final = Counter(
    "northstar_store_replica_reads",
    "Reads answered by a replica region, because the route's own was down.",
    (*_LABELS, "region"),
)

_log = structlog.get_logger("northstar.store")


class _Meters(NamedTuple):
    seconds: Histogram
    stored: Counter


@lru_cache(maxsize=1024)
def _meters(kind: str, backend: str, operation: str) -> _Meters:
    return _Meters(SECONDS.labels(kind, backend, operation), OPERATIONS.labels(kind, backend, operation, "OK"))


@contextmanager
def metered(*, kind: str, backend: str, tenant: str, operation: str) -> Iterator[None]:
    """Count one operation and its outcome (`OK`, the error's code, or `ERROR` for a defect), and log it at debug level."""
    meters = _meters(kind, backend, operation)
    started = time.perf_counter()
    outcome = "ERROR"
    try:
        yield
        outcome = "OK"
    except NorthstarError as error:
        outcome = error.code
        raise
    finally:
        meters.seconds.observe(time.perf_counter() - started)
        if outcome == "OK":
            meters.stored.inc()
        else:
            OPERATIONS.labels(kind, backend, operation, outcome).inc()
        _log.debug("store_operation", kind=kind, backend=backend, tenant=tenant, operation=operation, outcome=outcome)
