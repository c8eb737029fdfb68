"""What a route's requests cost, estimated: counted units times a dated table of list prices, each figure with its source.

The table is data (`routing/data/prices.json`), or the deployment's own where NORTHSTAR_PRICES_FILE names one of the same form.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from northstar.errors import InvalidConfig

SHIPPED: Final = Path(__file__).parent / "data" / "prices.json"
OLD_AFTER_DAYS: Final = 2 * 365
NOT_INCLUDED: Final = (
    "Estimated from operations counted here times list prices. Not included: storage, network, free tiers, discounts, taxes, "
    "retries, and what clients or other programs do with the service themselves."
)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Table):
    backend_type: str


class Price(_Entry):
    """What `per` of a measure (`storage.usage`) cost on a backend. `date` may be a day, a month or a year; None: undated."""

    measure: str
    per: Annotated[int, Field(gt=0)]
    price: Annotated[Decimal, Field(ge=0)]
    terms: str
    source: str
    date: Annotated[str | None, Field(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")]
    confidence: Literal["low", "medium", "high"]

    def age_days(self) -> int | None:
        """Days since the figure was true for certain; None when its source has no date."""
        if self.date is None:
            return None
        year, month, day = (*map(int, self.date.split("-")), 1, 1)[:3]
        return (datetime.now(UTC).date() - date(year, month, day)).days


class Reason(_Entry):
    """Why a backend has no price."""

    reason: str


class PriceTable(_Table):
    """All prices of a deployment, in one currency."""

    currency: str
    note: str = ""
    prices: tuple[Price, ...]
    unknown: tuple[Reason, ...] = ()
    free: tuple[Reason, ...] = ()

    def of(self, backend_type: str) -> tuple[Price, ...]:
        """Return the prices of a backend."""
        return tuple(price for price in self.prices if price.backend_type == backend_type)


@dataclass(frozen=True, slots=True)
class Line:
    """One part of an estimate: `count` units at a price."""

    count: int
    price: Price
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Estimate:
    """What usage costs. `amount` is None where no price is known; `reason` then says why, else what is not included."""

    currency: str
    amount: Decimal | None
    lines: tuple[Line, ...]
    reason: str


def price_table() -> PriceTable:
    """Return the deployment's prices. Raises InvalidConfig when NORTHSTAR_PRICES_FILE cannot be used."""
    path = Path(settings.NORTHSTAR_PRICES_FILE or SHIPPED)
    try:
        return _loaded(path, path.stat().st_mtime_ns)
    except (OSError, ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            f"The price table {path.name} cannot be used: {type(error).__name__}.",
            fix="Give NORTHSTAR_PRICES_FILE a readable file of the form of routing/data/prices.json, or unset it.",
        ) from error


@lru_cache(maxsize=2)
def _loaded(path: Path, _changed_at: int) -> PriceTable:
    return PriceTable.model_validate(json.loads(path.read_text(encoding="utf-8")))


def estimate(backend_type: str, used: Mapping[str, int]) -> Estimate:
    """Estimate what usage of a backend costs. Raises InvalidConfig as `price_table`."""
    table = price_table()
    free = next((entry for entry in table.free if entry.backend_type == backend_type), None)
    if free is not None:
        return Estimate(table.currency, Decimal(0), (), free.reason)
    prices = table.of(backend_type)
    if not prices:
        known = next((entry.reason for entry in table.unknown if entry.backend_type == backend_type), "")
        return Estimate(table.currency, None, (), known or f"The price table says nothing of {backend_type}.")
    lines = tuple(_line(price, used.get(price.measure, 0)) for price in prices)
    return Estimate(table.currency, sum((line.amount for line in lines), Decimal(0)), lines, NOT_INCLUDED)


def _line(price: Price, count: int) -> Line:
    return Line(count, price, price.price * count / price.per)
