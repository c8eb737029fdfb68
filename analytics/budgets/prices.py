"""Prices: what a unit of a provider's metric costs, versioned by the time from which it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from northstar.instants import instant_text


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs in US dollars, as an exact decimal text, for events from `since` on. It is never changed, only
    followed."""

    provider: str
    metric: str
    rate: str
    since: datetime
    source: str
    actor: str

    @property
    def name(self) -> str:
        return f"{self.provider}:{self.metric}"

    @property
    def version(self) -> str:
        """What usage that was counted at this price keeps of it."""
        return instant_text(self.since)

    def fields(self) -> dict[str, Any]:
        """Return what is stored."""
        names = ("provider", "metric", "rate", "since", "source", "actor")
        return {name: getattr(self, name) for name in names}


def stored_price(fields: Mapping[str, Any]) -> Price:
    """Return a price from what is stored."""
    return Price(**fields)
