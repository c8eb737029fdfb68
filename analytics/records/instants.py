"""When something happened: what the client's clock said, put right by what we know of that clock, or why it was not believed."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from northstar.errors import FieldError

SKEW_TOLERANCE: Final = timedelta(seconds=5)
"""Between sending and receiving: below it is the network, not the clock."""
AHEAD_TOLERANCE: Final = timedelta(minutes=5)
"""How far after its arrival a record may have happened, before that is not believed."""
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE: Final = "future"
TOO_EARLY: Final = "before_2000"


class Times(NamedTuple):
    """All times of a record. `corrected` is where it stands in time; the others are as they were told.

    `skew_ms` is how far the client's clock is behind ours, None where it did not say when it sent. `clamp` says why `corrected`
    is the time of arrival instead of what was told: `future`, `before_2000`, or None.
    """

    timestamp: str
    sent: str | None
    corrected: str
    skew_ms: int | None
    clamp: str | None


def parsed(text: str, field: str) -> datetime | FieldError:
    """Return an instant in UTC, or what is wrong with it."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return FieldError(
            field, "not_an_instant", f"Send a UTC time such as 2026-11-20T12:00:00.000000Z; got {text!a}."
        )


def times_of(timestamp: str | None, sent_at: str | None, received: datetime, received_text: str) -> Times | FieldError:
    """Work out the times of a record that arrived at `received`."""
    happened = received if timestamp is None else parsed(timestamp, "timestamp")
    sent = None if sent_at is None else parsed(sent_at, "sent_at")
    for moment in (happened, sent):
        if isinstance(moment, FieldError):
            return moment
    assert isinstance(happened, datetime)
    assert not isinstance(sent, FieldError)
    skew = None if sent is None else received - sent
    corrected, clamp = happened, None
    try:
        if skew is not None and timestamp is not None and abs(skew) >= SKEW_TOLERANCE:
            corrected = happened + skew
        if corrected > received:
            clamp = FUTURE if corrected - received > AHEAD_TOLERANCE else None
        elif corrected < EARLIEST:
            clamp = TOO_EARLY
    except OverflowError:
        clamp = FUTURE
    told = received_text if timestamp is None else _text(happened)
    settled = received_text if clamp else told if corrected is happened else _text(corrected)
    skew_ms = None if skew is None else skew // timedelta(milliseconds=1)
    return Times(told, None if sent is None else _text(sent), settled, skew_ms, clamp)


def _text(moment: datetime) -> str:
    """As `northstar.instants.instant_text`, of a time that is in UTC already."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"
