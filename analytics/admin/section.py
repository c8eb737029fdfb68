"""What the pages of analytics share: their section, and spans of time to choose from."""

from datetime import UTC, datetime, timedelta
from typing import Final

SECTION: Final = "Analytics"
SPANS: Final = {
    "24h": ("last 24 hours", timedelta(days=1)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
    "90d": ("last 90 days", timedelta(days=90)),
}
USUAL_SPAN: Final = "7d"
SPAN_CHOICES: Final = [(name, told) for name, (told, _) in SPANS.items()]
A_MOMENT: Final = timedelta(days=1)
"""A client's clock may be ahead: what it dates in the near future is shown too."""


def span_named(name: str) -> str:
    """Return the name of a span, the usual one for any other text."""
    return name if name in SPANS else USUAL_SPAN


def bounds(name: str) -> tuple[datetime, datetime]:
    """Return the start and the end of a named span."""
    now = datetime.now(UTC)
    return now - SPANS[name][1], now + A_MOMENT
