"""What the calls of budgets take and give: amounts are decimal texts."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from analytics.budgets.amounts import text
from analytics.budgets.counting import Receipt
from analytics.budgets.figures import Figure, forecast_of
from analytics.budgets.policies import GRACE_SECONDS, Terms
from analytics.budgets.reservations import HELD_SECONDS, LONGEST_SECONDS, Reservation
from northstar.context import RequestContext
from northstar.inputs import PageSize, Timestamp
from routing.patterns import IDENTIFIER_PATTERN


def _decimal_text(given: Any) -> str:
    match given:
        case bool():
            pass
        case int() | Decimal() | str():
            return str(given)
        case float():  # JSON's own number: its shortest text is what was sent
            return repr(given)
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
    """What was used. Below zero it is a refund, which never leads below nothing used."""

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


def level_answer(context: RequestContext, figure: Figure) -> dict[str, Any]:
    policy, forecast = figure.level.policy, forecast_of(figure)
    return {
        "record_id": figure.record_id,
        "tenant_id": context.tenant_id,
        "project_id": figure.level.project,
        "user_id": figure.level.user,
        "provider": policy.provider,
        "metric": policy.metric,
        "level": figure.level.name,
        "inherited": "implied" if policy.implied else policy.inherited,
        "soft_limit": _text(policy.soft_limit),
        "hard_limit": _text(policy.hard_limit),
        "effective_limit": _text(figure.limit),
        "window": policy.rule.text,
        "timezone": policy.rule.zone,
        "anchor": policy.rule.anchor,
        "current_window": {
            "key": figure.window.key,
            "label": figure.window.label,
            "start": figure.window.start,
            "end": figure.window.end,
        },
        "thresholds": list(policy.thresholds),
        "thresholds_reached": list(figure.reached),
        "mode": policy.mode,
        "fail": policy.fail,
        "currency": policy.currency,
        "oversubscribe": policy.oversubscribe,
        "grace_seconds": policy.grace_seconds,
        "rollover_cap": _text(policy.rollover_cap),
        "carry_debt": policy.carry_debt,
        "usage": text(figure.used),
        "reserved": text(figure.reserved),
        "remaining": _text(figure.remaining),
        "resets_at": figure.resets_at,
        "forecast": forecast
        and {"projected": text(forecast.projected), "runs_out_at": forecast.runs_out_at, "method": forecast.method},
        "version": None if policy.inherited or policy.implied else policy.version,
        "created_at": policy.created_at,
        "updated_at": figure.updated_at or policy.updated_at,
        "updated_by": policy.updated_by,
    }


def budget_answer(context: RequestContext, figure: Figure, figures: list[Figure]) -> dict[str, Any]:
    """Answer with the budget asked for, and every level beside it."""
    return {**level_answer(context, figure), "levels": [level_answer(context, one) for one in figures]}


def usage_answer(receipt: Receipt) -> dict[str, Any]:
    return {
        "usage_id": receipt.usage_id,
        "amount": f"{receipt.amount:f}",
        "counted": receipt.counted,
        "replayed": receipt.replayed,
        "price_version": receipt.price_version,
        "cost": None if receipt.cost is None else f"{receipt.cost:f}",
    }


def reservation_answer(context: RequestContext, provider: str, metric: str, reservation: Reservation) -> dict[str, Any]:
    return {
        "reservation_id": reservation.reservation_id,
        "provider": provider,
        "metric": metric,
        "state": reservation.state,
        "amount": f"{reservation.amount:f}",
        "at": reservation.at,
        "expires_at": reservation.expires_at,
        "levels": [level_answer(context, figure) for figure in reservation.levels],
    }


def _text(micro: int | None) -> str | None:
    return None if micro is None else text(micro)
