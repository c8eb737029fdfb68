"""One client of one stream: first what is stored, then what is appended, without a gap and without repeating anything.

It keeps a position, and waits for the client to take what was sent: a client that stalls costs nothing that grows.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from northstar.errors import Forbidden, NorthstarError, Unauthenticated
from storage.api.sse_frames import HEARTBEAT, reset_frame, retry_frame, up_to_date_frame
from storage.kinds.event_stream import EARLIEST
from storage.stream_channel import Channel, Ending, Frame

CHUNK_BYTES: Final = 64 * 1024
REPLAY_RECHECK_SECONDS: Final = 1.0
"""While a long replay runs the key is checked before each page, but no more often than this."""

Send = Callable[[bytes], Awaitable[None]]

_log = structlog.get_logger("northstar.streams")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between heartbeats, between checks of the key, and of a connection's life."""

    heartbeat: float
    recheck: float
    max_age: float


class Connection:
    """Serves one client until it leaves, its key is revoked, its time is over, or the channel ends.

    `send` returns when the client's side has taken the bytes; `authorise` raises when the key may no longer read.
    """

    def __init__(
        self, channel: Channel, position: int, *, send: Send, authorise: Callable[[], Awaitable[None]], pace: Pace
    ) -> None:
        self._channel = channel
        self._position = position
        self._write = send
        self._authorise = authorise
        self._pace = pace
        self._announced = False
        now = _now()
        self._checked_at = now
        self._sent_at = now
        self._closes_at = now + pace.max_age * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret

    async def serve(self) -> None:
        """Return when the connection is to be closed; the client has been told when to come back, unless it may not."""
        try:
            while not self._channel.ended and _now() < self._closes_at:
                await self._check_after(self._pace.recheck)
                await self._step()
        except (Unauthenticated, Forbidden) as error:
            _log.info("stream_revoked", code=error.code)
            return
        except NorthstarError as error:
            _log.warning("stream_read_failed", code=error.code, detail=error.detail)
        await self._send(self._farewell())

    async def _step(self) -> None:
        frames = self._channel.frames_after(self._position)
        if frames is None:
            await self._check_after(REPLAY_RECHECK_SECONDS)
            frames = await self._channel.replay(self._position)
        if frames:
            for chunk in _chunks(frames):
                await self._send(b"".join(frame.encoded for frame in chunk))
                self._position = chunk[-1].position
        elif self._channel.caught_up and not self._announced:
            self._announced = True
            await self._send(up_to_date_frame(self._position))
        else:
            await self._idle()

    async def _idle(self) -> None:
        due = min(self._sent_at + self._pace.heartbeat, self._checked_at + self._pace.recheck, self._closes_at)
        await self._channel.wait(max(0.0, due - _now()))
        if _now() >= self._sent_at + self._pace.heartbeat:
            await self._send(HEARTBEAT)

    async def _check_after(self, seconds: float) -> None:
        if _now() >= self._checked_at + seconds:
            await self._authorise()
            self._checked_at = _now()

    def _farewell(self) -> bytes:
        if self._channel.ended is Ending.STREAM_REPLACED:
            return reset_frame("stream_replaced", EARLIEST, self._channel.head.position)
        return retry_frame()

    async def _send(self, chunk: bytes) -> None:
        await self._write(chunk)
        self._sent_at = _now()


def _chunks(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    chunk: list[Frame] = []
    size = 0
    for frame in frames:
        chunk.append(frame)
        size += len(frame.encoded)
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _now() -> float:
    return asyncio.get_running_loop().time()
