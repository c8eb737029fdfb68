"""A server that answers with what a test has written down: for what no emulator says."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.server import HOST
from tests.stack.counting import Listener

OURS = {"x-ms-request-id": "0"}
"""The header that every answer of the service has."""
EMPTY = b'<?xml version="1.0"?><EnumerationResults><Blobs /><NextMarker /></EnumerationResults>'


@dataclass(frozen=True)
class Line:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: OURS)


@dataclass
class Script:
    """The answers still to give, the last one again and again; and the requests that came: method and path."""

    lines: list[Line]
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)

    def next(self, method: str, path: str) -> Line:
        self.requests.append((method, path))
        return self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]


@contextmanager
def scripted(*lines: Line) -> Iterator[Script]:
    """Answer each request with the next line."""
    script = Script(list(lines))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line = script.next(self.command, self.path)
            self.send_response(line.status)
            for name, value in line.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(line.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(line.body)

        do_HEAD = do_PUT = do_DELETE = do_POST = do_GET  # noqa: N815 - the names that the library looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with Listener((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.url = f"http://{HOST}:{server.server_port}"
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
