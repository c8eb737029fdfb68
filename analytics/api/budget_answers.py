"""What the calls of budgets answer with, made of figures, receipts and reservations."""

from typing import Any

from analytics.budgets.amounts import text
from analytics.budgets.counting import Receipt
from analytics.budgets.figures import Figure, forecast_of
from analytics.budgets.reservations import Reservation
from northstar.context import RequestContext
from northstar.modes import SYSTEM_TENANT


def level_answer(context: RequestContext, figure: Figure) -> dict[str, Any]:
    policy, forecast = figure.level.policy, forecast_of(figure)
    return {
        "record_id": figure.record_id,
        "tenant_id": context.tenant_id,
        "project_id": figure.level.project,
        "user_id": figure.level.user,
        "provider": policy.provider,
        "metric": policy.metric,
        "level": figure.level.name,
        "inherited": "implied" if policy.implied else policy.inherited,
        "soft_limit": _text(policy.soft_limit),
        "hard_limit": _text(policy.hard_limit),
        "effective_limit": _text(figure.limit),
        "window": policy.rule.text,
        "timezone": policy.rule.zone,
        "anchor": policy.rule.anchor,
        "current_window": {
            "key": figure.window.key,
            "label": figure.window.label,
            "start": figure.window.start,
            "end": figure.window.end,
        },
        "thresholds": list(policy.thresholds),
        "thresholds_reached": list(figure.reached),
        "mode": policy.mode,
        "fail": policy.fail,
        "currency": policy.currency,
        "oversubscribe": policy.oversubscribe,
        "grace_seconds": policy.grace_seconds,
        "rollover_cap": _text(policy.rollover_cap),
        "carry_debt": policy.carry_debt,
        "usage": text(figure.used),
        "reserved": text(figure.reserved),
        "remaining": _text(figure.remaining),
        "resets_at": figure.resets_at,
        "forecast": forecast
        and {"projected": text(forecast.projected), "runs_out_at": forecast.runs_out_at, "method": forecast.method},
        "version": None if policy.inherited or policy.implied else policy.version,
        "created_at": policy.created_at,
        "updated_at": figure.updated_at or policy.updated_at,
        "updated_by": "" if policy.inherited == SYSTEM_TENANT else policy.updated_by,
    }


def budget_answer(context: RequestContext, figure: Figure, figures: list[Figure]) -> dict[str, Any]:
    """Answer with the budget asked for, and every level beside it."""
    return {**level_answer(context, figure), "levels": [level_answer(context, one) for one in figures]}


def usage_answer(receipt: Receipt) -> dict[str, Any]:
    return {
        "usage_id": receipt.usage_id,
        "amount": f"{receipt.amount:f}",
        "counted": receipt.counted,
        "replayed": receipt.replayed,
        "price_version": receipt.price_version,
        "cost": None if receipt.cost is None else f"{receipt.cost:f}",
    }


def reservation_answer(context: RequestContext, provider: str, metric: str, reservation: Reservation) -> dict[str, Any]:
    return {
        "reservation_id": reservation.reservation_id,
        "provider": provider,
        "metric": metric,
        "state": reservation.state,
        "amount": f"{reservation.amount:f}",
        "at": reservation.at,
        "expires_at": reservation.expires_at,
        "levels": [level_answer(context, figure) for figure in reservation.levels],
    }


def _text(micro: int | None) -> str | None:
    return None if micro is None else text(micro)
