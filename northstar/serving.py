"""The one-process server: granian inside this process, what it does in the background beside it, and an end within seconds."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from django.conf import settings
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from northstar.asgi import application
from northstar.background import STREAMS, start_background, stop_background
from northstar.bridge import THREAD_NAME
from northstar.memory import give_large_blocks_back
from storage.api.sse import close_streams
from storage.opening import close_adapters
from storage.reopening import close_earlier

GRACE_SECONDS: Final = 4.0
"""How long requests under way may take to end after the server was told to stop."""
BACKLOG: Final = 1024
POLL_SECONDS: Final = 0.02

logger = logging.getLogger(__name__)


class PortTaken(Exception):
    """Another process listens there."""


def serve(host: str, port: int, *, on_listening: Callable[[], Any], stop_at_eof: bool = False) -> None:
    """Serve until SIGINT or SIGTERM: then streams are told to come back later, requests under way may end, and all stops.

    With `stop_at_eof` also when standard input, which must be a pipe or a terminal, ends: a program that holds the other end
    of the pipe then takes its server along, even when it is killed. Raises PortTaken.
    """
    _check_port(host, port)
    give_large_blocks_back()
    start_background(STREAMS)
    try:
        finished = asyncio.run(_run(host, port, on_listening, stop_at_eof=stop_at_eof)) and _web_threads_ended()
    finally:
        stop_background()
        close_adapters()
        close_earlier()
    if not finished:
        logger.warning("Some requests did not end within %s seconds and were cut off.", GRACE_SECONDS)
        logging.shutdown()
        os._exit(0)  # a thread that hangs in a backend would hold the process for ever


def _check_port(host: str, port: int) -> None:
    """Granian reports a taken port by a trace from its core, so it is asked for before."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(f"Cannot listen at {host}:{port}: {error.strerror}.") from None


async def _run(host: str, port: int, on_listening: Callable[[], Any], *, stop_at_eof: bool) -> bool:
    """Serve, and return whether everything ended by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if stop_at_eof:
        loop.add_reader(sys.stdin.fileno(), _watch_input, loop, stop)
    server = Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=settings.NORTHSTAR_SSE_MAX_STREAMS + BACKLOG,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(stop.wait())
    await _until_listening(host, port, serving)
    on_listening()
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    close_streams()
    server.stop()  # type: ignore[no-untyped-call]
    done, _ = await asyncio.wait({serving}, timeout=GRACE_SECONDS)
    if done:
        serving.result()  # whatever made the server end by itself is raised here
    return bool(done)


def _watch_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


async def _until_listening(host: str, port: int, serving: "asyncio.Task[None]") -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
        else:
            writer.close()
            return


def _web_threads_ended() -> bool:
    """Wait for requests under way, and return whether all have ended."""
    deadline = monotonic() + GRACE_SECONDS
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
    return not any(thread.is_alive() for thread in threads)
