"""What a budget answers instead of counting."""

from collections.abc import Mapping
from typing import Any, ClassVar

from northstar.errors import Conflict, InvalidRequest, QuotaExceeded, RateLimited


class BudgetExceeded(QuotaExceeded):
    """A hard limit would be passed; nothing was counted at any level, and a key that was sent may be used again.

    `figures`: provider, metric, level, limit, used, reserved, requested (decimal texts) and resets_at (None: never by itself).
    """

    def __init__(self, detail: str, figures: Mapping[str, Any]) -> None:
        limit = f"PUT /api/v1/analytics/budgets/{figures['provider']}/{figures['metric']}"
        super().__init__(detail, fix=f"Ask for less, wait for resets_at, or have the limit raised: {limit}.")
        self.figures = dict(figures)

    def facts(self) -> dict[str, Any]:
        return self.figures


class BudgetThrottled(RateLimited):
    """A hard limit of a budget in mode throttle is reached; nothing was counted. Come back after `retry_after` seconds."""

    title = "Budget throttled"
    usual_fix = "Wait as long as Retry-After says, then send the same request again."

    def __init__(self, detail: str, figures: Mapping[str, Any], retry_after: int) -> None:
        super().__init__(detail)
        self.figures = dict(figures)
        self.retry_after = retry_after

    def facts(self) -> dict[str, Any]:
        return self.figures


class Oversubscribed(InvalidRequest):
    """The projects of a tenant would be promised more than the tenant has itself. Nothing was changed."""

    usual_fix = "Lower the limit, raise the tenant's first, or set oversubscribe: true."


class BudgetsChanged(Conflict):
    """A budget was set since the reservation was made, in which it does not count: it cannot be raised. Nothing was changed."""

    retryable: ClassVar[bool] = False
    usual_fix = "Commit at most what it holds, and count what was used beyond with POST …/usage."


class ReservationSettled(Conflict):
    """The reservation was settled in another way before: `state` says how. Nothing was changed."""

    retryable: ClassVar[bool] = False
    usual_fix = "A reservation is settled once. Count what was used after its end with POST …/usage."

    def __init__(self, detail: str, state: str) -> None:
        super().__init__(detail)
        self.state = state

    def facts(self) -> dict[str, Any]:
        return {"state": self.state}
