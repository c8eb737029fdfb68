"""The events of a stream, in the order of their positions."""

from typing import Any, ClassVar

from django.http import HttpResponse

from northstar.errors import InvalidRequest, NotFound
from routing.admin.stores.pages import StorePage, store_page
from routing.admin.stores.visits import PAGE_SIZE, Pager, Visit
from routing.admin_site import STORES


@store_page
class StreamsPage(StorePage):
    """Read-only: an event is never changed."""

    slug = "streams"
    title = "Streams"
    section = STORES
    lead = "Events of a stream in the order in which they were appended."
    kind = "event_stream"
    views: ClassVar[dict[str, str]] = {"event": "event"}

    def show(self, visit: Visit) -> HttpResponse:
        """List a stream's events after a place in it, a position or an event's id."""
        stream, after = visit.asked("stream"), visit.asked("after")
        streams = visit.open()
        if not stream:
            return visit.answer("stores/streams", stream=stream)
        head = streams.state(stream)
        start = streams.resolve_after(stream, after, head) if after else 0
        found = streams.list_after(stream, start, PAGE_SIZE)
        rows = [(event, visit.address("event", stream=stream, position=event.position)) for event in found.events]
        latest = visit.address(stream=stream, after=max(head.position - PAGE_SIZE, 0))
        return visit.answer(
            "stores/streams",
            stream=stream,
            after=after,
            head=head,
            rows=rows,
            latest=latest if start + len(rows) < head.position else None,
            pager=self._pager(visit, stream, start, found),
        )

    def _pager(self, visit: Visit, stream: str, start: int, found: Any) -> Pager:
        onward = None if found.up_to_date or not found.events else found.events[-1].cursor
        return Pager(
            first=visit.address(stream=stream) if start else None,
            next=visit.address(stream=stream, after=onward) if onward else None,
        )

    def event(self, visit: Visit) -> HttpResponse:
        """Show one event whole."""
        stream, position = visit.asked("stream"), visit.asked("position")
        if not (position.isascii() and position.isdecimal() and int(position[:20]) > 0):
            raise InvalidRequest(
                f"{position[:40]!a} is no position of an event.", fix="Open it from the stream's list."
            )
        events = visit.open().list_after(stream, int(position[:20]) - 1, 1).events
        if not events:
            raise NotFound(f"The stream {stream!a} has no event at {position}.", fix="Open it from the stream's list.")
        back = visit.address(stream=stream, after=max(events[0].position - PAGE_SIZE // 2, 0))
        return visit.answer("stores/event", f"{stream}: {position}", event=events[0], back=back)
