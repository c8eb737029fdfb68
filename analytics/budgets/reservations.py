"""Reservations: hold an amount before a call, settle what it took after it.

A reservation is a row with an end of its own. Whatever is not settled by then is given back, by whoever touches it next or by
the sweep.
"""

import re
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final

from analytics.budgets.alerts import raise_alerts
from analytics.budgets.amounts import micros, positive, priced, text, units
from analytics.budgets.errors import BudgetExceeded, BudgetsChanged, BudgetThrottled, ReservationSettled
from analytics.budgets.figures import Figure, figures_of
from analytics.budgets.names import check_name, row_key
from analytics.budgets.places import Place, open_place
from analytics.budgets.plans import LEG_MARGIN, Plan, plan_usage
from analytics.budgets.projects import remember_project
from analytics.budgets.rows import COMMITTED, DENIED, EXPIRED, HELD, RELEASED, Row, move, read_row
from analytics.budgets.settling import settle, settle_leg
from analytics.budgets.taking import refuse, take
from northstar.context import RequestContext
from northstar.errors import Conflict, FieldError, IdempotencyMismatch, InvalidRequest, NotFound, VersionConflict
from storage.errors import CeilingReached

HELD_SECONDS: Final = 300
LONGEST_SECONDS: Final = 86_400
ATTEMPTS: Final = 8
MOST_TOP_UPS: Final = 200
_ID: Final = re.compile(r"[0-9a-f]{32}")
_TENANTS: Final = "t"
_PROJECTS: Final = "p"
"""The first letter of a reservation's id says where its row lies: with the tenant, or in the context's project."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation as it is now. `amount` is what it holds or, once committed, what was used."""

    reservation_id: str
    state: str
    amount: Decimal
    at: datetime
    expires_at: datetime | None
    levels: tuple[Figure, ...] = ()
    replayed: bool = False


def reserve(
    context: RequestContext,
    provider: str,
    metric: str,
    amount: Decimal | int | str,
    *,
    seconds: int = HELD_SECONDS,
    key: str = "",
    at: datetime | None = None,
) -> Reservation:
    """Hold an amount at every level that has a budget, or at none, for 1 to 86400 seconds.

    It is charged to the windows of `at` (default now), whenever it is settled. The same `key` is one reservation. Raises as
    `analytics.budgets.counting.record_usage`.
    """
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise _wrong("ttl_seconds", f"A reservation is held for 1 to {LONGEST_SECONDS} seconds.")
    plan = plan_usage(context, provider, metric, positive(amount), key=key, at=at, held=True)
    assert plan is not None
    remember_project(plan)
    taken = take(plan, HELD, datetime.now(UTC) + timedelta(seconds=seconds))
    row, totals = taken.row, taken.totals
    if taken.replayed and row.state == HELD and _is_over(row):
        row, totals = settle(context, open_place(context, plan.home), row, EXPIRED)
    return replace(_told(row), levels=figures_of(context, plan.shares, totals), replayed=taken.replayed)


def commit(
    context: RequestContext,
    provider: str,
    metric: str,
    reservation_id: str,
    amount: Decimal | int | str | None = None,
) -> Reservation:
    """Settle a reservation with what was used (None: all that it holds); the rest is given back. Twice is once.

    More than it holds is topped up first, within the limits. Raises BudgetExceeded, BudgetThrottled or BudgetsChanged for that,
    ReservationSettled when it was released or has expired, IdempotencyMismatch when another amount was committed, NotFound,
    or what the stores raise.
    """
    place, row = _open(context, provider, metric, reservation_id)
    used = row.amount if amount is None else micros(amount)
    if used < 0:
        raise _wrong("amount", "The amount is not below zero.")
    if row.state == HELD and _is_over(row):
        row, _ = settle(context, place, row, EXPIRED)
    if row.state == HELD and row.leg and read_row(open_place(context, None), row.leg) is None:
        raise _incomplete()
    if row.state == HELD and used > row.amount:
        row = _extended(context, place, row, _TopUp.of(used - row.amount, f"commit {used}"))
    row, totals = settle(context, place, row, COMMITTED, used)
    if row.state != COMMITTED:
        raise _settled_as(row)
    if row.amount != used:
        raise IdempotencyMismatch(
            f"The reservation was committed with {text(row.amount)} before.", fix="Send the same amount again."
        )
    plan = _plan(context, row)
    raise_alerts(context, plan.shares, totals)
    return replace(_told(row), levels=figures_of(context, plan.shares, totals))


