"""Django's WSGI application inside the ASGI server: bodies stream in constant memory, and a client that leaves is noticed.

A thread is taken for one step of the application at a time, not for the length of a response: a client that downloads slowly
holds memory for one piece, and no thread.
"""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

import structlog

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Environ = dict[str, Any]
Result = TypeVar("Result")
WsgiApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

SMALL_BODY_BYTES: Final = 64 * 1024
"""A body up to this size is awaited before a thread is taken for it."""
BODY_WAIT_SECONDS: Final = 60.0
"""How long a thread waits for the next piece of a body."""

DISCARDED_BYTES: Final = 64 * 1024 * 1024
DISCARD_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.5
"""How much of a refused body is still taken, how long, and up to which pause, so that its sender comes to read the answer."""

THREAD_NAME: Final = "web"

_log = structlog.get_logger("northstar.bridge")


class ClientGone(OSError):
    """The client left, or stopped sending, before the end of its body."""


class Body(io.RawIOBase):
    """A request body, pulled from the server piece by piece as the application reads."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, announced: int | None) -> None:
        self._receive = receive
        self._loop = loop
        self._left = announced
        self._piece = memoryview(b"")
        self.ended = False

    async def prefetch(self, length: int) -> None:
        """Await a small body whole. A client that leaves meanwhile is found out by the reader."""
        pieces = bytearray()
        while not self.ended and len(pieces) < length:
            message = await self._receive()
            if message["type"] != "http.request":
                break
            pieces += self._taken(message)
        self._piece = memoryview(bytes(pieces))

    def _taken(self, message: Message) -> bytes:
        """Return a message's piece. With the last announced byte the body has ended, whatever the server says of more."""
        piece: bytes = message.get("body", b"")
        self.ended = not message.get("more_body", False)
        if self._left is not None:
            self._left -= len(piece)
            self.ended = self.ended or self._left <= 0
        return piece

    async def discard(self) -> None:
        """Take what a client goes on sending after its answer, within bounds.

        A connection that is closed while the client still sends would be reset, and the answer lost with it.
        """
        left = DISCARDED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self.ended and left > 0:
                    message = await asyncio.wait_for(self._receive(), PAUSE_SECONDS)
                    left -= len(message.get("body", b""))
                    self.ended = message["type"] != "http.request" or not message.get("more_body", False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._piece and not self.ended:
            self._pull()
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    def _pull(self) -> None:
        pulling = asyncio.run_coroutine_threadsafe(_next(self._receive), self._loop)
        try:
            message = pulling.result(BODY_WAIT_SECONDS)
        except TimeoutError:
            pulling.cancel()
            raise ClientGone("the client stopped sending") from None
        if message["type"] != "http.request":
            raise ClientGone("the client left")
        self._piece = memoryview(self._taken(message))


async def _next(receive: Receive) -> Message:
    message: Message = await receive()
    return message


class Exchange:
    """One run of the application: started, stepped for each further piece, closed; in any thread, one step at a time."""

    def __init__(self, application: WsgiApplication, environ: Environ) -> None:
        self._application = application
        self._environ = environ
        self._answer: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] = iter(())
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole = False

    def start(self) -> bytes:
        """Run the application, and return the first piece of its answer. `whole` says that there is no other."""
        self._answer = self._application(self._environ, self._start_response)
        self._pieces = iter(self._answer)
        first = self.step()
        length = next((value for name, value in self.headers if name == b"content-length"), None)
        if not first or length == b"%d" % len(first):
            self.whole = True
            self.close()
        return first

    def step(self) -> bytes:
        """Return the next piece, and nothing at the end."""
        return next(filter(None, self._pieces), b"")

    def close(self) -> None:
        """Let the application release what the answer holds."""
        close = getattr(self._answer, "close", None)
        self._answer = ()
        if close is not None:
            close()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], _error: Any = None
    ) -> Callable[[bytes], None]:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return _no_write


def _no_write(_piece: bytes) -> None:
    raise NotImplementedError("The application must return its body: write() is not offered.")


class Bridge:
    """An ASGI application around a WSGI one, with threads of its own."""

    def __init__(self, application: WsgiApplication, threads: int) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=THREAD_NAME)

    def close(self) -> None:
        """End the threads as they fall idle; no further request is taken."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        environ = environ_of(scope)
        length = environ.get("CONTENT_LENGTH", "" if "HTTP_TRANSFER_ENCODING" in environ else "0")
        announced = int(length) if length.isascii() and length.isdigit() else None
        body = Body(receive, loop, announced)
        environ["wsgi.input"] = io.BufferedReader(body, SMALL_BODY_BYTES)
        if announced is not None and announced <= SMALL_BODY_BYTES:
            await body.prefetch(max(1, announced))
        exchange = Exchange(self._application, environ)
        context = copy_context()  # one for the whole exchange, whichever thread takes the next step

        def run(step: Callable[[], Result]) -> Awaitable[Result]:
            return loop.run_in_executor(self._threads, context.run, step)

        try:
            first = await run(exchange.start)
            await send({"type": "http.response.start", "status": exchange.status, "headers": exchange.headers})
            if exchange.whole:
                if not body.ended:  # the server stops reading with an answer's last byte
                    await send({"type": "http.response.body", "body": first[:-1], "more_body": True})
                    await body.discard()
                    first = first[-1:]
                await send({"type": "http.response.body", "body": first})
            else:
                await _stream(exchange, first, run, _Departure(receive, body), send)
        finally:
            if not exchange.whole:
                await asyncio.shield(run(exchange.close))


async def _stream(
    exchange: Exchange, piece: bytes, run: Callable[..., Any], departure: "_Departure", send: Send
) -> None:
    try:
        while piece and not departure.seen:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await run(exchange.step)
        await send({"type": "http.response.body", "body": b""})
    finally:
        departure.forget()


class _Departure:
    """Watches for the client's leaving, which the server tells only to who asks. An unread body would be lost by asking."""

    def __init__(self, receive: Receive, body: Body) -> None:
        self.seen = False
        self._task = asyncio.create_task(self._watch(receive)) if body.ended else None

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.seen = True

    def forget(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()


def environ_of(scope: Scope) -> Environ:
    """Return the WSGI environ of an ASGI scope without its input: texts are bytes as latin-1, the path is decoded once."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"].partition(b"?")[0]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": _Errors(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        _add_header(environ, name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1"))
    return environ


def _add_header(environ: Environ, name: str, value: str) -> None:
    key = name if name in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{name}"
    if key in environ:
        value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value
    environ[key] = value


class _Errors(io.TextIOBase):
    """Where an application writes what went wrong: the log."""

    def write(self, text: str) -> int:
        if text.strip():
            _log.error("application_error", text=text.rstrip())
        return len(text)
