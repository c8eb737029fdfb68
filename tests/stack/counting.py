"""Two tiny servers, of HTTP/1.1 and of gRPC, that count the calls which reached them: what a proxy did is seen at both ends."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

from tests.server import HOST

STOP_POLL_SECONDS = 0.01
METHOD = "/counting.Counter/Count"


@dataclass
class Counter:
    """How many calls reached the server at `address`; each is answered with `body`."""

    address: str = ""
    body: bytes = b"counted"
    calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> bytes:
        with self._lock:
            self.calls += 1
        return self.body


class Listener(ThreadingHTTPServer):
    """Says nothing of connections that are reset: that is what proxies are tested with."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def counting_http() -> Iterator[Counter]:
    """Count POST requests, which are read whole before they count. Connections stay open."""
    counter = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = counter.count()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = Listener((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, args=(STOP_POLL_SECONDS,)).start()
    counter.address = f"{HOST}:{server.server_port}"
    try:
        yield counter
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def counting_grpc() -> Iterator[Counter]:
    """Count calls of METHOD, whose messages are plain bytes."""
    counter = Counter()
    method = grpc.unary_unary_rpc_method_handler(lambda request, context: counter.count())
    service, _, name = METHOD.strip("/").partition("/")
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: method})])
        counter.address = f"{HOST}:{server.add_insecure_port(f'{HOST}:0')}"
        server.start()
        try:
            yield counter
        finally:
            server.stop(None).wait()
