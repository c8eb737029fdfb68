"""Figures: what a budget says now, for answers, checks and pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics.budgets.allowances import Allowance, allowance_of
from analytics.budgets.names import counter_key
from analytics.budgets.places import open_place
from analytics.budgets.plans import Share
from analytics.budgets.refusals import reset_of
from analytics.budgets.rolling import live
from analytics.budgets.rows import CounterTotals, Sums, read_sums
from analytics.budgets.shelves import Level, budgets_in, implied_level, levels_of, users_levels
from analytics.budgets.windows import Window
from northstar.context import RequestContext

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """One budget in one window, in micro-units. `limit` is the hard limit that holds now, with all that is added to it for a
    time.

    `remaining` is what may still be taken, None without a limit. `reached` names the soft limits that `used` has reached.
    """

    level: Level
    window: Window
    allowance: Allowance
    used: int
    reserved: int
    resets_at: datetime | None
    updated_at: datetime | None = None

    @property
    def limit(self) -> int | None:
        return self.allowance.limit

    @property
    def remaining(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used - self.reserved)

    @property
    def reached(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.level.policy.soft_limits(self.limit) if self.used >= one.at)

    @property
    def soft_exceeded(self) -> bool:
        soft = self.level.policy.soft_limit
        return soft is not None and self.used >= soft

    def fits(self, amount: int) -> bool:
        """Whether an amount would not be refused here now."""
        return not self.level.policy.refuses or self.remaining is None or amount <= self.remaining

    @property
    def record_id(self) -> str:
        """The key of the counter in the table `budget`."""
        policy = self.level.policy
        return counter_key(policy.provider, policy.metric, self.window.key, self.level.user)


LINEAR: Final = "linear: what was used so far, over the part of the window that has passed, for the whole window"
LEAST_PART: Final = 10
"""Percent of a window that must have passed: less says nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a calendar window will have used at its end, in micro-units, by the stated method."""

    projected: int
    limit: int | None
    runs_out_at: datetime | None
    method: str = LINEAR

    @property
    def exceeds(self) -> bool:
        """Whether the limit will not last until the window's end."""
        return self.runs_out_at is not None


def forecast_of(figure: Figure, now: datetime | None = None) -> Forecast | None:
    """Return the forecast for a calendar window that is on; None for other windows, and while too little of it has passed."""
    moment, start, end = now or datetime.now(UTC), figure.window.start, figure.window.end
    if figure.window.bucket is not None or start is None or end is None or not start <= moment < end:
        return None
    passed, whole = (moment - start) // _MICROSECOND, (end - start) // _MICROSECOND
    if passed * 100 < whole * LEAST_PART:
        return None
    projected = figure.used * whole // passed
    if figure.limit is None or projected <= figure.limit or figure.used > figure.limit:
        return Forecast(projected, figure.limit, None)
    return Forecast(projected, figure.limit, start + _MICROSECOND * (passed * figure.limit // figure.used))


def read_figures(context: RequestContext, levels: Iterable[Level], at: datetime | None = None) -> list[Figure]:
    """Return what each level says at a moment, in order; one read for each place."""
    now = datetime.now(UTC)
    moment = at or now
    wanted = list(levels)
    shares = []
    for level in wanted:
        window = level.policy.rule.at(moment)
        shares.append(Share(level, window, allowance_of(context, level, window, moment, now), 0))
    return _figures(context, shares)


def figures_for(context: RequestContext, provider: str, metric: str, at: datetime | None = None) -> list[Figure]:
    """Return the budget of a metric at every level that has a policy, outermost first; the implied one where none has."""
    levels = levels_of(context, provider, metric) or [implied_level(context, provider, metric)]
    return read_figures(context, levels, at)


def all_figures(context: RequestContext, provider: str = "") -> list[Figure]:
    """Return every budget that applies in the context, or those of one provider: by provider, metric, level.

    Where the context names no user, a budget of each user stands there with nothing used.
    """
    levels, of_users = [], []
    for name, metric in budgets_in(context, provider):
        levels += levels_of(context, name, metric)
        if context.user_id is None:
            of_users += users_levels(context, name, metric)
    figures = [*read_figures(context, levels), *map(unused, of_users)]
    return sorted(figures, key=lambda one: (one.level.policy.provider, one.level.policy.metric, one.level.rank))


def unused(level: Level) -> Figure:
    """Return a budget of which nothing is used: what it says to a user who has used nothing."""
    limit = level.policy.hard_limit
    window = level.policy.rule.at(datetime.now(UTC))
    return Figure(level, window, Allowance(limit, limit or 0), 0, 0, window.end)


def figures_of(context: RequestContext, shares: Iterable[Share], totals: CounterTotals) -> tuple[Figure, ...]:
    """Return what the counters of a plan said right after it, reading only what is not told: after a replay, or where one
    rolls."""
    wanted = list(shares)
    if all(share.place_key in totals and share.window.bucket is None for share in wanted):
        return tuple(
            _figure(share, Sums(told["used"], told["total"] - told["used"]))
            for share in wanted
            for told in [totals[share.place_key]]
        )
    return tuple(_figures(context, wanted))


def _figures(context: RequestContext, shares: list[Share]) -> list[Figure]:
    sums: dict[tuple[str | None, str], Sums] = {}
    for project in dict.fromkeys(share.level.project for share in shares):
        keys = [share.counter for share in shares if share.level.project == project]
        read = read_sums(open_place(context, project), list(dict.fromkeys(keys)))
        sums |= {(project, key): found for key, found in read.items()}
    return [_figure(share, sums[share.place_key]) for share in shares]


def _figure(share: Share, sums: Sums) -> Figure:
    if share.window.bucket is not None:
        sums = live(sums, share.level.policy.rule, datetime.now(UTC))
    resets_at = reset_of(share, sums)
    return Figure(share.level, share.window, share.allowance, sums.used, sums.reserved, resets_at, sums.updated_at)
