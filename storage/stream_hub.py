"""One hub per process: it finds each followed stream's channel, counts the listeners, and ends them all when asked to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from northstar.context import RequestContext
from northstar.errors import RateLimited
from storage.errors import BackendUnavailable
from storage.keys import Scope
from storage.kinds.event_stream import EventStream
from storage.kinds.events import StoredEvent, events_appended, events_elsewhere
from storage.stream_channel import Channel, Ending, Key, ReadPool, Source


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Limits and paces of one process. Seconds, and streams open at once."""

    poll_seconds: float
    quiet_poll_seconds: float
    most_streams: int
    most_streams_per_tenant: int
    threads: int = 8


class StreamHub:
    """All channels of one event loop. Its methods are called in that loop, except `close`, which any thread may call.

    `open_stream` and `encode` are those of `Source`.
    """

    def __init__(
        self,
        open_stream: Callable[[RequestContext], EventStream],
        encode: Callable[[StoredEvent], bytes],
        settings: HubSettings,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.pool = ReadPool(settings.threads)
        self.closing = False
        self._settings = settings
        self._source = Source(open_stream, encode, self.pool, settings.poll_seconds, settings.quiet_poll_seconds)
        self._channels: dict[Key, Channel] = {}
        self._listeners: dict[str, int] = {}
        for signal in (events_appended, events_elsewhere):
            signal.connect(self._on_appended)

    @contextmanager
    def admitted(self, tenant: str) -> Iterator[None]:
        """Count one more stream of the tenant while the block runs. Raises RateLimited, or BackendUnavailable when closing."""
        self._refuse_what_is_too_much(tenant)
        self._listeners[tenant] = self._listeners.get(tenant, 0) + 1
        try:
            yield
        finally:
            self._listeners[tenant] -= 1
            if not self._listeners[tenant]:
                del self._listeners[tenant]

    @asynccontextmanager
    async def joined(self, context: RequestContext, stream_id: str) -> AsyncIterator[Channel]:
        """Give the stream's channel, begun if need be, and stop it with its last listener.

        Raises what opening or reading the stream raises.
        """
        key = (Scope.of(context), stream_id)
        channel = self._channels.get(key)
        if channel is None or channel.ended:
            channel = self._channels[key] = Channel(self._source, context, stream_id)
        channel.listeners += 1
        try:
            await asyncio.shield(channel.begun)
            yield channel
        finally:
            channel.listeners -= 1
            if not channel.listeners:
                channel.stop()
                if self._channels.get(key) is channel:
                    del self._channels[key]

    def _refuse_what_is_too_much(self, tenant: str) -> None:
        if self.closing:
            raise BackendUnavailable("This process is stopping.", fix="Connect again.")
        most, mine = self._settings.most_streams, self._settings.most_streams_per_tenant
        if self._listeners.get(tenant, 0) >= mine:
            raise RateLimited(
                f"The tenant follows {mine} streams at once, its limit.", fix="Close some, then try again."
            )
        if sum(self._listeners.values()) >= most:
            raise RateLimited(f"This process serves {most} streams at once, its limit.", fix="Try again in a moment.")

    def close(self) -> None:
        """End all streams: each tells its client when to come back. No new one is admitted."""
        self.closing = True
        for signal in (events_appended, events_elsewhere):
            signal.disconnect(self._on_appended)
        self.loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        for channel in list(self._channels.values()):
            channel.end(Ending.SHUTDOWN)

    def _on_appended(self, *, scope: Scope, stream_id: str, **_signal: Any) -> None:
        channel = self._channels.get((scope, stream_id))
        if channel and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(channel.wake)
