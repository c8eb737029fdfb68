"""Everything that would stop a request, or soon will, each with its fix."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.db import Error as DatabaseFailure
from django.db.models import Count, Max, Min

from northstar.errors import NorthstarError
from northstar.foreign_objects import foreign_objects
from northstar.migrations import pending_migrations
from northstar.modes import SYSTEM_TENANT
from routing.audit import verify_chain
from routing.models import LAB_DEPLOYMENT, ApiKey, OutboxEntry, RouteChange
from routing.operations.relay import SYSTEM_ENV
from routing.resolve import snapshot
from routing.snapshot import ResolvedRoute
from storage.opening import build_adapter
from storage.registry import KINDS

ERROR: Final = "error"
WARNING: Final = "warning"

EXPIRES_SOON: Final = timedelta(days=14)
DELIVERY_TIME: Final = timedelta(minutes=1)
"""An event that waits longer than this has a reason to."""
CLOCK_DRIFT: Final = timedelta(seconds=5)
ROUTES_AT_ONCE: Final = 32
UNAVAILABLE_FIX: Final = (
    "Check the service's status, the network and the route's endpoint; the server goes on by itself."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. `level` is error when it stops requests now, else warning; `fix` says what to do."""

    level: str
    subject: str
    detail: str
    fix: str


def examine() -> list[Finding]:
    """Return everything that is wrong, errors first. Changes nothing; asks every route's backend whether it answers."""
    findings = [*_home(), *_settings()]
    database = list(_database())
    findings += database or [finding for check in _CHECKS for finding in check()]
    return sorted(findings, key=lambda finding: finding.level != ERROR)


def _home() -> Iterator[Finding]:
    home = Path(settings.NORTHSTAR_HOME)
    if not home.is_dir():
        yield Finding(
            ERROR, "NORTHSTAR_HOME", f"{home} is no folder.", "Create it, or run `python manage.py quickstart`."
        )
    elif not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            ERROR, "NORTHSTAR_HOME", f"{home} cannot be written.", "Give the server's user write access to it."
        )


def _settings() -> Iterator[Finding]:
    lab = settings.NORTHSTAR_DEPLOYMENT == LAB_DEPLOYMENT
    if settings.DEBUG:
        level = WARNING if lab else ERROR
        yield Finding(level, "settings", "DEBUG is on: error pages show source and settings.", "Set DEBUG to False.")
    if "*" in settings.ALLOWED_HOSTS:
        yield Finding(
            WARNING if lab else ERROR,
            "settings",
            "ALLOWED_HOSTS is *: any name is accepted as this server's.",
            "Name the hosts that clients use in ALLOWED_HOSTS.",
        )
    for message in checks.run_checks(include_deployment_checks=not lab):
        if message.is_serious() or message.level >= checks.WARNING:
            level = ERROR if message.is_serious() else WARNING
            yield Finding(
                level, f"settings ({message.id})", message.msg, message.hint or "See the check's documentation."
            )


def _database() -> Iterator[Finding]:
    try:
        pending = pending_migrations()
    except DatabaseFailure as error:
        yield Finding(
            ERROR,
            "database",
            f"The control-plane database does not answer: {type(error).__name__}.",
            "Check DATABASE_URL and that the database runs.",
        )
        return
    if pending:
        names = ", ".join(pending[:3])
        more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
        yield Finding(
            ERROR,
            "database",
            f"{len(pending)} migrations are pending: {names}{more}.",
            "Run `python manage.py migrate`.",
        )


def _routes() -> Iterator[Finding]:
    """Ask all routes at once: one service that hangs must not hold up the answer route by route."""
    now = snapshot()
    routes = sorted(now.routes.values(), key=lambda route: route.id)
    with ThreadPoolExecutor(ROUTES_AT_ONCE, thread_name_prefix="doctor") as pool:
        findings = pool.map(lambda route: _ping(route, now.modes[route.tenant_id]), routes)
        yield from (finding for finding in findings if finding)


def _ping(route: ResolvedRoute, mode: str) -> Finding | None:
    try:
        adapter = build_adapter(route, mode)  # its driver closes when nobody holds it
        adapter.driver.ping()
    except NorthstarError as error:
        where = f"route {route.id} ({route.resource_kind} in {_place(route)} on {route.backend_type})"
        correct = f"Correct it in the admin at /admin/routing/route/{route.id}/change/."
        fix = UNAVAILABLE_FIX if error.retryable else error.fix or correct
        return Finding(ERROR, where, f"{error.code}: {error.told()}", fix)
    return None


