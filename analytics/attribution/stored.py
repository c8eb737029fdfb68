"""Touches out of stored records: the path of a session or of a user."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from analytics.attribution.touches import Touch
from analytics.contracts.parameters import UTM_FIELDS
from northstar.context import NO_SURFACE, RequestContext
from northstar.errors import TooLarge
from storage.kinds.analytics_reading import After
from storage.kinds.analytics_rows import StoredRow
from storage.kinds.analytics_store import AnalyticsStore
from storage.opening import open_store

PAGE: Final = 500
COUNTED: Final = "stored"
"""The outcome of a record that counts; what was quarantined or refused is no touch."""
_COMINGS: Final = (*UTM_FIELDS, "click_ids", "landing_url", "referrer")
"""A record with one of these tells how somebody came; any other is something that they did then."""

Whose = Literal["session_id", "user_id"]


def stored_touches(
    context: RequestContext, whose: Whose, name: str, start: datetime, end: datetime, *, most: int
) -> list[Touch]:
    """Return the touches of a session or user in a half-open range of time, from the oldest.

    Of records that follow one another in one session with the same channel and tags the first is the touch. Raises TooLarge
    for more touches than `most`, or as `open_store`.
    """
    store: Any = open_store("analytics_store", replace(context, surface_id=NO_SURFACE))
    assert isinstance(store, AnalyticsStore)
    found: list[Touch] = []
    last: dict[str | None, tuple[str, ...]] = {}
    for stored in _rows(store, {whose: name}, start, end):
        session = stored.row.get("session_id")
        if not is_coming(stored.row):
            continue
        touch = touch_of_row(stored)
        if last.get(session) == touch.key:
            continue
        if len(found) == most:
            raise TooLarge(f"There are more than {most} touches.", fix="Narrow the range of time.")
        last[session] = touch.key
        found.append(touch)
    return found


def is_coming(row: Mapping[str, Any]) -> bool:
    """Whether a row is of a record that counts and tells how somebody came."""
    return row["outcome"] == COUNTED and any(row.get(name) for name in _COMINGS)


def touch_of_row(stored: StoredRow) -> Touch:
    """Return a row as a touch: by the values that its contract made of the tags, in the channel that was told then."""
    row = stored.row
    said = {**row, **row.get("reported", {})}
    utm = {name: said[name] for name in UTM_FIELDS if said.get(name)}
    at = datetime.fromisoformat(row["corrected_at"])
    return Touch(at, row.get("channel") or "Unassigned", row.get("channel_rule") or "", utm, stored.row_id)


def _rows(store: AnalyticsStore, filters: Mapping[str, Any], start: datetime, end: datetime) -> Iterator[StoredRow]:
    after: After | None = None
    while True:
        page = store.rows(start, end, filters, limit=PAGE, after=after)
        yield from page.rows
        after = page.after
        if after is None:
            return
