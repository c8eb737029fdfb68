"""Reading 100 events after a position: a stream of a million events against one of ten thousand, at the end and in the middle."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from bench.harness import Plan, Result, Side, Size, at_most, compare, timed
from bench.home import CONTEXT, Home
from northstar.instants import instant_text
from storage.backends.filesystem_config import FilesystemConfig, root_folder
from storage.backends.filesystem_lines import Member, Stamp, put_member, write_line
from storage.backends.filesystem_paths import Location
from storage.keys import Scope
from storage.kinds.events import COLLECTION, EVENTS_PER_APPEND, Draft, Stream, event_fields, event_puts
from storage.opening import open_store
from storage.values import encode

EVENTS: Final = {Size.SMOKE: (300, 600), Size.QUICK: (10_000, 1_000_000), Size.FULL: (10_000, 1_000_000)}
"""Lengths of the short and the long stream."""
PLANS: Final = {Size.SMOKE: Plan(2, 3, 1), Size.QUICK: Plan(40, 20), Size.FULL: Plan(100, 100)}
LISTED: Final = 100
BAR: Final = 1.1
"""What a read takes does not depend on the stream's length, within 10 %."""
BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)


PLACES: Final[dict[str, Callable[[int], int]]] = {
    "at the end": lambda count: count - LISTED,
    "in the middle": lambda count: count // 2,
}


def run(_home: Home, size: Size) -> list[Result]:
    short, long = EVENTS[size]
    _build("short", short)
    note = _build("long", long)
    results = [
        compare(f"list 100 {place}", _reading("long", after(long)), _reading("short", after(short)), PLANS[size])
        for place, after in PLACES.items()
    ]
    return [replace(result, bar=at_most(result, BAR), notes=(note,)) for result in results]


def _reading(stream_id: str, after: int) -> Side:
    expected = [after + 1 + index for index in range(LISTED)]

    def read() -> None:
        open_store("event_stream", CONTEXT).list_after(stream_id, after, LISTED)

    page = open_store("event_stream", CONTEXT).list_after(stream_id, after, LISTED)
    if [event.position for event in page.events] != expected:
        raise ValueError(f"The {stream_id} stream was not built as it should be after position {after}.")
    return Side(f"the {stream_id} stream", timed(read))


def _build(stream_id: str, count: int) -> str:
    """Make a stream of so many events, and say how.

    Its log is written here in the driver's own format, as appends of 24 events would have left it; the index is made by the
    driver, at the first read. As many real appends would take minutes.
    """
    started = perf_counter()
    _write_log(stream_id, count)
    written = perf_counter()
    head = open_store("event_stream", CONTEXT).head(stream_id)
    if head != count:
        raise ValueError(
            f"The {stream_id} stream ends at {head}, not at {count}: its log was not written as the driver does."
        )
    return (
        f"list: the log of {count:,} events was written here in {written - started:.0f} s, {EVENTS_PER_APPEND} to a line"
        f" as appends leave them, and indexed by the driver in {perf_counter() - written:.0f} s"
    )


def _write_log(stream_id: str, count: int) -> None:
    scope = Scope.of(CONTEXT)
    log = Location.of(root_folder(FilesystemConfig()), COLLECTION, (*scope.parts, *Stream(scope, stream_id).partition))
    path = log.root / log.shown
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for first in range(1, count + 1, EVENTS_PER_APPEND):
            members = list(_members(first, min(first + EVENTS_PER_APPEND, count + 1)))
            stamp = Stamp(instant_text(BEGAN), epoch=1, operation_id=f"{first:016x}", remember=False)
            file.write(write_line(members, stamp))


def _members(first: int, end: int) -> Iterator[Member]:
    for position in range(first, end):
        draft = Draft(f"evt-{position:012x}", "order.placed", _data(position), BEGAN, named=True, size=0)
        for put in event_puts(position, event_fields(draft, BEGAN, "benchmrk")):
            yield put_member(put.key, encode(put.fields), 1, None)


def _data(position: int) -> dict[str, Any]:
    return {"order": position, "customer": f"c-{position % 997:04d}", "total": position % 10_007 / 100}
