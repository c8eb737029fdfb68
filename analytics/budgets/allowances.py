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
from analytics.budgets.rows import Sums, stored_sums
from analytics.budgets.shelves import FRESH_SECONDS, Level
from analytics.budgets.windows import Window
from northstar.context import RequestContext
from northstar.errors import AlreadyExists
from storage.documents import ABSENT, Put

MOST_TOGETHER: Final = 64
"""Windows that are looked at in one read, going back to the last that is dated: 2 at first, then twice as many each time."""


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
    carried = _read_carried(place, level, window, now)
    _known.keep(place, (carried, time.monotonic()), name)
    return carried


def _read_carried(place: Place, level: Level, window: Window, now: datetime) -> Carried:
    """Return the dated row, or work it out from the windows since the last that has one; the newest that is final is dated."""
    carried, taken = _since_dated(place, level, window)
    final: Put | None = None
    followed = [window, *(before for before, _ in taken)]
    for after, (before, amount) in reversed(list(zip(followed, taken, strict=False))):
        assert before.end is not None
        allowance = _allowance(level, before.end - timedelta(microseconds=1), carried)
        policy = level.policy
        carried = settle_window(allowance, amount, rollover_cap=policy.rollover_cap, carry_debt=policy.carry_debt)
        if before.end + timedelta(seconds=policy.grace_seconds) < now:
            final = Put(_dated(level, after), carried.fields(), ABSENT)
    if final:
        try:
            place.write([final])
        except AlreadyExists:
            return _read_carried(place, level, window, now)
    return carried


def _since_dated(place: Place, level: Level, window: Window) -> tuple[Carried, list[tuple[Window, int]]]:
    """Go back from a window to a dated row, else to where the policy begins; return what that hands on, and the windows since,
    the newest first, with what each has taken."""
    taken: list[tuple[Window, int]] = []
    first, size = window, 2
    while True:
        chain = _chain(level, first, size)
        more = len(chain) > size
        asked = chain[:size]
        counters = [level.counter(one.key) for one in chain[1:]]
        records = place.get_many([*(_dated(level, one) for one in asked), *counters])
        sums = [stored_sums(record.data, record.version) if record else Sums() for record in records[len(asked) :]]
        for place_in_chain, dated in enumerate(records[: len(asked)]):
            if dated:
                return Carried(**dated.data), taken
            if place_in_chain < len(sums):
                taken.append((chain[place_in_chain + 1], sums[place_in_chain].total))
        if not more:
            return Carried(), taken
        first, size = chain[-1], min(2 * size, MOST_TOGETHER)


def _chain(level: Level, window: Window, size: int) -> list[Window]:
    """A window and up to `size` before it that may hand something on, the newest first."""
    chain, begun = [window], _begun(level)
    while len(chain) <= size:
        before = level.policy.rule.before(chain[-1])
        if before is None or before.end is None or begun is None or before.end <= begun:
            break
        chain.append(before)
    return chain


def _begun(level: Level) -> datetime | None:
    """From when on windows may hand something on."""
    policy = level.policy
    if policy.rollover_cap is not None or policy.carry_debt:
        return policy.created_at
    return min((one.since for one in level.adjustments if one.kind == GRANT), default=policy.created_at)


def _dated(level: Level, window: Window) -> str:
    return CARRIED + level.counter(window.key).removeprefix(COUNTERS)
