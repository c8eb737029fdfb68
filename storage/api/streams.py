"""Append to a stream, and list it. Following one live is `storage.api.sse`."""

from collections.abc import Sequence
from typing import ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import page
from northstar.errors import InvalidRequest
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE, check_json_type, checked
from northstar.strict_json import parse_object
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.api.sse_request import accepts_events
from storage.api.stream_bodies import (
    AfterQuery,
    AppendedOut,
    AppendIn,
    EarlierEventIn,
    EventIn,
    EventOut,
    EventPageOut,
    EventsIn,
    event_answer,
)
from storage.kinds.event_stream import EARLIEST
from storage.kinds.events import StoredEvent

_AFTER = [
    OpenApiParameter(
        "after", str, description="A position, an event id or a cursor: the page begins strictly after it."
    ),
    OpenApiParameter("cursor", str, description="The same, under the name that other lists use."),
    OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
]


class EventsView(DataView):
    """Lists the events of one stream."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="list_events",
        parameters=_AFTER,
        responses={200: EventPageOut},
    )
    def get(self, request: Request, stream_id: str) -> Response:
        """List events strictly after a place, in order.

        With `Accept: text/event-stream` the same address sends what is stored and then follows the stream live, resuming after
        `Last-Event-ID`.
        """
        if accepts_events(request.META.get("HTTP_ACCEPT", "")):
            raise InvalidRequest(
                "This process sends no Server-Sent Events.",
                fix="Send the request to the stream process (northstar.asgi).",
            )
        query = self.query(AfterQuery)
        streams = self.open("event_stream")
        after = EARLIEST if query.token is None else streams.resolve_after(stream_id, query.token)
        found = streams.list_after(stream_id, after, query.limit)
        return page([event_answer(event) for event in found.events], found.next_cursor, up_to_date=found.up_to_date)


class Appending(IdempotentPost, DataView):
    """Appends to one stream."""

    def append(self, stream_id: str, bodies: Sequence[EventIn]) -> list[StoredEvent]:
        """Append the events. Under an Idempotency-Key each has an id that is the same for every attempt."""
        events = [
            body.event(f"{self.operation_id}-{index}" if self.operation_id else None)
            for index, body in enumerate(bodies)
        ]
        stored: list[StoredEvent] = self.open("event_stream").append(stream_id, events)
        return stored


class StreamView(Appending, EventsView):
    """The events of one stream."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "data:write"}

    @extend_schema(
        operation_id="append_events",
        request=AppendIn,
        responses={201: AppendedOut},
    )
    def post(self, request: Request, stream_id: str) -> Response:
        """Append one event, or `{"events": […]}` atomically. Answers with what is stored, in the same form."""
        check_json_type(request)
        values = parse_object(self.raw_body())
        if "events" not in values:
            [stored] = self.append(stream_id, [checked(EventIn, values, "body")])
            return Response(event_answer(stored), status=201)
        stored_all = self.append(stream_id, checked(EventsIn, values, "body").events)
        return Response({"events": [event_answer(stored) for stored in stored_all]}, status=201)


class EarlierAppendView(Appending):
    """The earlier engines' address for one event."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="earlier_append_event", request=EarlierEventIn, responses={201: EventOut})
    def post(self, request: Request, stream_id: str) -> Response:  # noqa: ARG002
        """Append one event, as POST /api/v1/storage/streams/{stream_id}/events does."""
        [stored] = self.append(stream_id, [self.body(EarlierEventIn)])
        return Response(event_answer(stored), status=201)


class EarlierEventsView(EventsView):
    """The earlier engines' address for a stream's events."""

    @extend_schema(operation_id="earlier_list_events", parameters=_AFTER, responses={200: EventPageOut})
    def get(self, request: Request, stream_id: str) -> Response:
        """List or follow a stream, as GET /api/v1/storage/streams/{stream_id}/events does."""
        return super().get(request, stream_id)


urlpatterns: list[URLPattern] = [
    path("storage/streams/<key:stream_id>/events", StreamView.as_view(), name="stream-events")
]
