"""A plan: what one usage takes of which counters, at which levels, in which windows, under which limits."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from analytics.budgets.allowances import Allowance, allowance_of
from analytics.budgets.amounts import priced, text
from analytics.budgets.names import MONEY, leg_key, row_key
from analytics.budgets.rows import COMMITTED, Charge, Row
from analytics.budgets.shelves import Level, implied_level, levels_of, price_of
from analytics.budgets.windows import Window
from northstar.context import RequestContext
from northstar.errors import FieldError, InvalidRequest
from northstar.instants import instant_text

EARLY: Final = timedelta(minutes=5)
"""How far a client's clock may be ahead."""
POSTING_SECONDS: Final = 60
"""How long a usage that is counted in two places may take before a sweep looks whether both have it."""
LEG_MARGIN: Final = timedelta(seconds=30)
"""By how much a leg outlives its home row: the home row is settled first, and settles the leg."""


@dataclass(frozen=True, slots=True)
class Share:
    """What is taken at one level: `amount` micro-units of the counter of one window."""

    level: Level
    window: Window
    allowance: Allowance
    amount: int
    rate: str = ""

    @property
    def counter(self) -> str:
        return self.level.counter(self.window.key)

    @property
    def place_key(self) -> tuple[str | None, str]:
        """Which counter of which place."""
        return self.level.project, self.counter

    def charge(self, *, held: bool) -> Charge:
        """Return what a row takes for it."""
        used, reserved = (0, self.amount) if held else (self.amount, 0)
        return Charge(self.counter, used, reserved, self.window.bucket, self.rate)


@dataclass(frozen=True, slots=True)
class _Asked:
    """When a usage happened, and when it is asked about."""

    context: RequestContext
    moment: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be taken. `home` is the project in whose place the row lies, None for the tenant's place."""

    context: RequestContext
    provider: str
    metric: str
    amount: int
    at: datetime
    row_id: str
    home: str | None
    shares: tuple[Share, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def ceilings(self, project: str | None) -> dict[str, int]:
        """Return the limits of the counters in one place that refuse."""
        return {
            share.counter: share.allowance.limit
            for share in self.shares
            if share.level.project == project and share.level.policy.refuses and share.allowance.limit is not None
        }

    def row(self, state: str, expires_at: datetime | None, attempt: int = 1) -> Row:
        """Return the home row."""
        key = row_key(self.provider, self.metric, self.row_id)
        has_leg = self.home is not None and any(share.level.project is None for share in self.shares)
        leg = leg_key(self.provider, self.metric, self.row_id, attempt, self.home or "") if has_leg else ""
        if state == COMMITTED:
            expires_at = datetime.now(UTC) + timedelta(seconds=POSTING_SECONDS) if leg else None
        charges = self._charges(self.home, held=state != COMMITTED)
        return Row(key, state, charges, self.at, expires_at, self.amount, attempt, leg=leg, facts=self.facts)

    def leg(self, row: Row) -> Row:
        """Return the part of a home row that lies with the tenant."""
        charges = self._charges(None, held=row.state != COMMITTED)
        expires_at = row.expires_at + LEG_MARGIN if row.expires_at and row.state != COMMITTED else None
        return leg_of(row, charges, expires_at)

    def _charges(self, project: str | None, *, held: bool) -> tuple[Charge, ...]:
        return tuple(share.charge(held=held) for share in self.shares if share.level.project == project)


def leg_of(row: Row, charges: Iterable[Charge], expires_at: datetime | None) -> Row:
    """Return the leg of a home row."""
    facts = {"project": row.facts["project"]}
    return Row(
        row.leg, row.state, tuple(charges), row.at, expires_at, row.amount, row.attempt, home=row.key, facts=facts
    )


def plan_usage(
    context: RequestContext,
    provider: str,
    metric: str,
    amount: int,
    *,
    key: str = "",
    at: datetime | None = None,
    budgeted_only: bool = False,
    timely: bool = True,
    held: bool = False,
) -> Plan | None:
    """Return the plan for an amount in micro-units (below zero: a refund). `held`: for a reservation, whose key is no usage's.

    None when no level has a policy and `budgeted_only` asks for nothing then; else that usage is counted in the context's own
    place over its lifetime. Raises InvalidRequest when the moment is too far off (unless `timely` is False: for what was held
    before), and as `open_store`.
    """
    now = datetime.now(UTC)
    moment = at or now
    levels = levels_of(context, provider, metric)
    if not levels and budgeted_only:
        return None
    if timely and moment > now + EARLY:
        raise _untimely("early", f"{instant_text(moment)} lies in the future.")
    asked = _Asked(context, moment, now if timely else moment)
    shares = _shares(asked, levels or [implied_level(context, provider, metric)], amount)
    price = price_of(context, provider, metric, moment) if metric != MONEY else None
    facts = _facts(context, [provider, metric, str(amount), "held" if held else "used"], key)
    if price:
        cost = priced(amount, price.rate)
        shares += _shares(asked, levels_of(context, provider, MONEY), cost, price.rate)
        facts |= {"price_version": price.version, "cost": text(cost)}
    home = context.project_id if any(share.level.project for share in shares) else None
    facts["home"] = home
    return Plan(context, provider, metric, amount, moment, _row_id(context, key), home, tuple(shares), facts)


def _shares(asked: _Asked, levels: list[Level], amount: int, rate: str = "") -> list[Share]:
    shares = []
    for level in levels:
        window = level.policy.rule.at(asked.moment)
        _check_time(level, window, asked)
        if window.bucket is not None and window.bucket < level.policy.rule.oldest_bucket(asked.now):
            continue  # it has left the window before it came
        allowance = allowance_of(asked.context, level, window, asked.moment, asked.now)
        shares.append(Share(level, window, allowance, amount, rate))
    return shares


def _check_time(level: Level, window: Window, asked: _Asked) -> None:
    end = asked.moment if window.bucket is not None else window.end
    grace = level.policy.grace_seconds
    if end is not None and (asked.now - end).total_seconds() > grace:
        detail = f"The window {window.label} ended at {instant_text(end)}; usage is taken for {grace} seconds after."
        raise _untimely("late", detail)


def _untimely(code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"The usage's time is not accepted: {detail}",
        fix="Send the time of the usage, or leave it out for now.",
        errors=[FieldError("at", code, detail)],
    )


def _facts(context: RequestContext, said: list[str], key: str) -> dict[str, Any]:
    return {
        "provider": said[0],
        "metric": said[1],
        "project": context.project_id,
        "user": context.user_id,
        "actor": context.actor,
        "request_id": context.request_id,
        "keyed": bool(key),
        "fingerprint": sha256("\n".join([*said, context.user_id or ""]).encode()).hexdigest()[:32],
    }


def _row_id(context: RequestContext, key: str) -> str:
    if not key:
        return secrets.token_hex(16)
    return sha256(f"{context.project_id or ''}\n{key}".encode()).hexdigest()[:32]
