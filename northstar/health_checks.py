"""What `doctor` asks of a running deployment: probes, processes, Redis, prices, second factors, the spool."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Max

from analytics.records import spool
from northstar.background import STREAMS
from northstar.errors import InvalidConfig
from northstar.findings import ERROR, WARNING, Finding
from northstar.notices import redis_failure
from northstar.second_factor.rule import is_required
from routing.costs import OLD_AFTER_DAYS, Price, price_table
from routing.health_models import RouteHealth
from routing.models import Route, RouteChange, SnapshotRevision
from routing.operations.processes import server_processes

LAG: Final = timedelta(seconds=5)
"""A process that, this long after a change, did not know it serves old routes."""


def probes() -> Iterator[Finding]:
    """Routes whose last probe failed."""
    failing = RouteHealth.objects.filter(ok=False, route__enabled=True).select_related("route").order_by("route_id")
    for health in failing:
        route = health.route
        done = ", ".join(name for name, _ in health.steps) or "none"
        yield Finding(
            ERROR,
            f"probe of route {route.pk} ({route})",
            f"It failed {health.failures} times in a row, last at {health.probed_at:%Y-%m-%d %H:%M:%S} UTC, after these steps: "
            f"{done}. {health.error_code}: {health.error}",
            health.fix or "Correct the route, then probe it again with `python manage.py probe_routes`.",
        )


def processes() -> Iterator[Finding]:
    """Processes that serve old routes, or that lack one to work in the background."""
    heard = server_processes()
    current = SnapshotRevision.objects.filter(pk=SnapshotRevision.ROW).values_list("revision", flat=True).first() or 0
    changed_at = RouteChange.objects.aggregate(at=Max("at"))["at"]
    for process in heard:
        if changed_at and process.revision < current and process.seen_at > changed_at + LAG:
            yield Finding(
                ERROR,
                f"process {process.name}",
                f"It serves the routes of revision {process.revision} since {process.revision_since:%Y-%m-%d %H:%M:%S} UTC; "
                f"{current} is current.",
                "Check that it reaches the database, its /readyz and its log; restart it if it stays behind.",
            )
    if heard and all(process.role != STREAMS for process in heard):
        yield Finding(
            WARNING,
            "stream process",
            "Only web workers run: nothing relays control-plane events or probes routes, and no stream can be followed.",
            "Run `northstar.asgi` beside the workers (docs/deployment.md).",
        )


def redis() -> Iterator[Finding]:
    """A Redis that is configured and away."""
    failure = redis_failure() if settings.REDIS_URL else None
    if failure:
        yield Finding(
            WARNING,
            "REDIS_URL",
            f"Redis does not answer ({failure}): there is no shared cache, and processes learn of changes by polling.",
            "Start it, or correct REDIS_URL; the servers connect again by themselves.",
        )


def prices() -> Iterator[Finding]:
    """A price table that cannot be read, or figures of backends in use that are old."""
    try:
        table = price_table()
    except InvalidConfig as error:
        yield Finding(WARNING, "price table", error.detail, error.fix)
        return
    for backend_type in sorted(set(Route.objects.filter(enabled=True).values_list("backend_type", flat=True))):
        old = [price for price in table.of(backend_type) if _is_old(price)]
        if old:
            dated = ", ".join(sorted({price.date or "no date" for price in old}))
            yield Finding(
                WARNING,
                f"prices of {backend_type}",
                f"Cost estimates rest on list prices of {dated}.",
                "Give NORTHSTAR_PRICES_FILE a table with your own prices, in the form of routing/data/prices.json.",
            )


def second_factors() -> Iterator[Finding]:
    """Staff without a second factor, where the rule holds: whoever has the password may enrol one."""
    if not is_required():
        return
    lacking = (
        get_user_model()
        .objects.filter(is_staff=True, is_active=True)
        .exclude(authenticator__type=Authenticator.Type.TOTP)
    )
    for name in lacking.order_by("username").values_list("username", flat=True):
        yield Finding(
            WARNING,
            f"user {name}",
            "This member of the staff has no second factor yet: whoever knows the password can enrol one.",
            "Have that person log in to the admin and enrol, or make the account inactive.",
        )


def _is_old(price: Price) -> bool:
    age = price.age_days()
    return age is None or age > OLD_AFTER_DAYS


def spooled() -> Iterator[Finding]:
    """Records that wait on this machine for a store that is away, and submissions that cannot be read."""
    waiting, damaged = spool.all_waiting(), spool.damaged()
    if waiting:
        yield Finding(
            WARNING,
            "spool",
            f"{waiting} analytics records wait on this machine for their store.",
            "Look at the analytics_store routes' probes; then run `python manage.py records drain`.",
        )
    if damaged:
        names = ", ".join(damaged[:3])
        yield Finding(
            ERROR,
            "spool",
            f"{len(damaged)} spooled submissions are damaged: {names}.",
            "Restore the files below NORTHSTAR_HOME/spool from a backup under their names ending in .json, or remove them.",
        )


HEALTH_CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    probes,
    processes,
    redis,
    prices,
    second_factors,
    spooled,
)
