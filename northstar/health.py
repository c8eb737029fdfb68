"""Is the process up, and can it do its work? Two questions, because a restart mends only the first."""

from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.db import Error as DatabaseFailure
from django.db import connection
from django.http import HttpRequest, HttpResponse

from northstar.instants import instant_text
from northstar.rendering import dumps
from routing.operations.processes import this_process
from routing.resolve import snapshot
from routing.snapshot import cache as snapshots
from storage.errors import BackendUnavailable

PROBE_KEY: Final = "northstar:ready"
OLDEST_SNAPSHOT_SECONDS: Final = 60.0
"""A process that has not learned of changes for longer than this asks to be taken out of service."""


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer that the process is up. It asks nobody else."""
    return _answer({"status": "ok"}, 200)


def readyz(_request: HttpRequest) -> HttpResponse:
    """Answer whether requests can be served: the database, and how old the view of the routes is.

    A cache that is away is told, and takes no process out of service: nothing depends on it.
    """
    checks = {"database": _database(), "cache": _cache(), "snapshot": _snapshot()}
    ready = all(check["ok"] for name, check in checks.items() if name != "cache")
    body = {"status": "ready" if ready else "not ready", "process": this_process().name, "checks": checks}
    return _answer(body, 200 if ready else 503)


def _answer(body: dict[str, Any], status: int) -> HttpResponse:
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "1"} if status == 503 else {})
    return HttpResponse(dumps(body), status=status, content_type="application/json", headers=headers)


def _database() -> dict[str, Any]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFailure as error:
        connection.close_if_unusable_or_obsolete()
        return {"ok": False, "reason": type(error).__name__}
    return {"ok": True}


def _cache() -> dict[str, Any]:
    cache.set(PROBE_KEY, 1, timeout=60)
    return {"ok": cache.get(PROBE_KEY) == 1}


def _snapshot() -> dict[str, Any]:
    try:
        revision = snapshot().revision
    except BackendUnavailable as error:
        return {"ok": False, "reason": error.code}
    age = snapshots.age()
    oldest = max(OLDEST_SNAPSHOT_SECONDS, 10 * settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS)
    since = instant_text(snapshots.since)
    return {"ok": age <= oldest, "revision": revision, "since": since, "age_seconds": round(age, 3)}
