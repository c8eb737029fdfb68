"""Counting: record_usage counts once at every level or nowhere, and says what is left."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final

from analytics.budgets.alerts import raise_alerts
from analytics.budgets.amounts import micros, units
from analytics.budgets.errors import BudgetExceeded, BudgetThrottled
from analytics.budgets.figures import Figure, figures_of, unused
from analytics.budgets.names import MONEY
from analytics.budgets.plans import Plan, Share, plan_usage
from analytics.budgets.policies import OPEN
from analytics.budgets.projects import remember_project
from analytics.budgets.rows import COMMITTED
from analytics.budgets.shelves import Level, levels_of
from analytics.budgets.taking import Taken, take
from analytics.budgets.windows import Window
from northstar.context import RequestContext
from northstar.errors import InvalidRequest
from storage.errors import BackendUnavailable

MOST_USAGES: Final = 5000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was counted. `levels` are the budgets that it counts in, outermost first, as they are now.

    `counted` is False where the counter could not be reached and every budget says `fail: open`: the usage passes uncounted, and
    the levels say what they would of no usage at all.
    """

    usage_id: str
    amount: Decimal
    levels: tuple[Figure, ...] = ()
    counted: bool = True
    replayed: bool = False
    price_version: str = ""
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """One usage of a batch. `key` names it: the same key never counts twice."""

    amount: Decimal | int | str
    key: str
    at: datetime | None = None


def record_usage(
    context: RequestContext,
    provider: str,
    metric: str,
    amount: Decimal | int | str,
    *,
    key: str = "",
    at: datetime | None = None,
) -> Receipt:
    """Count an amount (below zero: a refund) in the window of its time, at every level that has a budget, or at none.

    Where no level has one, it is counted in the context's own place over its lifetime. The same `key` counts once, for at
    least two days. One round trip where all levels share a place, two where a project and its tenant both have a budget;
    policies are at most 5 seconds old. Raises BudgetExceeded (a QuotaExceeded) or BudgetThrottled, both recorded without
    using up the key; FloorReached for a refund of more than was used; IdempotencyMismatch; InvalidRequest for a bad name,
    amount or time; or what the stores raise.
    """
    found = micros(amount)
    if not found:
        raise InvalidRequest("The amount is zero: there is nothing to count.", fix="Send another amount.")
    plan = plan_usage(context, provider, metric, found, key=key, at=at)
    assert plan is not None
    return _count(plan)


def record_usages(
    context: RequestContext, provider: str, metric: str, usages: Sequence[Usage], *, partial: bool = False
) -> int:
    """Count many usages that belong together, and return how many were counted, from the first on.

    Without a policy nothing is asked of any store. Neighbours whose times fall into the same windows are counted as one, in
    one round trip a place, under a key made of theirs: the same batch again counts nothing again, another batch that shares
    some of its keys does. All of them or an error as `record_usage` raises it; with `partial` as many as fit, and never a
    refusal.
    """
    if len(usages) > MOST_USAGES:
        raise InvalidRequest(f"The batch has {len(usages)} usages; {MOST_USAGES} are allowed.", fix="Split it.")
    now, counted = datetime.now(UTC), 0
    levels = levels_of(context, provider, metric)
    if not usages or not levels:
        return len(usages)
    for together in _by_window([*levels, *levels_of(context, provider, MONEY)], usages, now):
        done = _count_together(context, provider, metric, together, now, partial=partial)
        counted += done
        if done < len(together):
            break
    return counted


def _by_window(levels: list[Level], usages: Sequence[Usage], now: datetime) -> list[list[Usage]]:
    """Neighbours that count in the same windows at every level."""
    groups: list[list[Usage]] = []
    windows: list[Window] = []
    rules = [level.policy.rule for level in levels]
    for usage in usages:
        at = usage.at or now
        if not groups or not all(rule.is_in(at, window) for rule, window in zip(rules, windows, strict=True)):
            windows = [rule.at(at) for rule in rules]
            groups.append([])
        groups[-1].append(usage)
    return groups


def _count_together(
    context: RequestContext, provider: str, metric: str, usages: list[Usage], now: datetime, *, partial: bool
) -> int:
    """Count the longest leading part that fits, or raise where only all will do."""
    fitting = usages
    while fitting:
        amounts = [micros(usage.amount) for usage in fitting]
        plan = plan_usage(
            context, provider, metric, sum(amounts), key=_key_of(fitting), at=fitting[0].at or now, budgeted_only=True
        )
        if plan is None:
            return len(usages)
        try:
            _count(plan)
        except (BudgetExceeded, BudgetThrottled) as refusal:
            if not partial:
                raise
            fitting = _leading(fitting, amounts, refusal.figures)
        else:
            return len(fitting)
    return 0


def _leading(usages: list[Usage], amounts: list[int], figures: Mapping[str, str]) -> list[Usage]:
    """The usages, from the first on, that what is left has room for; at least one less than before."""
    left = micros(figures["limit"]) - micros(figures["used"]) - micros(figures["reserved"])
    found, total = 0, 0
    for amount in amounts[:-1]:
        total += amount
        if total > left:
            break
        found += 1
    return usages[:found]


def _key_of(usages: list[Usage]) -> str:
    return sha256("\n".join(usage.key for usage in usages).encode()).hexdigest()


def _count(plan: Plan) -> Receipt:
    try:
        remember_project(plan)
        taken = take(plan, COMMITTED)
    except BackendUnavailable as error:
        if any(share.level.policy.fail != OPEN for share in plan.shares):
            raise
        logger.warning("Usage of %s %s passes uncounted: %s", plan.provider, plan.metric, error.detail)
        levels = tuple(unused(share.level) for share in plan.shares)
        return Receipt(plan.row_id, units(plan.amount), levels, counted=False)
    shares = plan.shares
    raise_alerts(plan.context, shares, taken.totals)
    return _receipt(plan, taken, shares)


def _receipt(plan: Plan, taken: Taken, shares: tuple[Share, ...]) -> Receipt:
    facts = taken.row.facts
    cost = facts.get("cost")
    return Receipt(
        plan.row_id,
        units(taken.row.amount),
        figures_of(plan.context, shares, taken.totals),
        replayed=taken.replayed,
        price_version=facts.get("price_version", ""),
        cost=Decimal(cost) if cost is not None else None,
    )
