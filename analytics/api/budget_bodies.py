"""What the calls of budgets take and give: amounts are decimal texts."""

import sys
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from analytics.budgets.policies import GRACE_SECONDS, Terms
from analytics.budgets.reservations import HELD_SECONDS, LONGEST_SECONDS
from northstar.inputs import PageSize, Timestamp
from routing.patterns import IDENTIFIER_PATTERN


def _decimal_text(given: Any) -> str:
    match given:
        case bool():
            pass
        case int() | Decimal() | str():
            return str(given)
        case float() if len(Decimal(repr(given)).normalize().as_tuple().digits) <= sys.float_info.dig:
            return repr(given)  # a number of so few digits comes back as it was sent
        case float():
            raise ValueError(f"A number of more than {sys.float_info.dig} digits is not kept exactly: send it as text.")
    raise ValueError("Send a decimal as text, or a number.")


Amount = Annotated[str, PlainValidator(_decimal_text, json_schema_input_type=str | int | float)]
LevelName = Literal["tenant", "project", "user"]
UserId = Annotated[str, Field(pattern=f"^{IDENTIFIER_PATTERN}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BudgetIn(_Strict):
    """A budget's whole policy: what is left out falls back to its default."""

    soft_limit: Amount | None = None
    hard_limit: Amount | None = None
    window: str = Field(
        default="lifetime",
        description="lifetime; hour, day, week (ISO), month, quarter, year; or rolling: 900s, 30m, 48h, 30d.",
    )
    timezone: str = Field(default="UTC", description="The IANA zone whose clock a calendar window follows.")
    anchor: str = Field(
        default="", description="Where a calendar window begins: 06:00, mon, 15, 4 or 04-01 by its kind."
    )
    thresholds: list[str] = Field(
        default_factory=list,
        description="Further soft limits: `80%` (of the hard limit, else of the soft limit) or amounts.",
    )
    mode: Literal["observe", "warn", "throttle", "block"] | None = Field(
        default=None, description="`block` where there is a hard limit, else `warn`."
    )
    fail: Literal["closed", "open"] = Field(
        default="closed", description="What happens while the counter cannot be reached: refuse, or let pass uncounted."
    )
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    oversubscribe: bool = False
    grace_seconds: int = Field(
        default=GRACE_SECONDS, description="For how long after its end a window takes late usage."
    )
    rollover_cap: Amount | None = Field(
        default=None, description="How much of an unused limit the next window may get."
    )
    carry_debt: bool = Field(default=False, description="Whether overspend lowers the next window's limit.")
    level: LevelName | None = Field(
        default=None, description="`project` where the request names a project, else `tenant`; `user` for each user."
    )
    user_id: UserId | None = Field(default=None, description="With level user: for this user alone.")

    def terms(self) -> Terms:
        return Terms(thresholds=tuple(self.thresholds), **self.model_dump(exclude={"thresholds", "level", "user_id"}))


class BudgetQuery(BaseModel):
    """Which level of a budget."""

    level: LevelName | None = None


class BudgetsQuery(BaseModel):
    """Which budgets."""

    provider: str = ""
    limit: PageSize = 100
    cursor: str | None = None


class UsageIn(_Strict):
    """What was used. Below zero it is a refund, which never leads below nothing used in the window (where it rolls: in the
    sub-bucket) of its time: send the time of the usage that it gives back."""

    amount: Amount
    at: Timestamp | None = Field(default=None, description="When; now where it is left out.")


class ReserveIn(UsageIn):
    """What to hold, and for how long."""

    ttl_seconds: int = Field(default=HELD_SECONDS, ge=1, le=LONGEST_SECONDS)


class CommitIn(_Strict):
    """What was used of a reservation; all of it where it is left out. More than it holds is topped up within the limits."""

    amount: Amount | None = None


class NothingIn(_Strict):
    """No field."""


class TopUpIn(_Strict):
    """What to add to a running reservation; `ttl_seconds` from now is its new end."""

    amount: Amount
    ttl_seconds: int | None = Field(default=None, ge=1, le=LONGEST_SECONDS)


class CheckQuery(BaseModel):
    """What is asked about."""

    amount: str | None = None
    at: Timestamp | None = None


class ReservationQuery(BaseModel):
    """No parameter."""


class WindowOut(BaseModel):
    """A window in UTC; a lifetime has no bounds."""

    key: str
    label: str
    start: datetime | None
    end: datetime | None


class ForecastOut(BaseModel):
    """What a calendar window will have used at its end."""

    projected: str
    runs_out_at: datetime | None
    method: str


class LevelOut(BaseModel):
    """One budget at one level, as it is now."""

    record_id: str
    tenant_id: str
    project_id: str | None
    user_id: str | None
    provider: str
    metric: str
    level: LevelName
    inherited: str = Field(
        description="`tenant` or `t_system` where the policy is theirs; `implied` where nobody set one."
    )
    soft_limit: str | None
    hard_limit: str | None
    effective_limit: str | None = Field(
        description="The hard limit that holds now, with increases, grants, rollover, debt."
    )
    window: str
    timezone: str
    anchor: str
    current_window: WindowOut
    thresholds: list[str]
    thresholds_reached: list[str]
    mode: Literal["observe", "warn", "throttle", "block"]
    fail: Literal["closed", "open"]
    currency: str
    oversubscribe: bool
    grace_seconds: int
    rollover_cap: str | None
    carry_debt: bool
    usage: str
    reserved: str
    remaining: str | None
    resets_at: datetime | None
    forecast: ForecastOut | None
    version: int | None
    created_at: datetime | None
    updated_at: datetime | None
    updated_by: str


class BudgetOut(LevelOut):
    """The budget asked for, and every level that usage in this context counts in, outermost first."""

    levels: list[LevelOut]


class BudgetPageOut(BaseModel):
    """Budgets by provider, metric and level."""

    items: list[LevelOut]
    next_cursor: str | None


class BudgetUsageOut(BudgetOut):
    """What was counted, and the budget after it. `counted` is false where the counter is away and the budget fails open."""

    usage_id: str
    amount: str
    counted: bool
    replayed: bool
    price_version: str
    cost: str | None


class ReservationOut(BaseModel):
    """A reservation. `amount` is what it holds or, once committed, what was used."""

    reservation_id: str
    provider: str
    metric: str
    state: Literal["held", "committed", "released", "expired"]
    amount: str
    at: datetime
    expires_at: datetime | None
    levels: list[LevelOut]


class CheckOut(BaseModel):
    """Whether an amount would be let in now, and which limits are reached."""

    provider: str
    metric: str
    amount: str
    allowed: bool
    soft_limit_exceeded: bool
    hard_limit_exceeded: bool
    levels: list[LevelOut]
