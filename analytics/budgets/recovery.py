"""Recovery: a row whose time is over is brought to its end, from whatever step a crash has left it at."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from analytics.budgets.names import OPEN, row_of_open
from analytics.budgets.places import Place, open_place
from analytics.budgets.plans import LEG_MARGIN, leg_of
from analytics.budgets.rows import COMMITTED, EXPIRED, HELD, RELEASED, Row, move, read_row, stored_row
from analytics.budgets.settling import settle, settle_leg
from analytics.budgets.taking import deny, give_back
from northstar.context import RequestContext
from northstar.errors import NorthstarError, VersionConflict
from northstar.instants import instant_text
from storage.documents import ATOMIC_OPERATIONS, Delete
from storage.errors import BackendUnavailable

PAGE: Final = 500


@dataclass(slots=True)
class Recovered:
    """How many rows were brought to their end, and why others were not: the first error, and the projects whose store is away."""

    rows: int = 0
    error: NorthstarError | None = None
    away: set[str] = field(default_factory=set)


def recover_due(context: RequestContext, place: Place, now: datetime) -> Recovered:
    """Bring every row of this place whose time is over to its end. One that cannot be ended holds up no other.

    Pointers lie in the order of their times, so this reads nothing of what is not due.
    """
    done, limit = Recovered(), OPEN + instant_text(now)
    after: str | None = None
    while True:
        page = place.page(OPEN, after, limit=PAGE)
        due = [record.key for record in page.records if record.key < limit]
        _recover(context, place, due, done)
        after = page.next_after
        if after is None or len(due) < len(page.records):
            return done


def _recover(context: RequestContext, place: Place, pointers: Sequence[str], done: Recovered) -> None:
    keys = [row_of_open(pointer) for pointer in pointers]
    rows = {
        key: stored_row(key, record.data, record.version) if record else None
        for key, record in zip(keys, place.get_many(keys), strict=True)
    }
    posted = _posted(context, [row for row in rows.values() if row and not row.home and row.state == COMMITTED])
    obsolete: list[str] = []
    for pointer, key in zip(pointers, keys, strict=True):
        row = rows[key]
        if row and row.home and row.facts["project"] in done.away:
            continue
        try:
            if row is None or key in posted or not _brought_to_end(context, place, row):
                obsolete.append(pointer)
            done.rows += 1
        except NorthstarError as error:
            done.error = done.error or error
            if row and row.home and isinstance(error, BackendUnavailable):
                done.away.add(row.facts["project"])
    for start in range(0, len(obsolete), ATOMIC_OPERATIONS):
        place.write([Delete(pointer) for pointer in obsolete[start : start + ATOMIC_OPERATIONS]])


def _posted(context: RequestContext, rows: Sequence[Row]) -> set[str]:
    """The keys of counted usages whose leg is there: nothing is owed. Read together, since this is what most pointers are."""
    if not rows:
        return set()
    legs = open_place(context, None).get_many([row.leg for row in rows])
    return {row.key for row, leg in zip(rows, legs, strict=True) if leg and leg.data["state"] == COMMITTED}


def _brought_to_end(context: RequestContext, place: Place, row: Row) -> bool:
    """Whether the row was moved, its pointer with it; else the pointer is of no use any more."""
    if row.home:
        return _end_leg(context, place, row)
    if row.state == HELD:
        settle(context, place, row, EXPIRED)
        return True
    if row.state == COMMITTED and row.leg:  # counted here, and its leg was never made
        if deny(open_place(context, None), leg_of(row, (), None)):
            give_back(place, row)
            return True
        return False
    return False


def _end_leg(context: RequestContext, tenant: Place, leg: Row) -> bool:
    if leg.state != HELD:
        return False
    place = open_place(context, leg.facts["project"])
    home = read_row(place, leg.home)
    if home is None:
        return _ended(tenant, leg)
    if home.state == HELD:
        if home.expires_at and leg.expires_at and home.expires_at + LEG_MARGIN > leg.expires_at:
            return _outlives(tenant, leg, home)
        home, _ = settle(context, place, home, EXPIRED)
        return True
    settle_leg(tenant, home)
    return True


def _outlives(tenant: Place, leg: Row, home: Row) -> bool:
    """Let a leg live as long as a home row whose end was moved on."""
    assert home.expires_at is not None
    with suppress(VersionConflict):  # it was settled or topped up meanwhile
        move(tenant, leg, replace(leg, expires_at=home.expires_at + LEG_MARGIN))
    return True


def _ended(tenant: Place, leg: Row) -> bool:
    """Give back a leg whose home row is gone: nobody can settle it any more."""
    with suppress(VersionConflict):
        move(tenant, leg, leg.with_no_charge(RELEASED))
    return True
