"""Taking: all levels or none, through any crash.

The home row comes first, with the counters of its place, in one atomic write. A part that lies with the tenant (the leg)
follows in a second one. If that is refused, a tombstone takes the leg's key, so that no late write can still make it, and
then the home row gives back what it took. Whoever sends the key again goes on where a crash has left it; else the sweep does.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from analytics.budgets.amounts import units
from analytics.budgets.errors import BudgetExceeded, BudgetThrottled
from analytics.budgets.places import Place, open_place
from analytics.budgets.plans import Plan
from analytics.budgets.refusals import record_refusal, refusal_of, refused_share
from analytics.budgets.rolling import roll
from analytics.budgets.rows import DENIED, HELD, CounterTotals, Moved, Row, move, read_row
from northstar.errors import AlreadyExists, Conflict, IdempotencyMismatch, VersionConflict
from storage.errors import CeilingReached, FloorReached

ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """The home row, and what the counters said right after. `replayed`: an earlier call with this key had done it."""

    row: Row
    totals: CounterTotals
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Home:
    """The home row as it stands, ours or an earlier call's."""

    place: Place
    moved: Moved
    replayed: bool


def take(plan: Plan, state: str, expires_at: datetime | None = None) -> Taken:
    """Count (state committed) or hold (state held, until `expires_at`) what the plan says.

    Raises BudgetExceeded or BudgetThrottled (recorded; nothing is taken, the key stays usable), FloorReached for a refund of more
    than was used, IdempotencyMismatch, Conflict when the key is busy, or what the stores raise: then send the same key again.
    """
    for _ in range(ATTEMPTS):
        home = _home(plan, state, expires_at)
        if not home.moved.row.leg or home.moved.row.state not in {state, HELD}:
            return Taken(home.moved.row, home.moved.totals, home.replayed)
        leg = _leg(plan, home)
        if leg is not None:
            return Taken(home.moved.row, {**home.moved.totals, **leg.totals}, home.replayed)
    raise Conflict("This key is used by several calls at once.", fix="Wait for their answers, then send it again.")


def _home(plan: Plan, state: str, expires_at: datetime | None) -> _Home:
    place = open_place(plan.context, plan.home)
    before, row = None, plan.row(state, expires_at)
    for _ in range(ATTEMPTS):
        try:
            return _Home(place, _moved(place, plan, before, row), replayed=False)
        except (AlreadyExists, VersionConflict):
            known = read_row(place, row.key)
        if known is None:
            continue  # folded or removed since
        if known.facts["fingerprint"] != plan.facts["fingerprint"]:
            raise IdempotencyMismatch(
                "This key was used before with another usage.", fix="Send a new key for a new usage."
            )
        if known.state != DENIED:
            return _Home(place, Moved(known, {}), replayed=True)
        before, row = known, plan.row(state, expires_at, known.attempt + 1)
    raise Conflict("This key is used by several calls at once.", fix="Wait for their answers, then send it again.")


def _moved(place: Place, plan: Plan, before: Row | None, after: Row) -> Moved:
    """Make the move, or record why it is refused. A rolling window is rolled on before it refuses."""
    for _ in range(ATTEMPTS):
        try:
            return move(place, before, after, ceilings=plan.ceilings(place.project), floored=plan.amount < 0)
        except CeilingReached:
            refuse(place, plan)
        except FloorReached as error:
            what = "usage" if error.field == "used" else "usage at that time"
            raise FloorReached(what, units(int(error.used)), 0) from None
    raise Conflict("The budget is too busy: what did not fit then fits now, again and again.", fix="Send it again.")


def refuse(place: Place, plan: Plan) -> None:
    """Raise the refusal, recorded, unless there is room by now: something left a rolling window, or was given back."""
    found = refused_share(place, plan)
    if found is None:
        return
    share, sums = found
    if share.window.bucket is not None and roll(place, share.counter, share.level.policy.rule):
        return
    error = refusal_of(share, sums)
    record_refusal(place, plan, error)
    raise error


def _leg(plan: Plan, home: _Home) -> Moved | None:
    """Take what lies with the tenant. None when this attempt was given up meanwhile, and a new one may begin."""
    tenant, row = open_place(plan.context, None), home.moved.row
    leg = plan.leg(row)
    try:
        return _moved(tenant, plan, None, leg)
    except AlreadyExists:
        known = read_row(tenant, leg.key)
        if known is None or known.state != DENIED:
            return Moved(leg, {})
        give_back(home.place, row)
        return None
    except (BudgetExceeded, BudgetThrottled, Conflict):
        if deny(tenant, leg):
            give_back(home.place, row)
            raise
        return Moved(leg, {})  # another call with this key was let in meanwhile


def deny(tenant: Place, leg: Row) -> bool:
    """See to it that this leg is never made, and return whether that is so: False when it was made already."""
    try:
        move(tenant, None, leg.with_no_charge(DENIED))
    except AlreadyExists:
        known = read_row(tenant, leg.key)
        return known is None or known.state == DENIED
    return True


def give_back(place: Place, row: Row) -> None:
    """Let a home row take nothing, as one that was refused; done already, it stays so."""
    known: Row | None = row
    for _ in range(ATTEMPTS):
        if known is None or known.state == DENIED or known.attempt != row.attempt:
            return
        try:
            move(place, known, known.with_no_charge(DENIED))
        except VersionConflict:
            known = read_row(place, row.key)
        else:
            return
    raise Conflict("The usage is changed by several calls at once.", fix="Send it again.")
