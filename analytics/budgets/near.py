"""Budgets near their limit: each sweep notes those of a place in the database, so that a dashboard asks no store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import transaction

from analytics.budgets.amounts import text
from analytics.budgets.figures import Figure, forecast_of
from analytics.models import BudgetNearLimit
from northstar.context import RequestContext

NEAR_PERCENT: Final = 80
MOST_PERCENT: Final = 999_999
KEPT_OF_A_PLACE: Final = 20
"""Those with the greatest share: a place may have a budget for each of very many users."""
NOTED_AGAIN_AFTER: Final = timedelta(hours=1)
FORGOTTEN_AFTER: Final = timedelta(days=1)
"""What no sweep has seen for so long is not shown: its place cannot be read, or is gone."""
_NOTED: Final = ("taken", "limit", "share", "why", "resets_at")


def note_near(context: RequestContext, project: str | None, figures: Sequence[Figure]) -> None:
    """Note which of a place's budgets are near their limit, and forget those that are not any more."""
    now = datetime.now(UTC)
    found = [row for figure in figures if (row := _row(context, project, figure, now))]
    rows = {row.key: row for row in sorted(found, key=lambda row: -row.share)[:KEPT_OF_A_PLACE]}
    place = BudgetNearLimit.objects.filter(tenant_id=context.tenant_id, env=context.env, project_id=project or "")
    kept = {row.key: row for row in place}
    changed = [row for key, row in rows.items() if key not in kept or _differs(row, kept[key])]
    gone = kept.keys() - rows.keys()
    if not changed and not gone:
        return
    with transaction.atomic():
        place.filter(pk__in=gone).delete()
        BudgetNearLimit.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["key"], update_fields=[*_NOTED, "seen_at"]
        )


def near_limits() -> list[BudgetNearLimit]:
    """Return the budgets near their limit, the nearest first."""
    return list(BudgetNearLimit.objects.filter(seen_at__gt=datetime.now(UTC) - FORGOTTEN_AFTER))


def share_of(figure: Figure) -> int:
    """Return the part of the limit, else of the soft limit, that is used and held, in whole percent rounded down."""
    limit = figure.limit if figure.limit is not None else figure.level.policy.soft_limit
    taken = figure.used + figure.reserved
    if not limit:
        return 100 if limit == 0 else 0
    return min(max(0, taken * 100 // limit), MOST_PERCENT)


def _why(figure: Figure) -> str:
    """Say why a budget counts as near its limit; nothing where it does not."""
    if figure.remaining is not None and figure.remaining <= 0:
        return "at its limit"
    if figure.soft_exceeded:
        return "has reached its soft limit"
    if figure.limit is None and figure.reached:
        return f"has reached {figure.reached[-1]}"
    forecast = forecast_of(figure)
    if forecast and forecast.exceeds:
        return "will run out by the forecast"
    return "near its limit" if figure.limit is not None and share_of(figure) >= NEAR_PERCENT else ""


def _row(context: RequestContext, project: str | None, figure: Figure, now: datetime) -> BudgetNearLimit | None:
    why, policy = _why(figure), figure.level.policy
    if not why:
        return None
    user = figure.level.user or ""
    names = (context.tenant_id, context.env, project or "", user, policy.provider, policy.metric, figure.level.name)
    return BudgetNearLimit(
        key="/".join(names),
        tenant_id=context.tenant_id,
        env=context.env,
        project_id=project or "",
        user_id=user,
        provider=policy.provider,
        metric=policy.metric,
        level=figure.level.name,
        taken=text(figure.used + figure.reserved),
        limit="" if figure.limit is None else text(figure.limit),
        share=share_of(figure),
        why=why,
        resets_at=figure.resets_at,
        seen_at=now,
    )


def _differs(row: BudgetNearLimit, kept: BudgetNearLimit) -> bool:
    same = all(getattr(row, name) == getattr(kept, name) for name in _NOTED)
    return not same or row.seen_at - kept.seen_at > NOTED_AGAIN_AFTER
