"""The bridge behind the real HTTP server: bodies stream, and a client that leaves or breaks off is noticed."""

import hashlib
import http.client
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import HOST, PROJECT, free_port

pytestmark = pytest.mark.server

MIB = 1024 * 1024
GROWTH_MIB = 24
SECONDS = 30


class Site:
    """The process, and what it prints."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process, self.port = process, port
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def said(self) -> str:
        return self._lines.get(timeout=SECONDS)

    def end(self) -> None:
        """Stop the process, and read what it prints to the end: only then may its output be closed."""
        self.process.terminate()
        self._reader.join(SECONDS)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, self.port, timeout=SECONDS)

    def send(self, raw: bytes) -> socket.socket:
        plain = socket.create_connection((HOST, self.port), timeout=SECONDS)
        plain.sendall(raw)
        return plain

    def peak_mib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024


@pytest.fixture
def site() -> Iterator[Site]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.edge.bridge_site", str(port)],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        running = Site(process, port)
        try:
            assert running.said() == "listening"
            yield running
        finally:
            running.end()


def pieces(count: int) -> Iterator[bytes]:
    return (bytes([n % 251]) * 65536 for n in range(count))


@pytest.mark.parametrize("chunked", [True, False])
def test_sixty_four_mebibytes_in_need_no_memory(site, chunked):
    digest, before = hashlib.sha256(b"".join(pieces(1024))), site.peak_mib()
    connection = site.connect()
    length = {} if chunked else {"Content-Length": str(64 * MIB)}
    connection.request("PUT", "/digest", pieces(1024), length, encode_chunked=chunked)
    assert connection.getresponse().read().decode() == f"{64 * MIB} {digest.hexdigest()}"
    connection.close()
    assert site.peak_mib() - before < GROWTH_MIB


def test_sixty_four_mebibytes_out_need_no_memory(site):
    before, connection, size = site.peak_mib(), site.connect(), 0
    connection.request("GET", "/pieces?1024")
    response = connection.getresponse()
    while piece := response.read(MIB):
        size += len(piece)
    connection.close()
    assert size == 64 * MIB
    assert site.peak_mib() - before < GROWTH_MIB
    assert site.said() == "closed"


def test_an_answer_without_end_ends_when_the_client_leaves(site):
    connection = site.connect()
    connection.request("GET", "/pieces?1000000000")
    response = connection.getresponse()
    response.read(1000)
    response.close()
    connection.close()
    assert site.said() == "closed"


def test_clients_that_do_not_read_hold_no_thread(site):
    stalled = [site.send(b"GET /pieces?1000000000 HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(8)]
    for connection in stalled:
        connection.recv(100)
    connection = site.connect()
    connection.request("GET", "/nothing")  # the site has two threads
    assert connection.getresponse().status == 404
    connection.close()
    for plain in stalled:
        plain.close()


@pytest.mark.parametrize(
    "start",
    [
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"Content-Length: 100000\r\n\r\nhello",
        b"Content-Length: 100\r\n\r\nhello",
    ],
)
def test_a_body_that_is_cut_off_never_passes_for_a_whole_one(site, start):
    site.send(b"PUT /digest HTTP/1.1\r\nHost: x\r\n" + start).close()
    assert site.said().startswith("cut after")


def test_an_answer_that_breaks_off_never_passes_for_a_whole_one(site):
    connection = site.connect()
    connection.request("GET", "/broken")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()
    assert site.said() == "closed"


def test_an_empty_answer_keeps_the_connection(site):
    connection = site.connect()
    for _ in range(3):
        connection.request("GET", "/nothing")
        response = connection.getresponse()
        assert (response.status, response.read()) == (404, b"")
    connection.close()
