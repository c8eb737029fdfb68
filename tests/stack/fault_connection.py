"""One connection through the fault proxy: what happens to the requests and responses on it while a fault is set."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Any

from tests.stack.conversation import Conversation, Turns, conversation

CHUNK_BYTES = 65536
PIECES_PER_SECOND = 20
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset and drops what waits to be sent."""


class Kind(Enum):
    """What can happen."""

    NOTHING = auto()
    LATENCY = auto()
    REFUSE = auto()
    BLACK_HOLE = auto()
    RESET = auto()
    DROP_RESPONSE = auto()
    CUT = auto()
    STALL = auto()
    BANDWIDTH = auto()


AT_REQUESTS = {Kind.RESET, Kind.BLACK_HOLE}
AT_RESPONSES = {Kind.LATENCY, Kind.BLACK_HOLE, Kind.DROP_RESPONSE, Kind.CUT, Kind.STALL, Kind.BANDWIDTH}


@dataclass
class Fault:
    """A fault while it is set: `left` more times, or until it is over; `amount` in seconds, bytes or bytes per second.

    The first `skip` requests or responses pass; each further one is met with the probability `fraction`, drawn from `random`.
    """

    kind: Kind = Kind.NOTHING
    amount: float = 0
    left: int | None = None
    skip: int = 0
    fraction: float = 1
    random: Random = field(default_factory=Random)
    events: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def meets(self, begun: int) -> bool:
        """Whether it meets one of the requests or responses that begin now; counts the event if so."""
        passed = min(begun, self.skip)
        self.skip -= passed
        hit = any(self.random.random() < self.fraction for _ in range(begun - passed))
        if not hit or self.left == 0:
            return False
        self.left = None if self.left is None else self.left - 1
        async with self.changed:
            self.events += 1
            self.changed.notify_all()
        return True

    async def pause(self, seconds: float) -> None:
        """Wait, at most until the fault is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)


class Broken(Exception):
    """The connection is to be reset in both directions."""


class Connection:
    """Passes bytes between a client and the server; `fault` is the one that is set now."""

    def __init__(self, accepted: socket.socket, fault: Fault) -> None:
        self.fault = fault
        self.lost = False
        """Whether bytes of it have been swallowed, so that it can never go on."""
        self._accepted = accepted
        self._writers: list[StreamWriter] = []
        self._conversation: Conversation = Turns()
        self._task: asyncio.Task[None] | None = None

    def start(self, host: str, port: int, ended: Callable[[], None]) -> None:
        """Connect to the server, and pass bytes until both sides have ended or the connection is broken."""
        self._task = asyncio.create_task(self._run(host, port))
        self._task.add_done_callback(lambda _: ended())

    async def _run(self, host: str, port: int) -> None:
        try:
            requests, client = await self._opened(sock=self._accepted)
            responses, server = await self._opened(host=host, port=port)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump_requests(requests, server))
                pumps.create_task(self._pump_responses(responses, client))
            for writer in self._writers:
                writer.close()
        except* (OSError, Broken):
            pass  # whatever it was, the clients shall see a reset
        finally:
            self._reset()

    async def _opened(self, **address: Any) -> tuple[StreamReader, StreamWriter]:
        reader, writer = await asyncio.open_connection(**address)
        self._writers.append(writer)
        return reader, writer

    async def stop(self) -> None:
        """Break the connection, and return when that is done."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self._reset()  # a task that had not begun has done nothing

    def _reset(self) -> None:
        for writer in self._writers:
            if not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                writer.transport.abort()
        if not self._writers:
            self._accepted.close()

    async def _pump_requests(self, requests: StreamReader, server: StreamWriter) -> None:
        chunk = await requests.read(CHUNK_BYTES)
        self._conversation = conversation(chunk)
        while chunk:
            await self._pass_request(server, chunk)
            chunk = await requests.read(CHUNK_BYTES)
        if self.lost:
            raise Broken
        server.write_eof()

    async def _pass_request(self, server: StreamWriter, chunk: bytes) -> None:
        begun, fault = self._conversation.requests_in(chunk), self.fault
        if fault.kind in AT_REQUESTS and not self.lost and await fault.meets(begun):
            if fault.kind is Kind.RESET:
                raise Broken
            self.lost = True
        if not self.lost:
            server.write(chunk)
            await server.drain()

    async def _pump_responses(self, responses: StreamReader, client: StreamWriter) -> None:
        met, passed = Fault(), 0
        while chunk := await responses.read(CHUNK_BYTES):
            if begun := self._conversation.responses_in(chunk):
                met, passed = await self._met(begun), 0
            if met.kind is Kind.CUT and passed + len(chunk) > met.amount:
                await self._cut(client, chunk[: int(met.amount) - passed])
            elif met.kind is Kind.STALL and passed + len(chunk) > met.amount and not self.lost:
                await self._pass_response(client, chunk[: int(met.amount) - passed])
                self.lost = True
            elif met.kind is Kind.BANDWIDTH:
                await self._trickle(client, chunk, met)
            elif not self.lost:
                await self._pass_response(client, chunk)
            passed += len(chunk)
        if not self.lost:
            client.write_eof()

    async def _met(self, begun: int) -> Fault:
        """Return the fault that the responses meet which begin now; nothing else meets them until the next begins."""
        fault = self.fault
        if fault.kind not in AT_RESPONSES or self.lost or not await fault.meets(begun):
            return Fault()
        if fault.kind is Kind.DROP_RESPONSE:
            raise Broken
        if fault.kind is Kind.LATENCY:
            await fault.pause(fault.amount)
        self.lost = fault.kind is Kind.BLACK_HOLE
        return fault

    async def _pass_response(self, client: StreamWriter, chunk: bytes) -> None:
        client.write(chunk)
        await client.drain()

    async def _cut(self, client: StreamWriter, chunk: bytes) -> None:
        """End the connection in order, so that the client gets every byte before the cut."""
        await self._pass_response(client, chunk)
        client.close()
        raise Broken

    async def _trickle(self, client: StreamWriter, chunk: bytes, fault: Fault) -> None:
        size = max(1, int(fault.amount) // PIECES_PER_SECOND)
        for start in range(0, len(chunk), size):
            await fault.pause(len(chunk[start : start + size]) / fault.amount)
            await self._pass_response(client, chunk[start : start + size])