def release(context: RequestContext, provider: str, metric: str, reservation_id: str) -> Reservation:
    """Give back all that a reservation holds; one that has expired has done so. Twice is once.

    Raises ReservationSettled when it was committed, NotFound, or what the stores raise.
    """
    place, row = _open(context, provider, metric, reservation_id)
    row, totals = settle(context, place, row, EXPIRED if _is_over(row) else RELEASED)
    if row.state == COMMITTED:
        raise _settled_as(row)
    return replace(_told(row), levels=figures_of(context, _plan(context, row).shares, totals))


def top_up(
    context: RequestContext,
    provider: str,
    metric: str,
    reservation_id: str,
    amount: Decimal | int | str,
    *,
    seconds: int | None = None,
    key: str = "",
) -> Reservation:
    """Add to a running reservation, for a stream that goes on; `seconds` from now is its new end. The same `key` adds once.

    Raises BudgetExceeded, BudgetThrottled, or BudgetsChanged where a budget was set since in which it does not count, and then it
    holds what it held before; ReservationSettled, NotFound, or what the
    stores raise.
    """
    if seconds is not None and not 1 <= seconds <= LONGEST_SECONDS:
        raise _wrong("ttl_seconds", f"A reservation is held for 1 to {LONGEST_SECONDS} seconds.")
    place, row = _open(context, provider, metric, reservation_id)
    if row.state == HELD and _is_over(row):
        row, _ = settle(context, place, row, EXPIRED)
    if row.state != HELD:
        raise _settled_as(row)
    until = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    row = _extended(context, place, row, _TopUp.of(positive(amount), key or secrets.token_hex(16), until))
    return replace(_told(row), levels=figures_of(context, _plan(context, row).shares, {}))


def read_reservation(context: RequestContext, provider: str, metric: str, reservation_id: str) -> Reservation:
    """Return a reservation as it is now. One whose time is over is expired by this look. Raises NotFound."""
    place, row = _open(context, provider, metric, reservation_id)
    if row.state == HELD and _is_over(row):
        row, _ = settle(context, place, row, EXPIRED)
    elif row.state != HELD and row.leg:
        settle_leg(open_place(context, None), row)
    return _told(row)


@dataclass(frozen=True, slots=True)
class _TopUp:
    """An amount to add, under a name that adds once, and the new end of what it is added to."""

    amount: int
    name: str
    until: datetime | None

    @classmethod
    def of(cls, amount: int, key: str, until: datetime | None = None) -> "_TopUp":
        return cls(amount, sha256(key.encode()).hexdigest()[:16], until)


def _extended(context: RequestContext, place: Place, row: Row, more: _TopUp) -> Row:
    """Add to the leg first and to the home row then: what the tenant holds for it is never less than what it may commit."""
    plan = _as_planned_now(context, row, more.amount)
    if not row.leg:
        _check_bounded(plan, row, None)
        return _added(place, plan, row, more)
    tenant = open_place(context, None)
    leg = read_row(tenant, row.leg)
    if leg is None:
        raise _incomplete()
    _check_bounded(plan, row, leg)
    leg = _added(tenant, plan, leg, replace(more, until=more.until + LEG_MARGIN if more.until else None))
    try:
        return _added(place, plan, row, more)
    except (BudgetExceeded, BudgetThrottled):
        _taken_off(tenant, leg, more.name)
        raise


def _check_bounded(plan: Plan, row: Row, leg: Row | None) -> None:
    """Raise BudgetsChanged where a limit of today would not be asked, since the reservation takes nothing of its counter."""
    charged = {(row.facts["home"], one.counter) for one in row.charges}
    charged |= {(None, one.counter) for one in leg.charges} if leg else set()
    for share in plan.shares:
        if share.level.policy.refuses and share.place_key not in charged:
            raise BudgetsChanged(
                f"The {share.level.name}'s budget of {share.level.policy.provider} {share.level.policy.metric} "
                "was set or changed its window after this was reserved."
            )


