"""Run as a process: a small WSGI application behind the real bridge and the real HTTP server. It prints what happens to it."""

import asyncio
import hashlib
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from northstar.bridge import Bridge

PIECE = b"x" * 65536


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path, length = environ["PATH_INFO"], environ.get("CONTENT_LENGTH")
    if path == "/digest":
        return _digest(environ["wsgi.input"], int(length) if length else None, start_response)
    if path == "/pieces":
        start_response("200 OK", [])
        return Pieces(int(environ["QUERY_STRING"]))
    if path == "/broken":
        start_response("200 OK", [])
        return Pieces(3, broken=True)
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


def _digest(body: Any, left: int | None, start_response: Any) -> Iterable[bytes]:
    digest, size = hashlib.sha256(), 0
    try:
        while left != 0 and (piece := body.read(min(left or 1 << 20, 1 << 20))):
            digest.update(piece)
            size += len(piece)
            left = None if left is None else left - len(piece)
    except OSError as error:
        print(f"cut after {size}: {error}", flush=True)
        raise
    answer = f"{size} {digest.hexdigest()}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


class Pieces:
    """An answer of many pieces that tells when it is let go."""

    def __init__(self, count: int, *, broken: bool = False) -> None:
        self._count = count
        self._broken = broken

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count):
            yield PIECE
        if self._broken:
            raise RuntimeError("the store went away")

    def close(self) -> None:
        print("closed", flush=True)


async def main(port: int) -> None:
    bridge = Bridge(application, threads=2)

    async def site(scope: Any, receive: Any, send: Any) -> None:
        await bridge(scope, receive, send)

    server = Server(
        site,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    serving = asyncio.create_task(server.serve())
    await _until_listening(port)
    print("listening", flush=True)
    await serving
    bridge.close()


async def _until_listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
