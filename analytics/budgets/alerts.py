"""Alerts: a soft limit that is reached tells exactly once per threshold, window and budget.

An alert is a row that can be created once, with the letters that tell of it in the same atomic write. Whether one is due is
asked of the level that usage has reached, not of the step that passed it: what a crash leaves untold, the next usage or the
sweep tells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from analytics.budgets.amounts import text
from analytics.budgets.figures import Figure, Forecast, figures_of, forecast_of
from analytics.budgets.names import ALERTS, COUNTERS, counter_key
from analytics.budgets.outbox import EVENT, RECORD, Letter, deliver, letter
from analytics.budgets.places import Place, context_of, open_place
from analytics.budgets.plans import Share
from analytics.budgets.policies import OBSERVE, Policy, Threshold
from analytics.budgets.remembered import Remembered
from analytics.budgets.rolling import roll_when_due
from analytics.budgets.rows import CounterTotals
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, VersionConflict
from northstar.instants import instant_text
from storage.documents import ABSENT, Put
from storage.kinds.tabular_store import Record

REACHED, RESOLVED, FORECAST = "BUDGET_THRESHOLD_REACHED", "BUDGET_THRESHOLD_RESOLVED", "BUDGET_FORECAST"
RAISED: Final = "raised"
FORECASTED: Final = "forecast"
"""The name under which a forecast's alert is kept: no threshold is called so."""
_TOLD_TO: Final = (EVENT, RECORD)
_told: Final = Remembered[bool]()


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is kept. `threshold` is as the policy writes it, or `forecast`; amounts are decimal texts."""

    key: str
    state: str
    facts: dict[str, Any]
    version: int


def raise_alerts(context: RequestContext, shares: Iterable[Share], totals: CounterTotals) -> None:
    """Raise the alert of each threshold that a usage finds reached and that has none yet. It costs nothing where none is."""
    for share in shares:
        told = totals.get(share.place_key)
        if told is None:
            continue
        if share.window.bucket is not None:
            roll_when_due(open_place(context, share.level.project), share.counter, share.level.policy.rule)
        if share.level.policy.mode != OBSERVE and _reached(share.level.policy, share.allowance.limit, told["used"]):
            for figure in figures_of(context, [share], totals):
                review(context, figure)


def review(context: RequestContext, figure: Figure) -> list[str]:
    """Raise what is due for a budget as it is now, and return the thresholds that were raised by this call."""
    policy = figure.level.policy
    if policy.mode == OBSERVE:
        return []
    place = open_place(context, figure.level.project)
    due = [_Due(one.name, one.at) for one in _reached(policy, figure.limit, figure.used)]
    forecast = forecast_of(figure)
    if forecast is not None and forecast.exceeds:
        due.append(_Due(FORECASTED, forecast.projected, forecast))
    return [one.name for one in due if _raise(context, place, figure, one)]


def resolve_reached(context: RequestContext, figure: Figure) -> list[str]:
    """Resolve the alerts of a budget that does not reach them any more, or whose limits have changed; return their thresholds."""
    place = open_place(context, figure.level.project)
    standing = {one.name for one in _reached(figure.level.policy, figure.limit, figure.used)}
    resolved = []
    for alert in alerts_of(place, figure):
        name, armed = alert.facts["threshold"], alert.facts["armed"]
        if alert.state != RAISED or name == FORECASTED:
            continue
        changed = armed != figure.level.policy.armed
        if (changed or (figure.window.bucket is not None and name not in standing)) and _resolve(
            context, place, alert, figure, "the limits changed" if changed else "usage has left the window"
        ):
            resolved.append(name)
    return resolved


def alerts_of(place: Place, figure: Figure) -> list[Alert]:
    """Return the alerts of one budget in one window, in the order of their keys."""
    return [
        Alert(record.key, record.data["state"], record.data["facts"], record.version)
        for record in place.all(_key(figure, "", armed=""))
    ]


def _reached(policy: Policy, limit: int | None, used: int) -> Sequence[Threshold]:
    return [one for one in policy.soft_limits(limit) if used >= one.at]


@dataclass(frozen=True, slots=True)
class _Due:
    """An alert that is due: which, and from which amount on."""

    name: str
    at: int
    forecast: Forecast | None = None


def _raise(context: RequestContext, place: Place, figure: Figure, due: _Due) -> bool:
    key = _key(figure, due.name)
    if _told.get(place, key):
        return False
    facts = _facts(context, figure, due)
    version = _may_raise(place.get(key), figure)
    kind = FORECAST if due.forecast else REACHED
    raised = version is not None and _tell(context, place, Alert(key, RAISED, facts, version), kind)
    _told.keep(place, True, key)
    return raised


def _may_raise(record: Record | None, figure: Figure) -> int | None:
    """Return the version that the alert has now, 0 for none; None where it was told already. A rolling window tells anew."""
    if record is None:
        return 0
    again = figure.window.bucket is not None and record.data["state"] != RAISED
    return record.version if again else None


def _resolve(context: RequestContext, place: Place, alert: Alert, figure: Figure, why: str) -> bool:
    facts = {**alert.facts, "used": text(figure.used), "reason": why, "at": instant_text(_now())}
    _told.forget(place, alert.key)
    return _tell(context, place, Alert(alert.key, "resolved", facts, alert.version), RESOLVED)


def _tell(context: RequestContext, place: Place, alert: Alert, kind: str) -> bool:
    """Write the alert over the version that it says and its letters beside it, whoever comes first, and send the letters."""
    letters: list[Letter] = [letter(to, {"type": kind, "data": alert.facts}) for to in _TOLD_TO]
    kept = Put(alert.key, {"state": alert.state, "facts": alert.facts}, alert.version or ABSENT)
    try:
        place.write([kept, *(one.put() for one in letters)])
    except (AlreadyExists, VersionConflict):
        return False
    for one in letters:
        deliver(context_of(context, place.project), place, one)
    return True


def _facts(context: RequestContext, figure: Figure, due: _Due) -> dict[str, Any]:
    policy = figure.level.policy
    facts: dict[str, Any] = {
        "provider": policy.provider,
        "metric": policy.metric,
        "level": figure.level.name,
        "project_id": figure.level.project,
        "user_id": figure.level.user,
        "env": context.env,
        "threshold": due.name,
        "threshold_at": text(due.at),
        "armed": policy.armed,
        "used": text(figure.used),
        "limit": None if figure.limit is None else text(figure.limit),
        "window": figure.window.label,
        "window_key": figure.window.key,
        "at": instant_text(_now()),
    }
    if due.forecast:
        facts |= {"projected": text(due.forecast.projected), "method": due.forecast.method}
    return facts


def _key(figure: Figure, name: str, armed: str | None = None) -> str:
    policy = figure.level.policy
    counter = counter_key(policy.provider, policy.metric, figure.window.key, figure.level.user).removeprefix(COUNTERS)
    if armed is None:
        return f"{ALERTS}{counter}:{figure.level.name}:{policy.armed}:{name}"
    return f"{ALERTS}{counter}:{figure.level.name}:"


def _now() -> datetime:
    return datetime.now(UTC)
