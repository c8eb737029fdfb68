"""Which policies apply: a place's policies are read at most every few seconds, so counting asks no store for them.

Levels go from the tenant over the project to the user. Each takes its own place's policy, else the tenant's for all its projects,
else that of `t_system`, for which the tabular route of `t_system` is read: the one named exception to the rule that a route
serves its own tenant.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics.budgets.adjustments import Adjustment, stored_adjustment
from analytics.budgets.names import (
    ADJUSTMENTS,
    LEVELS,
    POLICIES,
    PRICES,
    PROJECT,
    SHELF,
    TENANT,
    USER,
    check_name,
    counter_key,
    policy_key,
)
from analytics.budgets.places import Place, open_place
from analytics.budgets.policies import OBSERVE, Policy, stored_policy
from analytics.budgets.prices import Price, stored_price
from analytics.budgets.remembered import Remembered
from northstar.context import NO_SURFACE, RequestContext
from northstar.errors import NoRouteConfigured
from northstar.modes import SYSTEM_TENANT
from routing.operations.registry import SYSTEM_ENV
from routing.resolve import snapshot
from storage.errors import BackendUnavailable

FRESH_SECONDS: Final = 5.0
"""How old a process's view of a place's policies may grow. Its own changes it sees at once."""
ENDED_KEPT: Final = timedelta(days=400)
"""For so long an adjustment that has ended still tells what a window of its time was allowed, and so what that leaves over."""
STALE_SECONDS: Final = 3600.0
"""How long the last view is used while its store cannot be reached."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The policies of one place by key, and what changes their limits for a time."""

    policies: Mapping[str, Policy] = field(default_factory=dict)
    adjustments: tuple[Adjustment, ...] = ()
    prices: Mapping[str, tuple[Price, ...]] = field(default_factory=dict)
    read_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """One counter's budget: where it is counted (`project` None: with the tenant), for whom, under which policy."""

    name: str
    project: str | None
    user: str | None
    policy: Policy
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def rank(self) -> int:
        """0 for the outermost level."""
        return LEVELS.index(self.name)

    def counter(self, window_key: str) -> str:
        """Return the key of the counter of one window."""
        return counter_key(self.policy.provider, self.policy.metric, window_key, self.user)


_ANYBODY: Final = "_"
"""No user is called so."""
_EMPTY: Final = Shelf()
_shelves: Final = Remembered[Shelf]()


def levels_of(context: RequestContext, provider: str, metric: str) -> list[Level]:
    """Return the levels that have a policy, outermost first. Raises InvalidRequest for a bad name, or as `open_store`."""
    check_name(provider, field="provider")
    check_name(metric, field="metric")
    return list(_levels(context, _shelves_of(context), provider, metric))


def implied_level(context: RequestContext, provider: str, metric: str) -> Level:
    """Return the level at which usage without any policy is counted: that of the context's own place, without a limit."""
    name = PROJECT if context.project_id else TENANT
    return Level(name, context.project_id, None, Policy(provider, metric, name, mode=OBSERVE))


def budgets_in(context: RequestContext, provider: str = "") -> list[tuple[str, str]]:
    """Return provider and metric of every policy that applies in the context, or of those of one provider, in order."""
    found = {
        (policy.provider, policy.metric)
        for shelf in _shelves_of(context)
        for policy in shelf.policies.values()
        if provider in {"", policy.provider}
    }
    return sorted(found)


def users_levels(context: RequestContext, provider: str, metric: str) -> list[Level]:
    """Return the level of each user that has no budget of its own, without a user; empty where there is none."""
    anybody = replace(context, user_id=_ANYBODY)
    return [replace(one, user=None) for one in levels_of(anybody, provider, metric) if one.name == USER]


def price_of(context: RequestContext, provider: str, metric: str, at: datetime) -> Price | None:
    """Return the price of a unit at this moment, the context's own place first; None where nobody has set one."""
    for shelf in _shelves_of(context):
        known = [price for price in shelf.prices.get(f"{provider}:{metric}", ()) if price.since <= at]
        if known:
            return max(known, key=lambda price: price.since)
    return None


