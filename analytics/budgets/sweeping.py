"""The sweep: what is due in every tenant's environment and project is settled, what is owed delivered, what was reached told.

Nothing depends on when it runs: whoever touches a reservation first settles it. It runs so that what nobody touches again is
given back too.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.core.cache import cache

from analytics.budgets.alerts import resolve_reached, review
from analytics.budgets.amounts import text
from analytics.budgets.figures import Figure, read_figures
from analytics.budgets.folding import fold
from analytics.budgets.names import OWED, USER, counter_key
from analytics.budgets.near import note_near
from analytics.budgets.outbox import ACTOR, deliver_all
from analytics.budgets.places import Place, open_place
from analytics.budgets.projects import projects_of
from analytics.budgets.recovery import recover_due
from analytics.budgets.shelves import budgets_in, levels_of, users_levels
from northstar.context import RequestContext
from northstar.errors import NoRouteConfigured, NorthstarError
from routing.operations.quotas import Quota, keep_quotas
from routing.resolve import snapshot

FOLD_EVERY_SECONDS: Final = 86_400
_TURN: Final = "northstar.budgets.sweep"
_FOLD_TURN: Final = "northstar.budgets.fold"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlaceSweep:
    """What was done in one place, or why it could not be."""

    tenant: str
    env: str
    project: str | None
    settled: int = 0
    delivered: int = 0
    waiting: int = 0
    alerts: int = 0
    folded: int = 0
    error: NorthstarError | None = None

    @property
    def is_idle(self) -> bool:
        return self.error is None and not (self.settled or self.delivered or self.alerts or self.folded)


def sweep_budgets(*, now: datetime | None = None, folding: bool = False) -> Iterator[PlaceSweep]:
    """Sweep each tenant's environments and the projects in them that have counters. One failure holds up no other place."""
    moment = now or datetime.now(UTC)
    for context in _contexts():
        try:
            tenant = open_place(context, None)
            projects = projects_of(tenant)
        except NorthstarError as error:
            yield PlaceSweep(context.tenant_id, context.env, None, error=error)
            continue
        for project in [*projects, None]:  # a project's rows are folded before their legs
            yield _swept(context, project, moment, folding=folding)


def sweep_in_turn() -> None:
    """Sweep all places and log what was done, unless another process that shares the cache has just done so."""
    if cache.add(_TURN, True, timeout=settings.NORTHSTAR_BUDGET_SWEEP_SECONDS / 2):
        folding = cache.add(_FOLD_TURN, True, timeout=FOLD_EVERY_SECONDS)
        for one in sweep_budgets(folding=folding):
            _log(one)


def _contexts() -> list[RequestContext]:
    """One per tenant and environment that has a tabular route of the tenant's own."""
    now = snapshot()
    places = sorted(
        (route.tenant_id, route.env)
        for route in now.routes.values()
        if route.resource_kind == "tabular_store" and route.project_id is None
    )
    return [RequestContext(tenant, env, now.modes[tenant], actor=ACTOR) for tenant, env in places]


def _swept(context: RequestContext, project: str | None, now: datetime, *, folding: bool) -> PlaceSweep:
    done = PlaceSweep(context.tenant_id, context.env, project)
    try:
        place = open_place(context, project)
        in_place = replace(context, project_id=project)
        if place.page(OWED, limit=1).records:
            recovered = recover_due(in_place, place, now)
            done = replace(done, settled=recovered.rows, error=recovered.error)
            delivered, waiting = deliver_all(in_place, place)
            done = replace(done, delivered=delivered, waiting=waiting)
        done = replace(done, alerts=_reviewed(in_place, place))
        return replace(done, folded=fold(in_place, place, now)) if folding else done
    except NoRouteConfigured:
        return done
    except NorthstarError as error:
        return replace(done, error=error)


def _reviewed(context: RequestContext, place: Place) -> int:
    """Raise and resolve what is due in a place, leave word of its budgets for diagnostics and pages; return how many alerts."""
    changed, seen = 0, list[Figure]()
    for figure in _figures(context, place):
        changed += len(resolve_reached(context, figure)) + len(review(context, figure))
        seen.append(figure)
    note_near(context, place.project, seen)
    quotas = [_quota(figure) for figure in seen if figure.level.user is None]
    keep_quotas(context.tenant_id, context.env, place.project, quotas)
    return changed


def _quota(figure: Figure) -> Quota:
    policy = figure.level.policy
    limit = None if figure.limit is None else text(figure.limit)
    used, reserved = text(figure.used), text(figure.reserved)
    return Quota(policy.provider, policy.metric, figure.level.name, figure.window.label, used, reserved, limit)


def _figures(context: RequestContext, place: Place) -> Iterator[Figure]:
    """Every budget that is counted in this place, as it is now; a user's where that user has a counter."""
    for provider, metric in budgets_in(context):
        own = [one for one in levels_of(context, provider, metric) if one.project == place.project]
        yield from read_figures(context, own)
        for user in _users(context, place, provider, metric):
            of_user = replace(context, user_id=user)
            levels = [one for one in levels_of(of_user, provider, metric) if one.name == USER]
            yield from read_figures(of_user, levels)


def _users(context: RequestContext, place: Place, provider: str, metric: str) -> list[str]:
    """The users that have a counter in the window that is on."""
    for level in users_levels(context, provider, metric):
        window = level.policy.rule.at(datetime.now(UTC))
        prefix = f"{counter_key(provider, metric, window.key)}:{USER}:"
        return [record.key.removeprefix(prefix) for record in place.all(prefix)]
    return []


def _log(one: PlaceSweep) -> None:
    where = "/".join(part for part in (one.tenant, one.env, one.project) if part)
    if one.error:
        logger.warning("The budgets of %s were not swept: %s: %s", where, one.error.code, one.error.detail)
    elif not one.is_idle:
        logger.info("Budgets of %s: %s rows settled, %s alerts, %s folded.", where, one.settled, one.alerts, one.folded)
