"""What the call of attribution takes and gives."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from analytics.attribution.credits import Attribution, Credit, Model, ModelName
from analytics.attribution.paths import Transform
from analytics.attribution.stored import Whose
from analytics.attribution.touches import Conversion, Touch, micros_of, touch_of, units_of
from analytics.contracts.channels import CHANNELS
from analytics.contracts.parameters import UTM_FIELD_SET, click_ids, utm_name
from analytics.contracts.urls import host_of
from northstar.inputs import Timestamp
from storage.api.table_bodies import Amount

TOUCHES: int = 1000
CONVERSIONS: int = 100
LONGEST = timedelta(days=400)
DIMENSIONS = ("channel", "utm_source", "utm_medium", "utm_campaign")
Text = Annotated[str, Field(max_length=2048)]
Name = Annotated[str, Field(max_length=128)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelIn(_Strict):
    """How to share a conversion's value."""

    name: ModelName
    lookback_days: Annotated[float | None, Field(gt=0, le=3650)] = Field(
        default=90, description="How old a touch may be; null: however old."
    )
    transforms: Annotated[list[Transform], Field(max_length=8)] = Field(
        default_factory=list, description="What is done to the path first, in this order."
    )
    first_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=40, description="position_based: of the first touch."
    )
    last_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=40, description="position_based: of the last touch."
    )
    half_life_days: Annotated[float, Field(gt=0, le=3650)] = Field(
        default=7, description="time_decay: a touch this much older counts half."
    )

    @model_validator(mode="after")
    def _whole(self) -> "ModelIn":
        if self.first_percent + self.last_percent > 100:
            raise ValueError("first_percent and last_percent are more than 100 together.")
        return self

    def model(self) -> Model:
        """Return the model that is meant."""
        return Model(
            name=self.name,
            lookback=None if self.lookback_days is None else timedelta(days=self.lookback_days),
            transforms=tuple(self.transforms),
            first_percent=self.first_percent,
            last_percent=self.last_percent,
            half_life=timedelta(days=self.half_life_days),
        )


class TouchIn(_Strict):
    """One time that somebody came. The channel is worked out unless it is sent."""

    at: Timestamp
    touch_id: Name = ""
    channel: Annotated[str, Field(max_length=64)] = ""
    utm: Annotated[dict[str, Text], Field(max_length=32)] = Field(
        default_factory=dict, description="utm fields, with or without utm_, and click ids."
    )
    referrer: Text = ""

    @model_validator(mode="after")
    def _known(self) -> "TouchIn":
        if self.channel and self.channel not in CHANNELS:
            raise ValueError(f"There is no such channel. Use one of: {', '.join(CHANNELS)}.")
        return self

    def touch(self) -> Touch:
        """Return the touch."""
        named = {utm_name(name): value for name, value in self.utm.items() if name not in click_ids()}
        return touch_of(
            self.at,
            {name: value for name, value in named.items() if name in UTM_FIELD_SET and value},
            clicks=[name for name in self.utm if name in click_ids()],
            referrer_host=host_of(self.referrer) if self.referrer else "",
            channel=self.channel,
            touch_id=self.touch_id,
        )


class ConversionIn(_Strict):
    """What is to be shared. The value has at most six decimals; it may be negative."""

    at: Timestamp
    value: Amount = 1
    type: Name = ""
    conversion_id: Name = ""

    def conversion(self) -> Conversion:
        """Return the conversion. Raises InvalidRequest for a value that is no number of micro-units."""
        return Conversion(self.at, micros_of(Decimal(str(self.value))), self.type, self.conversion_id)


class PathIn(_Strict):
    """Whose stored records are the touches: those of a session or of a user, in a half-open range of time."""

    session_id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    user_id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    start: Timestamp
    end: Timestamp

    @model_validator(mode="after")
    def _whole(self) -> "PathIn":
        if (self.session_id is None) == (self.user_id is None):
            raise ValueError("Send either session_id or user_id.")
        if self.end <= self.start or self.end - self.start > LONGEST:
            raise ValueError(f"The range ends after it starts, and covers up to {LONGEST.days} days.")
        return self

    @property
    def whose(self) -> tuple[Whose, str]:
        """Which field names whom, and the name."""
        return ("session_id", self.session_id) if self.session_id else ("user_id", self.user_id or "")


class AttributionIn(_Strict):
    """Touches as they are sent, or those of stored records; and the conversions to share among them."""

    touches: Annotated[list[TouchIn] | None, Field(max_length=TOUCHES)] = None
    path: PathIn | None = None
    conversions: Annotated[list[ConversionIn], Field(min_length=1, max_length=CONVERSIONS)]
    model: ModelIn
    models_by_type: Annotated[dict[str, ModelIn], Field(max_length=50)] = Field(
        default_factory=dict, description="Another model for conversions of a type."
    )

    @model_validator(mode="after")
    def _whole(self) -> "AttributionIn":
        if (self.touches is None) == (self.path is None):
            raise ValueError("Send either touches or path.")
        return self

    def model_for(self, conversion: ConversionIn) -> Model:
        """Return the model of a conversion's type."""
        return self.models_by_type.get(conversion.type, self.model).model()


class CreditOut(BaseModel):
    """What one touch gets."""

    touch_id: str
    at: datetime
    channel: str
    channel_rule: str
    utm: dict[str, str]
    credit: Decimal
    credit_micros: int


class SharedOut(BaseModel):
    """How one conversion is shared: its credits and what nobody gets add up to its value, exactly."""

    conversion_id: str
    type: str
    at: datetime
    value: Decimal
    value_micros: int
    model: str
    credits: list[CreditOut]
    unattributed: Decimal
    unattributed_micros: int


class TotalOut(BaseModel):
    """What a channel, source, medium and campaign get of all conversions together."""

    channel: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    credit: Decimal
    credit_micros: int


class AttributionOut(BaseModel):
    """Each conversion in the order given, and the totals, the largest first."""

    conversions: list[SharedOut]
    totals: list[TotalOut]
    unattributed: Decimal
    unattributed_micros: int


def attribution_answer(shared: Sequence[Attribution]) -> dict[str, Any]:
    """Return attributions as answers show them."""
    nobody = sum(one.unattributed for one in shared)
    return {
        "conversions": [_shared(one) for one in shared],
        "totals": _totals(shared),
        "unattributed": units_of(nobody),
        "unattributed_micros": nobody,
    }


def _shared(one: Attribution) -> dict[str, Any]:
    conversion = one.conversion
    return {
        "conversion_id": conversion.conversion_id,
        "type": conversion.type,
        "at": conversion.at,
        "value": units_of(conversion.micros),
        "value_micros": conversion.micros,
        "model": one.model.name,
        "credits": [_credit(credit) for credit in one.credits],
        "unattributed": units_of(one.unattributed),
        "unattributed_micros": one.unattributed,
    }


def _credit(credit: Credit) -> dict[str, Any]:
    touch = credit.touch
    return {
        "touch_id": touch.touch_id,
        "at": touch.at,
        "channel": touch.channel,
        "channel_rule": touch.channel_rule,
        "utm": touch.utm,
        "credit": units_of(credit.micros),
        "credit_micros": credit.micros,
    }


def _totals(shared: Sequence[Attribution]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, ...], int] = {}
    for credit in (credit for one in shared for credit in one.credits):
        sums[credit.touch.key] = sums.get(credit.touch.key, 0) + credit.micros
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return [
        {**dict(zip(DIMENSIONS, key, strict=True)), "credit": units_of(micros), "credit_micros": micros}
        for key, micros in ordered
    ]
