"""The limit that holds in one window: the policy's, with what is added for a time and what the window before left over.

What a window hands to the next is a dated row once it is final: nothing is lost when policies change later.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from analytics.budgets.adjustments import GRANT, INCREASE, Adjustment
from analytics.budgets.names import CARRIED, COUNTERS
from analytics.budgets.places import Place, open_place
from analytics.budgets.remembered import Remembered
from analytics.budgets.rows import read_sums
from analytics.budgets.shelves import FRESH_SECONDS, Level
from analytics.budgets.windows import Window
from northstar.context import RequestContext
from northstar.errors import AlreadyExists
from storage.documents import ABSENT, Put

WINDOWS_BACK: Final = 24
"""How many windows that nobody used since are looked at for what they left over."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What the windows before one have left it, in micro-units: unused limit, overspend, and how much of each grant is gone."""

    rollover: int = 0
    debt: int = 0
    consumed: Mapping[str, int] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"rollover": self.rollover, "debt": self.debt, "consumed": dict(self.consumed)}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be used in a window, in micro-units. `limit` is None where the policy has no hard limit."""

    limit: int | None
    base: int = 0
    increases: int = 0
    carried: Carried = Carried()
    grants: Mapping[str, int] = field(default_factory=dict)
    """What is left of each grant that holds, by its key, the first to be used first."""


def allowance_of(context: RequestContext, level: Level, window: Window, moment: datetime, now: datetime) -> Allowance:
    """Return what holds for an event of this moment. It costs a read only where something may be carried over."""
    policy = level.policy
    if policy.hard_limit is None:
        return Allowance(None)
    if not level.adjustments and policy.rollover_cap is None and not policy.carry_debt:
        return Allowance(policy.hard_limit, policy.hard_limit)
    carried = _carried_into(context, level, window, now) if _carries(level, window) else Carried()
    return _allowance(level, moment, carried)


def settle_window(allowance: Allowance, used: int, *, rollover_cap: int | None, carry_debt: bool) -> Carried:
    """Return what a window that has used so much hands to the next: first its own limit is used up, then grants in their
    order."""
    own = allowance.base + allowance.increases + allowance.carried.rollover - allowance.carried.debt
    over, consumed = max(0, used - own), dict(allowance.carried.consumed)
    for key, left in allowance.grants.items():
        taken = min(over, left)
        consumed[key] = consumed.get(key, 0) + taken
        over -= taken
    rollover = min(rollover_cap, max(0, own - used)) if rollover_cap is not None else 0
    return Carried(rollover, over if carry_debt else 0, {key: taken for key, taken in consumed.items() if taken})


def _allowance(level: Level, moment: datetime, carried: Carried) -> Allowance:
    base = level.policy.hard_limit or 0
    holding = [one for one in level.adjustments if one.holds_at(moment)]
    increases = sum(one.amount for one in holding if one.kind == INCREASE)
    grants = {one.key: max(0, one.amount - carried.consumed.get(one.key, 0)) for one in _in_order(holding)}
    limit = base + increases + carried.rollover - carried.debt + sum(grants.values())
    return Allowance(max(0, limit), base, increases, carried, grants)


def _in_order(adjustments: Iterable[Adjustment]) -> list[Adjustment]:
    """The order in which grants are used up: by priority, then the one that ends first."""
    grants = [one for one in adjustments if one.kind == GRANT]
    return sorted(grants, key=lambda one: (one.priority, one.until is None, one.until or one.since, one.key))


def _carries(level: Level, window: Window) -> bool:
    grants = any(one.kind == GRANT for one in level.adjustments)
    return level.policy.rule.before(window) is not None and (
        level.policy.rollover_cap is not None or level.policy.carry_debt or grants
    )


_known: Final = Remembered[tuple[Carried, float]]()


def _carried_into(context: RequestContext, level: Level, window: Window, now: datetime) -> Carried:
    place = open_place(context, level.project)
    name = f"{level.counter(window.key)}/{level.policy.version}"
    known = _known.get(place, name)
    if known and time.monotonic() - known[1] < FRESH_SECONDS:
        return known[0]
    carried = _read_carried(place, level, window, now, WINDOWS_BACK)
    _known.keep(place, (carried, time.monotonic()), name)
    return carried


def _read_carried(place: Place, level: Level, window: Window, now: datetime, left: int) -> Carried:
    """Return the dated row, or work it out from the window before; it is written down once that can take no more usage."""
    key = CARRIED + level.counter(window.key).removeprefix(COUNTERS)
    record = place.get(key)
    if record:
        return Carried(**record.data)
    before = level.policy.rule.before(window)
    created = level.policy.created_at
    if before is None or before.end is None or not left or (created and before.end <= created):
        return Carried()
    carried = _handed_on(place, level, before, now, left)
    if before.end + timedelta(seconds=level.policy.grace_seconds) < now:
        try:
            place.write([Put(key, carried.fields(), ABSENT)])
        except AlreadyExists:
            return _read_carried(place, level, window, now, left)
    return carried


def _handed_on(place: Place, level: Level, before: Window, now: datetime, left: int) -> Carried:
    counter = level.counter(before.key)
    sums = read_sums(place, [counter])[counter]
    earlier = _read_carried(place, level, before, now, left - 1)
    assert before.end is not None
    allowance = _allowance(level, before.end - timedelta(microseconds=1), earlier)
    policy = level.policy
    return settle_window(allowance, sums.total, rollover_cap=policy.rollover_cap, carry_debt=policy.carry_debt)
