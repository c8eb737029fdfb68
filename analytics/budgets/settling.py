"""Settling: a held row ends once, as committed, released or expired, and its leg follows what the home row says."""

from dataclasses import replace
from typing import Final

from analytics.budgets.amounts import priced
from analytics.budgets.places import Place, open_place
from analytics.budgets.rows import COMMITTED, DENIED, HELD, Charge, CounterTotals, Moved, Row, move, read_row
from analytics.budgets.taking import deny
from northstar.context import RequestContext
from northstar.errors import Conflict, VersionConflict

ATTEMPTS: Final = 8


def settle(context: RequestContext, place: Place, row: Row, state: str, amount: int = 0) -> tuple[Row, CounterTotals]:
    """End a held row in this state, having used `amount` micro-units of what it holds, and return it with the counters' totals.

    The home row decides, in one atomic write; from then on the leg can only follow. Another settlement that was faster
    stands: then the row is returned as that has left it.
    """
    totals: CounterTotals = {}
    known: Row | None = row
    for _ in range(ATTEMPTS):
        if known is None or known.state != HELD:
            break
        try:
            moved = move(place, known, settled(known, state, amount))
        except VersionConflict:
            known = read_row(place, row.key)
            continue
        known, totals = moved.row, moved.totals
        break
    else:
        raise Conflict("The reservation is changed by several calls at once.", fix="Send it again.")
    if known is None:
        return row, totals
    if known.leg:
        leg = settle_leg(open_place(context, None), known)
        totals = {**totals, **leg.totals} if leg else totals
    return known, totals


def settled(row: Row, state: str, amount: int) -> Row:
    """Return the row as it is after a settlement."""
    used = amount if state == COMMITTED else 0
    charges = tuple(replace(one, used=_of(one, used), reserved=0) for one in row.charges)
    return replace(
        row, state=state, charges=charges, amount=used if state == COMMITTED else row.amount, expires_at=None
    )


def settle_leg(tenant: Place, home: Row) -> Moved | None:
    """Let a leg follow its settled home row, once. One that was never made is barred, so that no late call makes it."""
    leg = read_row(tenant, home.leg)
    for _ in range(ATTEMPTS):
        if leg is None:
            bar = Row(home.leg, DENIED, (), home.at, home=home.key, attempt=home.attempt, facts=_leg_facts(home))
            if deny(tenant, bar):
                return None
            leg = read_row(tenant, home.leg)
            continue
        if leg.state != HELD:
            return None
        try:
            return move(tenant, leg, settled(leg, home.state, home.amount))
        except VersionConflict:
            leg = read_row(tenant, home.leg)
    raise Conflict("The reservation is changed by several calls at once.", fix="Send it again.")


def _of(charge: Charge, amount: int) -> int:
    return priced(amount, charge.rate) if charge.rate else amount


def _leg_facts(home: Row) -> dict[str, str | None]:
    return {"project": home.facts["project"]}
