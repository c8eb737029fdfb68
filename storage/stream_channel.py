"""A channel: one followed stream, read by one task for all its listeners in this process.

A wake-up is only a hint to read; positions say what a listener has and lacks, so a lost or doubled hint costs nothing.
A listener keeps a position and no queue: whoever falls behind the ring reads pages from the store.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Any, Final, TypeVar

import structlog
from django.db import close_old_connections

from northstar.context import RequestContext
from northstar.errors import NorthstarError
from storage.cursors import CURSOR_MARK
from storage.errors import CursorGone
from storage.keys import Scope
from storage.kinds.event_stream import EARLIEST, EventPage, EventStream
from storage.kinds.events import EMPTY, StoredEvent

RING_FRAMES: Final = 256
RING_BYTES: Final = 1024 * 1024
PAGE_EVENTS: Final = 64
"""Events per read: with the largest documents one page is 22 MiB."""

DOUBLINGS: Final = 16
"""Of the pause between polls of a quiet stream: far beyond any pause that is asked for."""

T = TypeVar("T")
Key = tuple[Scope, str]

_log = structlog.get_logger("northstar.streams")


class Ending(Enum):
    """Why a channel ended for all its listeners."""

    ROUTE_CHANGED = "route_changed"
    SHUTDOWN = "shutdown"
    STREAM_REPLACED = "stream_replaced"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, encoded once for all listeners."""

    position: int
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client stands: the position of the last event it has, and the cursor that says so."""

    position: int
    cursor: str


class ReadPool:
    """The bounded threads in which all streams of a process read. No database connection outlives a call."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="northstar-stream")

    async def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """Return the result of a blocking call."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _called, call, arguments)


@dataclass(frozen=True, slots=True)
class Source:
    """What every channel of a process reads with.

    `open_stream` opens the event streams of a context over the current route; `encode` makes a frame of an event.
    A stream is polled every `poll_seconds`; where reads cost, one that stays quiet ever more rarely, up to `quiet_poll_seconds`.
    """

    open_stream: Callable[[RequestContext], EventStream]
    encode: Callable[[StoredEvent], bytes]
    pool: ReadPool
    poll_seconds: float
    quiet_poll_seconds: float


class Channel:
    """One stream, followed by at least one listener: its last frames, and the one task that reads it.

    Pinned to the route revision that it was opened with: it ends when the route changes, and its listeners come back.
    """

    def __init__(self, source: Source, context: RequestContext, stream_id: str) -> None:
        self.key: Key = (Scope.of(context), stream_id)
        self.listeners = 0
        self.caught_up = False
        self.ended: Ending | None = None
        self.head = EMPTY
        self.store: EventStream
        self._source = source
        self._context = context
        self._stream_id = stream_id
        self._ring: deque[Frame] = deque()
        self._ring_bytes = 0
        self._more = False
        self._quiet_polls = 0
        self._woken = asyncio.Event()
        self._news = asyncio.get_running_loop().create_future()
        self._replays: dict[int, asyncio.Task[_Reading]] = {}
        self.begun = asyncio.create_task(self._begin())
        self._reader = asyncio.create_task(self._read_on())

    def wake(self) -> None:
        """Hint that the stream may have grown."""
        self._woken.set()

    def frames_after(self, position: int) -> list[Frame] | None:
        """Return the frames strictly after a position that are at hand, or None when the ring begins later."""
        if position >= self.head.position:
            return []
        if not self._ring or self._ring[0].position > position + 1:
            return None
        return list(islice(self._ring, position + 1 - self._ring[0].position, None))

    async def replay(self, position: int) -> list[Frame]:
        """Read one page after a position from the store; listeners at the same position share the read.

        Raises what reading raises. An empty answer means that nothing can be proven yet, or that the channel has ended.
        """
        task = self._replays.get(position)
        if task is None:
            task = self._replays[position] = asyncio.create_task(self._source.pool.run(self._read, position))
            task.add_done_callback(lambda _task: self._replays.pop(position, None))
        try:
            reading = await asyncio.shield(task)
        except _RouteChanged:
            self.end(Ending.ROUTE_CHANGED)
            return []
        return reading.frames if self._is_same_stream(reading) else []

    async def resolve(self, token: str | None) -> "Place":
        """Return where a client begins, as `EventStream.resolve_after` says; without a token, at the beginning.

        A cursor that this channel can judge costs no read, so a crowd that comes back costs none.
        """
        if token is None:
            return Place(EARLIEST, self.store.start_cursor(self._stream_id, EMPTY, EARLIEST))
        if token.startswith(CURSOR_MARK):
            return Place(await self._resolve_cursor(token), token)
        head = await self._source.pool.run(self.store.state, self._stream_id)
        position = await self._source.pool.run(self.store.resolve_after, self._stream_id, token, head)
        return Place(position, self.store.start_cursor(self._stream_id, head, position))

    async def _resolve_cursor(self, token: str) -> int:
        try:
            return self.store.resolve_after(self._stream_id, token, self.head)
        except CursorGone:  # or it is newer than what this process has read so far: the store knows
            return await self._source.pool.run(self.store.resolve_after, self._stream_id, token)

    async def wait(self, seconds: float) -> None:
        """Return at the next news (frames, caught up, ended), or after the time given."""
        if not self.ended:
            await asyncio.wait({self._news}, timeout=seconds)

    def end(self, ending: Ending) -> None:
        self.ended = self.ended or ending
        self._tell()

    def stop(self) -> None:
        """Free everything: the last listener has left."""
        for task in (self.begun, self._reader, *self._replays.values()):
            task.cancel()

    async def _begin(self) -> None:
        """Open the stream and fill the ring with its last events, so that a crowd that comes back needs no further read."""
        self.store = await self._source.pool.run(self._source.open_stream, self._context)
        head = await self._source.pool.run(self.store.state, self._stream_id)
        self.head = replace(head, position=max(0, head.position - PAGE_EVENTS))
        self.caught_up = head.position == 0
        if not self.caught_up:
            self._take(await self._source.pool.run(self._read, self.head.position))

    async def _read_on(self) -> None:
        try:
            await asyncio.wait({self.begun})
            while not self.ended and not self.begun.exception():
                polled = not self._more and not await self._woken_in_time()
                self._woken.clear()
                self._take(await self._source.pool.run(self._read_polled if polled else self._read, self.head.position))
        except _RouteChanged:
            self.end(Ending.ROUTE_CHANGED)
        except NorthstarError as error:
            _log.warning("stream_read_failed", stream_id=self._stream_id, code=error.code, detail=error.detail)
        finally:  # however the reader ends, no listener may wait for news that cannot come
            self.end(Ending.UNAVAILABLE)

    async def _woken_in_time(self) -> bool:
        pause = self._pause() * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    def _pause(self) -> float:
        usual, longest = self._source.poll_seconds, self._source.quiet_poll_seconds
        if not self.store.reads_cost or usual >= longest:
            return usual
        return min(usual * float(2 ** min(self._quiet_polls, DOUBLINGS)), longest)

    def _read_polled(self, after: int) -> "_Reading":
        """A poll asks for the head first: it also notices a stream begun anew that is shorter now."""
        head = self.store.state(self._stream_id)
        if head.position == after and head.incarnation == self.head.incarnation:
            self._refuse_other_route()
            return _Reading([], self.head.incarnation, up_to_date=True)
        if head.incarnation != self.head.incarnation and self.head.incarnation:
            return _Reading([], head.incarnation, up_to_date=True)
        return self._read(after)

    def _read(self, after: int) -> "_Reading":
        self._refuse_other_route()
        page = self.store.list_after(self._stream_id, after, PAGE_EVENTS)
        return _Reading(self._frames(page), _incarnation(page, self.head.incarnation), page.up_to_date)

    def _refuse_other_route(self) -> None:
        if self._source.open_stream(self._context).served_by != self.store.served_by:
            raise _RouteChanged

    def _frames(self, page: EventPage) -> list[Frame]:
        return [Frame(event.position, self._source.encode(event)) for event in page.events]

    def _is_same_stream(self, reading: "_Reading") -> bool:
        if self.head.incarnation and reading.incarnation != self.head.incarnation:
            self.end(Ending.STREAM_REPLACED)
            return False
        return True

    def _take(self, reading: "_Reading") -> None:
        if not self._is_same_stream(reading):
            return
        news = bool(reading.frames) or self.caught_up != reading.up_to_date
        self.caught_up = reading.up_to_date
        self._more = (
            bool(reading.frames) and not reading.up_to_date
        )  # at a hole there is nothing to read before it closes
        self._quiet_polls = 0 if reading.frames else self._quiet_polls + 1
        if reading.frames:
            self.head = replace(self.head, position=reading.frames[-1].position, incarnation=reading.incarnation)
        for frame in reading.frames:
            self._ring.append(frame)
            self._ring_bytes += len(frame.encoded)
        while len(self._ring) > RING_FRAMES or self._ring_bytes > RING_BYTES:
            self._ring_bytes -= len(self._ring.popleft().encoded)
        if news:
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, self._news.get_loop().create_future()
        news.set_result(None)


@dataclass(frozen=True, slots=True)
class _Reading:
    frames: list[Frame]
    incarnation: str
    up_to_date: bool


class _RouteChanged(Exception):
    pass


def _incarnation(page: EventPage, known: str) -> str:
    others = {event.incarnation for event in page.events} - {known}
    return others.pop() if others else known


def _called(call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    try:
        return copy_context().run(call, *arguments)  # what the call binds to its log lines is not the next one's
    finally:
        close_old_connections()
