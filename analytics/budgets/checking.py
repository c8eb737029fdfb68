"""Checking: whether an amount would be let in, by every budget that it would count in."""

from dataclasses import dataclass
from datetime import UTC, datetime

from analytics.budgets.amounts import priced
from analytics.budgets.figures import Figure, figures_for, read_figures
from analytics.budgets.names import MONEY
from analytics.budgets.shelves import levels_of, price_of
from northstar.context import RequestContext


@dataclass(frozen=True, slots=True)
class Check:
    """One budget, and whether it has room for what would be taken of it."""

    figure: Figure
    fits: bool


def check_usage(
    context: RequestContext, provider: str, metric: str, amount: int, at: datetime | None = None
) -> list[Check]:
    """Return what each budget says to an amount in micro-units: those of the metric, then those in dollars, outermost first.

    It holds nothing: to be sure, reserve. Raises as `analytics.budgets.shelves.levels_of`.
    """
    checks = [Check(one, one.fits(amount)) for one in figures_for(context, provider, metric, at)]
    price = price_of(context, provider, metric, at or datetime.now(UTC)) if metric != MONEY else None
    if price:
        cost, in_money = priced(amount, price.rate), levels_of(context, provider, MONEY)
        checks += [Check(one, one.fits(cost)) for one in read_figures(context, in_money, at)]
    return checks
