"""Refusals: which level refused, with its figures, and a record of it that takes nothing."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from uuid_utils.compat import uuid7

from analytics.budgets.amounts import text
from analytics.budgets.errors import BudgetExceeded, BudgetThrottled
from analytics.budgets.names import REFUSALS
from analytics.budgets.places import Place
from analytics.budgets.plans import Plan, Share
from analytics.budgets.policies import THROTTLE
from analytics.budgets.rolling import live
from analytics.budgets.rows import Sums, read_sums
from northstar.instants import instant_text
from storage.documents import Put

REFUSALS_KEPT: Final = timedelta(days=30)
LONGEST_WAIT_SECONDS: Final = 60


def refused_share(place: Place, plan: Plan) -> tuple[Share, Sums] | None:
    """Return the outermost share in this place that does not fit, with its counter; None when all fit by now."""
    bounded = plan.ceilings(place.project)
    shares = [share for share in plan.shares if share.counter in bounded and share.level.project == place.project]
    sums = read_sums(place, [share.counter for share in shares])
    for share in shares:
        if sums[share.counter].total + share.amount > bounded[share.counter]:
            return share, sums[share.counter]
    return None


def refusal_of(share: Share, sums: Sums) -> BudgetExceeded | BudgetThrottled:
    """Return the error that a share which does not fit is answered with."""
    policy = share.level.policy
    resets_at = reset_of(share, sums)
    figures = {
        "provider": policy.provider,
        "metric": policy.metric,
        "level": share.level.name,
        "limit": text(share.allowance.limit or 0),
        "used": text(sums.used),
        "reserved": text(sums.reserved),
        "requested": text(share.amount),
        "resets_at": instant_text(resets_at) if resets_at else None,
    }
    detail = (
        f"The {share.level.name}'s budget of {policy.provider} {policy.metric} allows {figures['limit']} ({share.window.label}): "
        f"{figures['used']} used, {figures['reserved']} reserved, {figures['requested']} requested."
    )
    if policy.mode == THROTTLE:
        return BudgetThrottled(detail, figures, _wait(resets_at))
    return BudgetExceeded(detail, figures)


def reset_of(share: Share, sums: Sums) -> datetime | None:
    """Return when the window's usage falls by itself: at its end; where it rolls, when its oldest usage leaves; else never."""
    if share.window.bucket is None:
        return share.window.end
    now = datetime.now(UTC)
    buckets = [bucket for bucket, used in live(sums, share.level.policy.rule, now).buckets.items() if used]
    return share.level.policy.rule.leaves_at(min(buckets)) if buckets else None


def record_refusal(place: Place, plan: Plan, error: BudgetExceeded | BudgetThrottled) -> None:
    """Keep a refusal for 30 days, without any effect on the counters or on the key that was sent."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {**error.figures, **plan.facts, "at": now, "code": error.code, "detail": error.detail}
    key = f"{REFUSALS}{plan.provider}:{plan.metric}:{uuid7()}"
    place.write([Put(key, fields, expires_at=now + REFUSALS_KEPT)])


def refusals(place: Place, provider: str, metric: str, limit: int = 100) -> Sequence[dict[str, Any]]:
    """Return recorded refusals of one budget in one place, oldest first."""
    return [record.data for record in place.page(f"{REFUSALS}{provider}:{metric}:", limit=limit).records]


def _wait(resets_at: datetime | None) -> int:
    if resets_at is None:
        return LONGEST_WAIT_SECONDS
    seconds = math.ceil((resets_at - datetime.now(UTC)).total_seconds())
    return min(LONGEST_WAIT_SECONDS, max(1, seconds))
