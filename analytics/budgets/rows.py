"""Rows and counters: a row says what one usage or reservation takes, and changes in one atomic write with the counters it feeds.

So in each place `used` and `reserved` of a counter are at every moment the sums over its rows (and over what was folded of them),
whoever crashes when. Everything else in this package is a sequence of such moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from analytics.budgets.names import open_key
from analytics.budgets.places import Place
from storage.documents import ABSENT, Delete, Expect, Increment, Operation, Put, Totals, Written

HELD, COMMITTED, RELEASED, EXPIRED, DENIED = "held", "committed", "released", "expired", "denied"
SETTLED: Final = frozenset({COMMITTED, RELEASED, EXPIRED, DENIED})
BUCKET_MARK: Final = "b"
"""Begins the fields of a rolling counter's sub-buckets: b1234."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a row takes of one counter, in micro-units. `rate` turns the row's amount into this counter's; empty is one to one."""

    counter: str
    used: int = 0
    reserved: int = 0
    bucket: int | None = None
    rate: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One usage or reservation in one place. `version` is 0 before it is stored.

    A home row lies where it was asked for; `leg` names its part in the tenant's place, if it has one. A leg's `home` is the
    key of its home row and `project` the place of that.
    """

    key: str
    state: str
    charges: tuple[Charge, ...]
    at: datetime
    expires_at: datetime | None = None
    """Until when the row must be settled; None when nothing is owed any more."""
    amount: int = 0
    attempt: int = 1
    leg: str = ""
    home: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0

    def fields(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "state": self.state,
            "charges": [
                {
                    "counter": one.counter,
                    "used": one.used,
                    "reserved": one.reserved,
                    "bucket": one.bucket,
                    "rate": one.rate,
                }
                for one in self.charges
            ],
            "at": self.at,
            "expires_at": self.expires_at,
            "amount": self.amount,
            "attempt": self.attempt,
            "leg": self.leg,
            "home": self.home,
            "facts": dict(self.facts),
        }

    def with_no_charge(self, state: str) -> "Row":
        """Return the row in a state in which it takes nothing and owes nothing."""
        freed = tuple(replace(one, used=0, reserved=0) for one in self.charges)
        return replace(self, state=state, charges=freed, expires_at=None)


def stored_row(key: str, fields: Mapping[str, Any], version: int) -> Row:
    """Return a row from what is stored."""
    return Row(
        key,
        fields["state"],
        tuple(Charge(**one) for one in fields["charges"]),
        fields["at"],
        fields["expires_at"],
        fields["amount"],
        fields["attempt"],
        fields["leg"],
        fields["home"],
        fields["facts"],
        version,
    )


def read_row(place: Place, key: str) -> Row | None:
    """Return the row, None when it is missing."""
    record = place.get(key)
    return stored_row(key, record.data, record.version) if record else None


@dataclass(frozen=True, slots=True)
class Sums:
    """A counter, in micro-units. `total` is used and reserved together: what a limit is compared with."""

    used: int = 0
    reserved: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)
    version: int = 0
    updated_at: datetime | None = None

    @property
    def total(self) -> int:
        return self.used + self.reserved

    def fields(self) -> dict[str, Any]:
        """Return what is stored."""
        buckets = {f"{BUCKET_MARK}{bucket}": used for bucket, used in self.buckets.items()}
        return {"used": self.used, "reserved": self.reserved, "total": self.total, **buckets}


def stored_sums(fields: Mapping[str, Any], version: int, updated_at: datetime | None = None) -> Sums:
    """Return a counter from what is stored."""
    buckets = {int(name[1:]): used for name, used in fields.items() if name[0] == BUCKET_MARK and name[1:].isdecimal()}
    return Sums(fields.get("used", 0), fields.get("reserved", 0), buckets, version, updated_at)


def read_sums(place: Place, keys: list[str]) -> dict[str, Sums]:
    """Return each counter, nothing used where it does not exist yet."""
    records = place.get_many(keys)
    return {
        key: stored_sums(record.data, record.version, record.updated_at) if record else Sums()
        for key, record in zip(keys, records, strict=True)
    }


CounterTotals = Mapping[tuple[str | None, str], Mapping[str, int]]
"""What counters say right after a write, by place and key: `used` and `total`, in micro-units."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A row as it is now, and what the counters that it feeds say after it."""

    row: Row
    totals: CounterTotals


def move(
    place: Place,
    before: Row | None,
    after: Row,
    *,
    ceilings: Mapping[str, int] | None = None,
    floored: bool = False,
) -> Moved:
    """Replace a row (None: create it) and bring its counters along, in one atomic write.

    `ceilings` bound the counters' totals where this raises them. `floored` keeps `used`, and what a sub-bucket has used, from
    falling below zero: what one sub-bucket owes would be missing when another has left the window. Raises CeilingReached,
    FloorReached, AlreadyExists or VersionConflict, and then nothing was changed.
    """
    expect: Expect = before.version if before else ABSENT
    operations: list[Operation] = [Put(after.key, after.fields(), expect)]
    deltas = _deltas(before.charges if before else (), after.charges)
    operations += [_increment(counter, delta, ceilings or {}, floored=floored) for counter, delta in deltas.items()]
    operations += _pointers(before, after)
    outcomes = place.write(operations)
    written, totals = outcomes[0], outcomes[1 : 1 + len(deltas)]
    assert isinstance(written, Written)
    told = {
        (place.project, counter): {name: int(value) for name, value in outcome.values.items()}
        for counter, outcome in zip(deltas, totals, strict=True)
        if isinstance(outcome, Totals)
    }
    return Moved(replace(after, version=written.version), told)


def _deltas(before: tuple[Charge, ...], after: tuple[Charge, ...]) -> dict[str, dict[str, int]]:
    """What each counter gains. One that gains nothing is listed too: its version tells reconciliation that its rows moved."""
    deltas: dict[str, dict[str, int]] = {}
    for sign, charges in ((-1, before), (1, after)):
        for charge in charges:
            gained = deltas.setdefault(charge.counter, {"used": 0, "reserved": 0, "total": 0})
            gained["used"] += sign * charge.used
            gained["reserved"] += sign * charge.reserved
            gained["total"] += sign * (charge.used + charge.reserved)
            if charge.bucket is not None:
                name = f"{BUCKET_MARK}{charge.bucket}"
                gained[name] = gained.get(name, 0) + sign * charge.used
    return deltas


def _increment(counter: str, delta: dict[str, int], ceilings: Mapping[str, int], *, floored: bool) -> Increment:
    limited = delta["total"] > 0 and counter in ceilings
    bounded = [name for name in delta if floored and delta[name] < 0 and (name == "used" or name[0] == BUCKET_MARK)]
    return Increment(
        counter,
        delta,
        ceilings={"total": ceilings[counter]} if limited else {},
        floors=dict.fromkeys(bounded, 0),
    )


def _pointers(before: Row | None, after: Row) -> list[Operation]:
    old = open_key(before.expires_at, before.key) if before and before.expires_at else ""
    new = open_key(after.expires_at, after.key) if after.expires_at else ""
    if old == new:
        return []
    operations: list[Operation] = [Delete(old)] if old else []
    return [*operations, Put(new, {})] if new else operations
