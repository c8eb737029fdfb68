"""Alerts: a soft limit that is reached tells exactly once per threshold, window and budget."""

from collections.abc import Iterable

from analytics.budgets.plans import Share
from analytics.budgets.rows import CounterTotals
from northstar.context import RequestContext


def raise_alerts(context: RequestContext, shares: Iterable[Share], totals: CounterTotals) -> None:
    """Raise the alert of each threshold that has been reached and has none yet."""
