"""A TCP proxy that breaks what passes it on request: one fault at a time, the same for HTTP/1.1 and gRPC.

A request has reached the server when it was forwarded; a response has come when its first byte was read from the server, and what
a server does before it answers has then been done. A connection of gRPC carries many calls: to break it for one call breaks all
that are under way on it. A fault holds for what begins after it was set, until another is set.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from tests.server import HOST
from tests.stack.fault_connection import Connection, Fault, Kind

EVENT_SECONDS = 10
BACKLOG = 128

Result = TypeVar("Result")


class FaultProxy:
    """Forwards what connects to `address`. `once=n` lets a fault happen n times; without, it happens until the next call.

    Made by `fault_proxy`. Each method returns when its fault is set; faults replace one another.
    """

    def __init__(self, upstream: str, loop: asyncio.AbstractEventLoop) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._loop = loop
        self._fault = Fault()
        self._connections: set[Connection] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.accepted = 0
        """How many connections have been opened through it."""

    @property
    def address(self) -> str:
        """Host and port, as gRPC clients take them."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def events(self) -> int:
        """How often the fault that is set now has happened."""
        return self._fault.events

    def wait_for_events(self, count: int = 1) -> None:
        """Return when the fault that is set now has happened so often. Raises TimeoutError after 10 seconds."""
        self.run(asyncio.wait_for(self._happened(count), EVENT_SECONDS))

    def clear(self) -> None:
        """Let everything pass again. A connection that a black hole has swallowed from is reset, as by a host that came back."""
        self._set(Fault())

    def latency(self, seconds: float, once: int | None = None) -> None:
        """Hold each response back for so long."""
        self._set(Fault(Kind.LATENCY, amount=seconds, left=once))

    def bandwidth(self, bytes_per_second: int) -> None:
        """Let each response trickle."""
        self._set(Fault(Kind.BANDWIDTH, amount=bytes_per_second))

    def refuse(self) -> None:
        """Be down: no connection is accepted, and those that were are reset."""
        self._set(Fault(Kind.REFUSE))

    def black_hole(self, once: int | None = None) -> None:
        """Be half-open: connections stay, are accepted, and from the next request or response on carry nothing either way."""
        self._set(Fault(Kind.BLACK_HOLE, left=once))

    def reset(self, once: int | None = None) -> None:
        """Reset the connection when a request comes; the server sees nothing of it."""
        self._set(Fault(Kind.RESET, left=once))

    def drop_response(self, once: int | None = None, skip: int = 0) -> None:
        """Reset the connection when a response comes: the server has done what was asked, the client sees nothing of it.

        The first `skip` responses pass.
        """
        self._set(Fault(Kind.DROP_RESPONSE, left=once, skip=skip))

    def lose_responses(self, fraction: float, seed: int) -> None:
        """As `drop_response`, for this fraction of the responses, drawn from a generator with the seed."""
        self._set(Fault(Kind.DROP_RESPONSE, fraction=fraction, random=Random(seed)))

    def cut(self, after: int, once: int | None = None) -> None:
        """End the connection in order after so many bytes of a response."""
        self._set(Fault(Kind.CUT, amount=after, left=once))

    def stall(self, after: int, once: int | None = None) -> None:
        """Let nothing more of a response come after so many bytes, while the connection stays."""
        self._set(Fault(Kind.STALL, amount=after, left=once))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the proxy's thread, where all of its state lives."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def open(self) -> None:
        """Accept connections, always at the same port."""
        self._listener = socket.create_server((HOST, self.port), backlog=BACKLOG)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        # asyncio's own server forgets to close what it was accepting when it is closed itself.
        self._loop.add_reader(self._listener, self._accept, self._listener)

    async def close(self) -> None:
        """Accept none any more, and reset those that there are."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
        self._listener = None
        await self._stop(self._connections)

    def _set(self, fault: Fault) -> None:
        self.run(self._replace(fault))

    async def _replace(self, fault: Fault) -> None:
        ended, self._fault = self._fault, fault
        for connection in self._connections:
            connection.fault = fault
        ended.over.set()
        await self._stop({connection for connection in self._connections if connection.lost})
        if fault.kind is Kind.REFUSE:
            await self.close()
        elif self._listener is None:
            await self.open()

    async def _happened(self, count: int) -> None:
        fault = self._fault
        async with fault.changed:
            await fault.changed.wait_for(lambda: fault.events >= count)

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client has gone again
        accepted.setblocking(False)
        self.accepted += 1
        connection = Connection(accepted, self._fault)
        self._connections.add(connection)
        connection.start(*self._upstream, ended=lambda: self._connections.discard(connection))

    async def _stop(self, connections: set[Connection]) -> None:
        for connection in list(connections):
            await connection.stop()


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Forward to the server at `upstream`, `host:port`; at the end every connection is reset."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fault proxy")
    thread.start()
    proxy = FaultProxy(upstream, loop)
    try:
        proxy.run(proxy.open())
        yield proxy
    finally:
        proxy.run(proxy.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
