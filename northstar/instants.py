"""One way to write a moment: UTC, ISO 8601, microseconds, `Z`. Answers, audit rows and stored values all use it."""

from datetime import UTC, datetime


def instant_text(instant: datetime) -> str:
    """Return an aware time as text. Raises OverflowError when it lies outside the years 1 to 9999 in UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
