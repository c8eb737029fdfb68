"""The stream plane: Server-Sent Events as a raw ASGI application, the one asynchronous part of Northstar.

Django's own streaming would pin a thread per client. Here a client costs two coroutines; what blocks runs in a few threads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

import structlog
from django.conf import settings

from northstar.errors import NorthstarError
from northstar.problems import asgi_response
from storage.api.sse_connection import Connection, Pace
from storage.api.sse_frames import FINISHED, event_frame, opening_frame, reset_frame
from storage.api.sse_request import Scope, StreamRequest, is_stream_request
from storage.errors import CursorGone, InvalidCursor
from storage.kinds.event_stream import EARLIEST
from storage.opening import open_store
from storage.stream_channel import Channel
from storage.stream_hub import HubSettings, StreamHub

__all__ = ["close_streams", "is_stream_request", "stream_app"]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_HEADERS: Final = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("content-encoding", "identity"),  # a compressor in between would hold events back
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
)

_log = structlog.get_logger("northstar.streams")
_hub: StreamHub | None = None


async def stream_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request that `is_stream_request` accepts, until the stream ends or the client leaves."""
    serving = asyncio.create_task(_serve(StreamRequest(scope), _impatient(send)))
    leaving = asyncio.create_task(_client_leaves(receive))
    try:
        await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        serving.cancel()
        leaving.cancel()
        await asyncio.gather(serving, leaving, return_exceptions=True)
    if not serving.cancelled() and (error := serving.exception()):
        raise error


def close_streams() -> None:
    """End all streams of this process and admit no more: for the moment when the server is told to stop. From any thread."""
    if _hub is not None:
        _hub.close()


def _current_hub() -> StreamHub:
    """Return the hub of the running loop. A process has one loop; a test has one of its own."""
    global _hub  # noqa: PLW0603 - the one hub per process is the point
    if _hub is None or _hub.loop is not asyncio.get_running_loop():
        _hub = StreamHub(partial(open_store, "event_stream"), event_frame, _hub_settings())
    return _hub


async def _serve(request: StreamRequest, send: Send) -> None:
    try:
        await _follow(request, send)
    except NorthstarError as error:  # before the first byte: a connection under way answers for itself
        status, headers, body = asgi_response(error, request.id)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    except TimeoutError:
        _log.info("stream_client_stalled", request_id=request.id)


async def _follow(request: StreamRequest, send: Send) -> None:
    hub = _current_hub()
    token = request.token()
    context = await hub.pool.run(request.authorise)
    if token == FINISHED:
        await _start(send, 204, [("x-request-id", request.id)])
        await send({"type": "http.response.body", "body": b""})
        return
    with hub.admitted(context.tenant_id):
        async with hub.joined(context, request.stream_id) as channel:
            await _answer(hub, request, channel, token, send)


async def _answer(hub: StreamHub, request: StreamRequest, channel: Channel, token: str | None, send: Send) -> None:
    try:
        place = await channel.resolve(token)
    except InvalidCursor:
        refusal = reset_frame("invalid_cursor", EARLIEST, channel.head.position)
    except CursorGone as gone:
        refusal = reset_frame(gone.reason, gone.earliest, gone.tail)
    else:
        refusal = b""
    served_by = channel.store.served_by
    about = [
        ("x-request-id", request.id),
        ("x-northstar-backend", served_by.backend_type),
        ("x-northstar-route-revision", str(served_by.revision)),
    ]
    await _start(send, 200, [*_HEADERS, *about])

    async def write(chunk: bytes) -> None:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def authorise() -> None:
        await hub.pool.run(request.authorise)

    if refusal:  # a browser would never try again after an error status, nor tell the page why
        await write(refusal)
    else:
        await write(opening_frame(place.cursor))
        await Connection(channel, place.position, send=write, authorise=authorise, pace=_pace()).serve()
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _impatient(send: Send) -> Send:
    """A client has to take each piece in time: one that stalls is dropped, and reads on when it comes back."""
    seconds = settings.NORTHSTAR_SSE_SEND_TIMEOUT_SECONDS

    async def send_in_time(message: Message) -> None:
        async with asyncio.timeout(seconds):
            await send(message)

    return send_in_time


def _pace() -> Pace:
    return Pace(
        heartbeat=settings.NORTHSTAR_SSE_HEARTBEAT_SECONDS,
        recheck=settings.NORTHSTAR_SSE_RECHECK_SECONDS,
        max_age=settings.NORTHSTAR_SSE_MAX_AGE_SECONDS,
    )


def _hub_settings() -> HubSettings:
    return HubSettings(
        poll_seconds=settings.NORTHSTAR_SSE_POLL_SECONDS,
        quiet_poll_seconds=settings.NORTHSTAR_SSE_QUIET_POLL_SECONDS,
        most_streams=settings.NORTHSTAR_SSE_MAX_STREAMS,
        most_streams_per_tenant=settings.NORTHSTAR_SSE_MAX_STREAMS_PER_TENANT,
    )
