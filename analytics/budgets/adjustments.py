"""Adjustments: dated rows that raise a budget's limit for a while: a temporary increase, or a grant that is used up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from analytics.budgets.policies import Policy

INCREASE, GRANT = "increase", "grant"
KINDS: Final = (INCREASE, GRANT)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What one row adds to one policy's hard limit, in micro-units, for events from `since` until `until` (None: for ever).

    An increase raises the limit of every window that an event in its time falls into. A grant is a credit of its own: what
    windows use beyond the rest of their limit is taken from grants, the lowest `priority` first, and is gone.
    """

    key: str
    policy: str
    kind: str
    amount: int
    since: datetime
    until: datetime | None
    priority: int
    reason: str
    actor: str

    def is_of(self, policy: Policy) -> bool:
        """Whether it changes this policy's limit."""
        return self.policy == f"{policy.provider}:{policy.metric}:{policy.level}" + (
            f":{policy.user}" if policy.user else ""
        )

    def holds_at(self, moment: datetime) -> bool:
        """Whether it counts for an event of this moment."""
        return self.since <= moment and (self.until is None or moment < self.until)

    def fields(self) -> dict[str, Any]:
        """Return what is stored."""
        names = ("policy", "kind", "amount", "since", "until", "priority", "reason", "actor")
        return {name: getattr(self, name) for name in names}


def stored_adjustment(key: str, fields: Mapping[str, Any]) -> Adjustment:
    """Return an adjustment from what is stored."""
    return Adjustment(key=key, **fields)