def _added(place: Place, plan: Plan, row: Row, more: _TopUp) -> Row:
    """Add to one row, once per name. Raises the refusal, ReservationSettled or IdempotencyMismatch."""
    known: Row | None = row
    for _ in range(ATTEMPTS):
        if known is None or known.state != HELD:
            raise _settled_as(known or row)
        before = known.facts.get("top_ups", {})
        if more.name in before:
            if before[more.name] != more.amount:
                raise IdempotencyMismatch("This key was used before with another amount.", fix="Send a new key.")
            return known
        if len(before) >= MOST_TOP_UPS:
            raise _wrong("amount", f"A reservation is topped up at most {MOST_TOP_UPS} times.")
        wanted = _changed(known, more.amount, {**before, more.name: more.amount}, more.until)
        try:
            return move(place, known, wanted, ceilings=plan.ceilings(place.project)).row
        except CeilingReached:
            refuse(place, plan)
        except VersionConflict:
            pass
        known = read_row(place, row.key)
    raise Conflict("The reservation is changed by several calls at once.", fix="Send it again.")


def _taken_off(tenant: Place, leg: Row, name: str) -> None:
    """Take back what was added to a leg under this name. Settled meanwhile, it holds nothing any more."""
    known: Row | None = leg
    for _ in range(ATTEMPTS):
        top_ups = dict(known.facts.get("top_ups", {})) if known else {}
        if known is None or known.state != HELD or name not in top_ups:
            return
        amount = top_ups.pop(name)
        try:
            move(tenant, known, _changed(known, -amount, top_ups, None))
        except VersionConflict:
            known = read_row(tenant, leg.key)
        else:
            return


def _changed(row: Row, amount: int, top_ups: dict[str, int], until: datetime | None) -> Row:
    """The cost is that of the whole: crumbs that are rounded one by one would hold less than their sum is committed with."""
    whole = row.amount + amount
    charges = tuple(replace(one, reserved=priced(whole, one.rate) if one.rate else whole) for one in row.charges)
    ends = row.expires_at if until is None else until
    return replace(row, charges=charges, amount=whole, expires_at=ends, facts={**row.facts, "top_ups": top_ups})


def _open(context: RequestContext, provider: str, metric: str, reservation_id: str) -> tuple[Place, Row]:
    """Return the place and the home row of a reservation. Raises NotFound for another project's too."""
    check_name(provider, field="provider")
    check_name(metric, field="metric")
    where, row_id = reservation_id[:1], reservation_id[1:]
    known = _ID.fullmatch(row_id) and (where == _TENANTS or (where == _PROJECTS and context.project_id))
    if known:
        place = open_place(context, context.project_id if where == _PROJECTS else None)
        row = read_row(place, row_key(provider, metric, row_id))
        if row and row.state != DENIED and row.facts["project"] == context.project_id:
            return place, row
    raise NotFound(f"There is no reservation {reservation_id[:80]!a} of {provider} {metric} here.")


def _plan(context: RequestContext, row: Row) -> Plan:
    """Return the budgets that the reservation counts in, as they stand now."""
    plan = _as_planned_now(context, row, 0)
    charged = {charge.counter for charge in row.charges}
    return replace(
        plan, shares=tuple(share for share in plan.shares if share.level.project is None or share.counter in charged)
    )


def _as_planned_now(context: RequestContext, row: Row, amount: int) -> Plan:
    """Return what an amount more would take of today's budgets at the reservation's time."""
    of_row = replace(context, user_id=row.facts["user"])
    plan = plan_usage(of_row, row.facts["provider"], row.facts["metric"], amount, at=row.at, timely=False)
    assert plan is not None
    return replace(plan, shares=tuple(replace(share, amount=_more(row, amount, share.rate)) for share in plan.shares))


def _more(row: Row, amount: int, rate: str) -> int:
    """What an amount more costs, which is not always what it would cost alone."""
    return priced(row.amount + amount, rate) - priced(row.amount, rate) if rate else amount


def _told(row: Row) -> Reservation:
    where = _PROJECTS if row.leg or row.facts["home"] else _TENANTS
    return Reservation(where + row.key.rpartition(":")[2], row.state, units(row.amount), row.at, row.expires_at)


def _is_over(row: Row) -> bool:
    return row.expires_at is not None and row.expires_at <= datetime.now(UTC)


def _settled_as(row: Row) -> ReservationSettled:
    return ReservationSettled(f"The reservation was {row.state} before.", row.state)


def _incomplete() -> Conflict:
    return Conflict(
        "The reservation was never completed: its call was cut off.", fix="Send the reservation again with its key."
    )


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, fix="Correct the field in `errors`.", errors=[FieldError(field, "range", detail)])
