"""A policy: what one budget allows, in which window, and what happens at its limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from analytics.budgets.amounts import micros
from analytics.budgets.names import LEVELS, check_name
from analytics.budgets.windows import LIFETIME, WindowRule, window_rule
from northstar.errors import FieldError, InvalidRequest

OBSERVE, WARN, THROTTLE, BLOCK = "observe", "warn", "throttle", "block"
MODES: Final = (OBSERVE, WARN, THROTTLE, BLOCK)
CLOSED, OPEN = "closed", "open"
FAILS: Final = (CLOSED, OPEN)
GRACE_SECONDS: Final = 86_400
LONGEST_GRACE_SECONDS: Final = 31 * 86_400
MOST_THRESHOLDS: Final = 10
LONGEST_THRESHOLD: Final = 40
"""Characters: it stands in the key of its alert."""
MOST_PERCENT: Final = 1000
_FOR_EVER: Final = WindowRule(LIFETIME)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A soft limit: `name` as it was written (`80%` or an amount), `at` in micro-units, inclusive."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What is allowed at one level. Limits are in micro-units, None where there is none.

    `mode`: observe only counts; warn also alerts; throttle refuses over the hard limit and asks to come back; block refuses.
    `fail` says what happens when the counter cannot be reached: closed refuses, open lets usage pass uncounted and says so.
    `revision` grows with each change: alerts are armed once per revision of the limits.
    """

    provider: str
    metric: str
    level: str
    rule: WindowRule = _FOR_EVER
    user: str | None = None
    soft_limit: int | None = None
    hard_limit: int | None = None
    thresholds: tuple[str, ...] = ()
    mode: str = WARN
    fail: str = CLOSED
    currency: str = ""
    oversubscribe: bool = False
    grace_seconds: int = GRACE_SECONDS
    rollover_cap: int | None = None
    carry_debt: bool = False
    armed: int = 1
    created_at: datetime | None = None
    updated_at: datetime | None = None
    updated_by: str = ""
    version: int = 0
    inherited: str = ""
    """Whose policy it is where it is not this place's own: `tenant` or `t_system`; empty when it is its own, or implied."""

    @property
    def refuses(self) -> bool:
        """Whether usage over the hard limit is refused."""
        return self.mode in {THROTTLE, BLOCK} and self.hard_limit is not None

    @property
    def implied(self) -> bool:
        """Whether nobody wrote it: what an application counts without a budget is counted over its lifetime, unlimited."""
        return self.created_at is None

    def soft_limits(self, limit: int | None) -> tuple[Threshold, ...]:
        """Return the thresholds in ascending order. A percentage is of `limit`, the hard limit that holds now, else of the
        soft limit."""
        whole = self.soft_limit if limit is None else limit
        found = [
            Threshold(name, _threshold(name, whole)) for name in self.thresholds if whole or not name.endswith("%")
        ]
        if self.soft_limit is not None:
            found.append(Threshold("soft_limit", self.soft_limit))
        return tuple(sorted(found, key=lambda one: (one.at, one.name)))

    def fields(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            "provider": self.provider,
            "metric": self.metric,
            "level": self.level,
            "user": self.user,
            "window": self.rule.text,
            "timezone": self.rule.zone,
            "anchor": self.rule.anchor,
            "soft_limit": self.soft_limit,
            "hard_limit": self.hard_limit,
            "thresholds": list(self.thresholds),
            "mode": self.mode,
            "fail": self.fail,
            "currency": self.currency,
            "oversubscribe": self.oversubscribe,
            "grace_seconds": self.grace_seconds,
            "rollover_cap": self.rollover_cap,
            "carry_debt": self.carry_debt,
            "armed": self.armed,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "updated_by": self.updated_by,
        }


def stored_policy(fields: Mapping[str, Any], version: int, inherited: str = "") -> Policy:
    """Return a policy from what is stored."""
    kept = {name: fields[name] for name in fields if name not in {"window", "timezone", "anchor", "thresholds"}}
    rule = WindowRule(fields["window"], fields["timezone"], fields["anchor"])
    return Policy(rule=rule, thresholds=tuple(fields["thresholds"]), version=version, inherited=inherited, **kept)


@dataclass(frozen=True, slots=True)
class Terms:
    """What somebody asks a policy to say, as it is sent: amounts as decimals."""

    soft_limit: Any = None
    hard_limit: Any = None
    window: str = LIFETIME
    timezone: str = "UTC"
    anchor: str = ""
    thresholds: tuple[str, ...] = ()
    mode: str | None = None
    fail: str = CLOSED
    currency: str = ""
    oversubscribe: bool = False
    grace_seconds: int = GRACE_SECONDS
    rollover_cap: Any = None
    carry_debt: bool = False