def own_shelf(context: RequestContext, project: str | None) -> Shelf:
    """Return a place's own policies; empty where it has no tabular route. Raises BackendUnavailable when they were never read."""
    try:
        place = open_place(context, project)
    except NoRouteConfigured:
        return _EMPTY
    return _fresh(place)


def forget(place: Place) -> None:
    """Have this process read the place's policies again at the next look."""
    _shelves.forget(place)


def _shelves_of(context: RequestContext) -> list[Shelf]:
    """The shelves to look at, innermost first."""
    shelves = [own_shelf(context, context.project_id)] if context.project_id else []
    return [*shelves, own_shelf(context, None), _system_shelf(context)]


def _system_shelf(context: RequestContext) -> Shelf:
    now = snapshot()
    if context.tenant_id == SYSTEM_TENANT or SYSTEM_TENANT not in now.modes:
        return _EMPTY
    routed = ("tabular_store", SYSTEM_TENANT, context.env, None) in now.routes
    env = context.env if routed else SYSTEM_ENV
    system = RequestContext(SYSTEM_TENANT, env, now.modes[SYSTEM_TENANT], surface_id=NO_SURFACE)
    return own_shelf(system, None)


def _levels(context: RequestContext, shelves: list[Shelf], provider: str, metric: str) -> Iterator[Level]:
    project = context.project_id
    tenant_shelves = shelves[1:] if project else shelves
    wanted: dict[str, tuple[list[Shelf], str | None, str | None]] = {TENANT: (tenant_shelves, None, None)}
    if project:
        wanted[PROJECT] = (shelves, project, None)
    if context.user_id:
        wanted[USER] = (shelves, project, context.user_id)
    for name in LEVELS:
        if name in wanted:
            where, level_project, user = wanted[name]
            found = _policy(where, provider, metric, name, user)
            if found:
                shelf, policy = found
                adjustments = tuple(one for one in shelf.adjustments if one.is_of(policy))
                yield Level(name, level_project, user, policy, adjustments)


def _policy(
    shelves: list[Shelf], provider: str, metric: str, level: str, user: str | None
) -> tuple[Shelf, Policy] | None:
    keys = [policy_key(provider, metric, level, user), policy_key(provider, metric, level)]
    for place, shelf in enumerate(shelves):
        for key in keys:
            policy = shelf.policies.get(key)
            if policy:
                return shelf, replace(policy, inherited=_owner(place, len(shelves)) if place else "")
    return None


def _owner(place: int, shelves: int) -> str:
    return SYSTEM_TENANT if place == shelves - 1 else TENANT


def _fresh(place: Place) -> Shelf:
    shelf = _shelves.get(place)
    now = time.monotonic()
    if shelf and now - shelf.read_at < FRESH_SECONDS:
        return shelf
    try:
        fresh = _read(place, now)
    except BackendUnavailable as error:
        if shelf is None or now - shelf.read_at > STALE_SECONDS:
            raise
        logger.warning("Budget policies of %s are not fresh: %s", "/".join(place.store.scope.parts), error.detail)
        return shelf
    _shelves.keep(place, fresh)
    return fresh


def _read(place: Place, now: float) -> Shelf:
    since = datetime.now(UTC) - ENDED_KEPT
    policies: dict[str, Policy] = {}
    adjustments: list[Adjustment] = []
    prices: dict[str, tuple[Price, ...]] = {}
    for record in place.all(SHELF):
        if record.key.startswith(POLICIES):
            policies[record.key] = stored_policy(record.data, record.version)
        elif record.key.startswith(ADJUSTMENTS):
            adjustments.append(stored_adjustment(record.key, record.data))
        elif record.key.startswith(PRICES):
            price = stored_price(record.data)
            prices[price.name] = (*prices.get(price.name, ()), price)
    holding = tuple(one for one in adjustments if one.until is None or one.until > since)
    return Shelf(policies, holding, prices, now)