def _foreign_objects() -> Iterator[Finding]:
    for found in foreign_objects():
        route, names = found.route, found.names
        shown = ", ".join(f"{name[:80]!a}" for name in names[:3]) + (", …" if len(names) > 3 else "")
        yield Finding(
            WARNING,
            f"route {route.id} ({route.resource_kind} in {_place(route)} on {route.backend_type})",
            f"{len(names)} objects have names that are no keys, so no listing shows them: {shown}.",
            "Find out which program writes there; rename or remove them with the service's own tools.",
        )


def _place(route: ResolvedRoute) -> str:
    return f"{route.tenant_id}/{route.env}" + (f"/{route.project_id}" if route.project_id else "")


def _missing_routes() -> Iterator[Finding]:
    now = snapshot()
    for tenant in sorted(now.modes):
        envs = sorted({env for _, owner, env, _ in now.all_routes() if owner == tenant})
        if not envs:
            yield Finding(
                WARNING,
                f"tenant {tenant}",
                "It has no route: each of its requests is refused.",
                _make_route(tenant, "dev"),
            )
        for env in envs:
            missing = [kind for kind in KINDS if (kind, tenant, env, None) not in now.routes]
            if missing:
                detail = f"No enabled route for {', '.join(missing)}, unless a project has its own."
                yield Finding(WARNING, f"{tenant}/{env}", detail, _make_route(tenant, env))


def _make_route(tenant: str, env: str) -> str:
    return (
        f"Create it for {tenant}/{env} in the admin at /admin/routing/route/add/, or with POST /api/v1/routing/routes."
    )


def _outbox() -> Iterator[Finding]:
    late = OutboxEntry.objects.filter(delivered_at__isnull=True, created_at__lt=datetime.now(UTC) - DELIVERY_TIME)
    groups = late.order_by().values("tenant_id", "env", "stream_id")
    for group in groups.annotate(
        rows=Count("id"), since=Min("created_at"), tries=Max("attempts"), why=Max("last_error")
    ):
        where = f"outbox to {group['stream_id']} of {group['tenant_id']}/{group['env']}"
        why = group["why"] or ("the last attempt is still running." if group["tries"] else "no server has tried yet.")
        place = f"{group['tenant_id']}/{group['env']}"
        if group["tenant_id"] == SYSTEM_TENANT and group["env"] != SYSTEM_ENV:
            place = f"{SYSTEM_TENANT}/{SYSTEM_ENV}, or else {place},"
        fix = f"Make sure that {place} has an event_stream route that answers; the running server then delivers them by itself."
        detail = f"{group['rows']} control-plane events wait since {group['since']:%Y-%m-%d %H:%M} UTC: {why}"
        yield Finding(WARNING, where, detail, fix)


def _audit() -> Iterator[Finding]:
    status = verify_chain()
    if not status.ok:
        where = f"audit row {status.first_broken}" if status.first_broken else "audit trail"
        fix = "Compare the trail with a backup and the stream `routing` of t_system, and find out who can write to the database."
        yield Finding(ERROR, where, f"The hash chain is broken. {status.reason}", fix)


def _people() -> Iterator[Finding]:
    if not get_user_model().objects.filter(is_superuser=True, is_active=True).exists():
        yield Finding(
            WARNING, "admin user", "Nobody can log in to the admin.", "Run `python manage.py createsuperuser`."
        )


def _keys() -> Iterator[Finding]:
    now = datetime.now(UTC)
    soon = ApiKey.objects.filter(revoked_at__isnull=True, expires_at__gt=now, expires_at__lt=now + EXPIRES_SOON)
    for key in soon.order_by("expires_at"):
        yield Finding(
            WARNING,
            f"API key {key.key_id} of {key.tenant_id}",
            f"It expires at {key.expires_at:%Y-%m-%d %H:%M} UTC. Label: {key.label}.",
            f"Issue a new one with `python manage.py apikey create --tenant {key.tenant_id}`, then revoke this one.",
        )


def _clock() -> Iterator[Finding]:
    newest = RouteChange.objects.aggregate(at=Max("at"))["at"]
    if newest and newest > datetime.now(UTC) + CLOCK_DRIFT:
        yield Finding(
            WARNING,
            "clock",
            f"This machine's clock is behind: the newest audit row is of {newest:%Y-%m-%d %H:%M:%S} UTC.",
            "Set the clock, and keep it right with NTP: expiry depends on it.",
        )


_CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _routes,
    _foreign_objects,
    _missing_routes,
    _outbox,
    _audit,
    _people,
    _keys,
    _clock,
)