def checked_policy(provider: str, metric: str, level: str, terms: Terms, user: str | None = None) -> Policy:
    """Return the policy that the terms ask for, not yet stored. Raises InvalidRequest, naming each field that is wrong.

    Without a mode it blocks where there is a hard limit, and warns where there is none.
    """
    usual = WARN if terms.hard_limit is None else BLOCK
    policy = Policy(
        **_each(
            provider=lambda: check_name(provider, field="provider"),
            metric=lambda: check_name(metric, field="metric"),
            level=lambda: _choice(level, LEVELS, "level"),
            soft_limit=lambda: _limit(terms.soft_limit, "soft_limit"),
            hard_limit=lambda: _limit(terms.hard_limit, "hard_limit"),
            rule=lambda: window_rule(terms.window, terms.timezone, terms.anchor),
            mode=lambda: _choice(terms.mode or usual, MODES, "mode"),
            fail=lambda: _choice(terms.fail, FAILS, "fail"),
            rollover_cap=lambda: _limit(terms.rollover_cap, "rollover_cap"),
        ),
        user=user,
        thresholds=tuple(dict.fromkeys(terms.thresholds)),
        currency=terms.currency,
        oversubscribe=terms.oversubscribe,
        grace_seconds=terms.grace_seconds,
        carry_debt=terms.carry_debt,
    )
    _check(policy)
    return policy


def _each(**checks: Callable[[], Any]) -> dict[str, Any]:
    """Return what each check returns. Raises InvalidRequest with what all of them refuse: one field hides no other."""
    found: dict[str, Any] = {}
    refusals: list[InvalidRequest] = []
    for name, check in checks.items():
        try:
            found[name] = check()
        except InvalidRequest as refusal:
            refusals.append(refusal)
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        wrong = [one for refusal in refusals for one in refusal.errors]
        raise InvalidRequest("The budget is not valid.", fix="Correct the fields in `errors`.", errors=wrong)
    return found


def _check(policy: Policy) -> None:
    if policy.soft_limit is not None and policy.hard_limit is not None and policy.soft_limit > policy.hard_limit:
        raise _refusal("soft_limit", "The soft limit lies above the hard limit.")
    if policy.hard_limit is None and policy.mode in {THROTTLE, BLOCK}:
        raise _refusal("mode", f"The mode {policy.mode} needs a hard_limit.")
    if len(policy.thresholds) > MOST_THRESHOLDS:
        raise _refusal("thresholds", f"There are more than {MOST_THRESHOLDS} thresholds.")
    for name in policy.thresholds:
        if len(name) > LONGEST_THRESHOLD:
            raise _refusal("thresholds", f"A threshold has at most {LONGEST_THRESHOLD} characters.")
        _threshold(name, 1)
        if name.endswith("%") and policy.hard_limit is None and policy.soft_limit is None:
            raise _refusal("thresholds", "A percentage needs a hard_limit or a soft_limit.")
    if not 0 <= policy.grace_seconds <= LONGEST_GRACE_SECONDS:
        raise _refusal("grace_seconds", f"The grace period must be 0 to {LONGEST_GRACE_SECONDS} seconds.")
    if (policy.rollover_cap is not None or policy.carry_debt) and (
        policy.hard_limit is None or policy.rule.rolls or policy.rule.text == LIFETIME
    ):
        raise _refusal("rollover_cap", "Only a calendar window with a hard limit carries anything into the next.")
    if policy.user is not None and policy.level != "user":
        raise _refusal("level", "Only the level user is about one user.")


def _limit(given: Any, field: str) -> int | None:
    if given is None:
        return None
    found = micros(given, field=field)
    if found < 0:
        raise _refusal(field, "A limit is not below zero.")
    return found


def _threshold(name: str, whole: int | None) -> int:
    """Return a threshold's amount. Raises InvalidRequest for one that is neither a percentage nor an amount above zero."""
    if name.endswith("%"):
        percent = micros(name[:-1], field="thresholds")
        if not 0 < percent <= micros(MOST_PERCENT):
            raise _refusal("thresholds", f"A percentage must be above 0 and at most {MOST_PERCENT}.")
        return -(-(whole or 0) * percent // micros(100))  # rounded up: reached is reached in full
    found = micros(name, field="thresholds")
    if found <= 0:
        raise _refusal("thresholds", "A threshold must be above zero.")
    return found


def _choice(given: str, choices: tuple[str, ...], field: str) -> str:
    if given not in choices:
        raise _refusal(field, f"{given[:40]!a} is none of: {', '.join(choices)}.")
    return given


def _refusal(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"The budget is not valid: {detail}",
        fix="Correct the field in `errors`.",
        errors=[FieldError(field, "invalid", detail)],
    )
