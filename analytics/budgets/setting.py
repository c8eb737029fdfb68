"""Setting: a budget's policy is written on condition, audited, and seen by this process at once."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from uuid_utils.compat import uuid7

from analytics.budgets.adjustments import INCREASE, KINDS, Adjustment
from analytics.budgets.amounts import positive, text
from analytics.budgets.names import (
    ADJUSTMENTS,
    POLICIES,
    PRICES,
    PROJECT,
    TENANT,
    check_name,
    policy_key,
)
from analytics.budgets.outbox import AUDIT, Letter, deliver, letter
from analytics.budgets.places import context_of, open_place
from analytics.budgets.policies import Policy, Terms, checked_policy, stored_policy
from analytics.budgets.prices import Price
from analytics.budgets.projects import note_project
from analytics.budgets.promises import check_promises
from analytics.budgets.shelves import forget
from northstar.context import RequestContext
from northstar.errors import FieldError, InvalidRequest, NotFound, VersionConflict
from northstar.instants import instant_text
from storage.documents import ABSENT, ANY, Expect, Put, Written
from storage.errors import AlreadyExists

BUDGET_SET: Final = "BUDGET_SET"
BUDGET_ADJUSTED: Final = "BUDGET_ADJUSTED"
PRICE_SET: Final = "PRICE_SET"
REASON_CHARACTERS: Final = 1000
LARGEST_RATE: Final = 1_000_000
RATE_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class Target:
    """Which budget: its level, the project for the level project (and a user's inside one), the user for one user's own."""

    provider: str
    metric: str
    level: str
    project: str | None = None
    user: str | None = None

    @property
    def key(self) -> str:
        return policy_key(self.provider, self.metric, self.level, self.user)


def own_policy(context: RequestContext, target: Target) -> Policy | None:
    """Return the policy as it is stored now in the target's own place, None where that has none."""
    record = open_place(context, target.project).get(target.key)
    return stored_policy(record.data, record.version) if record else None


def set_policy(
    context: RequestContext, target: Target, terms: Terms, *, expect: Expect = ANY, rationale: str = ""
) -> Policy:
    """Store the policy and its audit row. `expect` is ANY, ABSENT or the version that it must have.

    Raises InvalidRequest, naming the field; VersionConflict; Oversubscribed where a project would be promised more than its
    tenant has; or as `open_store`. Alerts are armed anew when limits or thresholds change.
    """
    wanted = checked_policy(target.provider, target.metric, target.level, terms, target.user)
    if target.level == PROJECT and target.project is None and context.project_id is not None:
        target = replace(target, project=context.project_id)
    place = open_place(context, target.project)
    before = own_policy(context, target)
    if isinstance(expect, int) and (before is None or before.version != expect):
        raise VersionConflict("The budget has another version, or is not there.")
    policy = _revised(wanted, before, context.actor)
    check_promises(context, policy, target.project)
    note = audit_letter(
        context, target, BUDGET_SET, before=told(before) if before else None, after=told(policy), rationale=rationale
    )
    condition: Expect = expect if expect is ABSENT else (before.version if before else ABSENT)
    try:
        written = place.write([Put(target.key, policy.fields(), condition), note.put()])[0]
    except AlreadyExists:
        raise VersionConflict("The budget exists already, or was set meanwhile.") from None
    assert isinstance(written, Written)
    forget(place)
    deliver(context_of(context, target.project), place, note)
    if target.project is not None:
        note_project(context, target.project)
    return replace(policy, version=written.version)


def _revised(wanted: Policy, before: Policy | None, actor: str) -> Policy:
    now = datetime.now(UTC)
    if before is None:
        return replace(wanted, created_at=now, updated_at=now, updated_by=actor)
    same = (wanted.soft_limit, wanted.hard_limit, wanted.thresholds) == (
        before.soft_limit,
        before.hard_limit,
        before.thresholds,
    )
    armed = before.armed if same else before.armed + 1
    return replace(wanted, armed=armed, created_at=before.created_at, updated_at=now, updated_by=actor)


def adjust(
    context: RequestContext,
    target: Target,
    kind: str,
    amount: Decimal | int | str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    priority: int = 100,
    reason: str = "",
) -> Adjustment:
    """Raise the hard limit of a place's own policy for a while: a temporary increase, or a grant that is used up. It is audited.

    Raises InvalidRequest, NotFound where the place has no such policy of its own, or as `open_store`.
    """
    place, now = open_place(context, target.project), datetime.now(UTC)
    _check_adjustment(kind, since or now, until, reason)
    policy = own_policy(context, target)
    if policy is None or policy.hard_limit is None:
        raise NotFound("There is no budget with a hard limit of this level here.", fix="Set one first.")
    adjustment = Adjustment(
        key=f"{ADJUSTMENTS}{target.provider}:{target.metric}:{uuid7()}",
        policy=target.key.removeprefix(POLICIES),
        kind=kind,
        amount=positive(amount),
        since=since or now,
        until=until,
        priority=priority,
        reason=reason,
        actor=context.actor,
    )
    after = {**_shown(adjustment.fields()), "amount": text(adjustment.amount)}
    note = audit_letter(context, target, BUDGET_ADJUSTED, before=None, after=after, rationale=reason)
    place.write([Put(adjustment.key, adjustment.fields(), ABSENT), note.put()])
    forget(place)
    deliver(context_of(context, target.project), place, note)
    return adjustment


def set_price(
    context: RequestContext, provider: str, metric: str, rate: Decimal | str, *, since: datetime, source: str
) -> Price:
    """Say what a unit costs in US dollars from a moment on. A price is never changed: a later one follows it. It is audited.

    Raises InvalidRequest, AlreadyExists for a second price of one moment, or as `open_store`.
    """
    target = Target(check_name(provider, field="provider"), check_name(metric, field="metric"), TENANT)
    try:
        exact = Decimal(rate)
    except InvalidOperation:
        raise _wrong("rate", "The text is no decimal number.") from None
    if not exact.is_finite() or not 0 <= exact < LARGEST_RATE or exact != round(exact, RATE_DECIMALS):
        raise _wrong("rate", f"Send the price of one unit in dollars, 0 or more, with up to {RATE_DECIMALS} decimals.")
    place = open_place(context, None)
    price = Price(provider, metric, f"{exact:f}", since, source[:REASON_CHARACTERS], context.actor)
    note = audit_letter(context, target, PRICE_SET, before=None, after=_shown(price.fields()), rationale=source)
    place.write([Put(f"{PRICES}{price.name}:{price.version}", price.fields(), ABSENT), note.put()])
    forget(place)
    deliver(context_of(context, None), place, note)
    return price


def _check_adjustment(kind: str, since: datetime, until: datetime | None, reason: str) -> None:
    if kind not in KINDS:
        raise _wrong("kind", f"{kind[:40]!a} is none of: {', '.join(KINDS)}.")
    if kind == INCREASE and until is None:
        raise _wrong("until", "An increase is for a time: say until when.")
    if until is not None and until <= since:
        raise _wrong("until", "It ends before it begins.")
    if not reason.strip() or len(reason) > REASON_CHARACTERS:
        raise _wrong("reason", f"Say why, in 1 to {REASON_CHARACTERS} characters.")


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {field} is not valid. {detail}",
        fix="Correct the field in `errors`.",
        errors=[FieldError(field, "invalid", detail)],
    )


def audit_letter(
    context: RequestContext,
    target: Target,
    action: str,
    *,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    rationale: str = "",
) -> Letter:
    """Return the audit row that a change owes, to be stored in the same write as the change."""
    return letter(
        AUDIT,
        {
            "action": action,
            "subject": f"budget:{target.key.removeprefix(POLICIES)}",
            "actor": context.actor,
            "request_id": context.request_id,
            "rationale": rationale,
            "before": before,
            "after": after,
        },
    )


def told(policy: Policy) -> dict[str, Any]:
    """Return a policy as audit rows and exports show it: limits as decimal texts."""
    limits = ("soft_limit", "hard_limit", "rollover_cap")
    shown = _shown(policy.fields())
    return {name: text(value) if name in limits and value is not None else value for name, value in shown.items()}


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: instant_text(value) if isinstance(value, datetime) else value for name, value in fields.items()}
