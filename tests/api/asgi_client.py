"""Drives the raw ASGI stream application in-process, as a server and an EventSource would together."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from storage.api.sse import is_stream_request, stream_app

PATIENCE_SECONDS = 20
"""How long a test waits for something that must come. No test waits that long when all is well."""


@dataclass
class Frame:
    """One block of an event stream; `text` is the block itself."""

    text: str
    fields: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Frame":
        return cls(text, dict(line.split(": ", 1) for line in text.split("\n") if not line.startswith(":")))

    @property
    def id(self) -> str | None:
        return self.fields.get("id")

    @property
    def event(self) -> str | None:
        return self.fields.get("event")

    @property
    def data(self):
        return json.loads(self.fields["data"])


class Stream:
    """One open request. Reads what the application sends; leaving the block is the client's disconnect."""

    def __init__(self, scope) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.last_id: str | None = None
        self._left = asyncio.Event()
        self._sent: asyncio.Queue = asyncio.Queue()
        self._buffer = b""
        self.ended = False
        self.application = asyncio.create_task(stream_app(scope, self._receive, self._send))

    async def opened(self) -> "Stream":
        start = await asyncio.wait_for(self._next(), PATIENCE_SECONDS)
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def frame(self) -> Frame | None:
        """Return the next frame, or None at the end."""
        while b"\n\n" not in self._buffer:
            if self.ended:
                return None
            await self._take()
        block, _, self._buffer = self._buffer.partition(b"\n\n")
        frame = Frame.parse(block.decode())
        self.last_id = frame.id or self.last_id
        return frame

    async def events(self, count: int) -> list[Frame]:
        """Return the next stored events, passing over everything else."""
        found: list[Frame] = []
        while len(found) < count:
            frame = await self.frame()
            assert frame is not None, f"the stream ended after {len(found)} of {count} events"
            if frame.id and frame.event:
                found.append(frame)
        return found

    async def positions(self, count: int) -> list[int]:
        return [frame.data["position"] for frame in await self.events(count)]

    async def until(self, event: str | None) -> Frame:
        """Return the next frame of that name."""
        while (frame := await self.frame()) is not None:
            if frame.event == event:
                return frame
        raise AssertionError(f"the stream ended without {event}")

    async def rest(self) -> list[Frame]:
        """Return all frames until the end."""
        frames = []
        while (frame := await self.frame()) is not None:
            frames.append(frame)
        return frames

    async def body(self) -> bytes:
        while not self.ended:
            await self._take()
        return self._buffer

    async def leave(self) -> None:
        self._left.set()
        await asyncio.wait_for(self.application, PATIENCE_SECONDS)

    async def _take(self) -> None:
        message = await asyncio.wait_for(self._next(), PATIENCE_SECONDS)
        self._buffer += message["body"]
        self.ended = not message.get("more_body", False)

    async def _next(self):
        sent = asyncio.ensure_future(self._sent.get())
        await asyncio.wait({sent, self.application}, return_when=asyncio.FIRST_COMPLETED)
        if sent.done():
            return sent.result()
        sent.cancel()
        self.application.result()
        raise AssertionError("the application returned without an answer")

    async def _receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message) -> None:
        await self._sent.put(message)


def stream_scope(token, stream_id="orders", *, last_event_id=None, query="", headers=(), path=None):
    sent = [(b"accept", b"text/event-stream"), (b"authorization", f"Bearer {token}".encode()), *headers]
    if last_event_id is not None:
        sent.append((b"last-event-id", last_event_id.encode()))
    path = path or f"/api/v1/storage/streams/{stream_id}/events"
    scope = {"type": "http", "method": "GET", "path": path, "headers": sent, "query_string": query.encode()}
    return {**scope, "raw_path": quote(path).encode()}


@asynccontextmanager
async def follow(token, stream_id="orders", **options) -> AsyncIterator[Stream]:
    """Open a stream; `last_event_id`, `query`, `headers` and `path` may be given."""
    scope = stream_scope(token, stream_id, **options)
    assert is_stream_request(scope)
    stream = await Stream(scope).opened()
    try:
        yield stream
    finally:
        await stream.leave()
