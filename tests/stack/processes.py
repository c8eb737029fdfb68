"""A server as a process of its own: a free port of 127.0.0.1, ready when it answers by its protocol, gone with the test run."""

import http.client
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from tests.server import HOST, PROJECT, free_port

START_SECONDS = 30
STOP_SECONDS = 5
ATTEMPTS = 3
TAIL_BYTES = 3000
POLL_SECONDS = 0.02
ANSWER_SECONDS = 1
INHERITED = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
"""What a server sees of our environment: no credential, no setting of ours."""
LEASH = Path(__file__).with_name("leash.py")

Command = Callable[[int], Sequence[str]]
Answers = Callable[[int], bool]


class ServerFailed(RuntimeError):
    """A server did not answer; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Server:
    """A server that answers at `port` of 127.0.0.1, in the process `pid`."""

    name: str
    port: int
    pid: int

    @property
    def address(self) -> str:
        """Host and port, as gRPC clients take them."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@contextmanager
def running(
    name: str,
    command: Command,
    answers: Answers,
    *,
    at: int | None = None,
    user: int | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[Server]:
    """Start `command(port)`, wait until `answers(port)`, and stop it at the end; on a thread that outlives the server.

    It listens `at` a port and runs as `user` where these are given, and is asked to end by the signal `stop`.

    A server that ends before it answers is tried again at another port, as somebody else may have taken its own.
    Raises ServerFailed after 3 attempts, or when there is no answer within 30 seconds.
    """
    with tempfile.TemporaryFile() as log:
        for _ in range(ATTEMPTS):
            port = at or free_port()
            with _process(command(port), log, user, stop) as process:
                if _is_ready(process, partial(answers, port)):
                    yield Server(name, port, process.pid)
                    return
                if process.poll() is None:
                    raise ServerFailed(f"{name} does not answer after {START_SECONDS} seconds:\n{_tail(log)}")
        raise ServerFailed(f"{name} ended with exit code {process.returncode} before it answered:\n{_tail(log)}")


@contextmanager
def _process(
    command: Sequence[str], log: IO[bytes], user: int | None, stop: signal.Signals
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), "" if user is None else str(user), *command],
        cwd=PROJECT,
        env={"PYTHONUNBUFFERED": "1", **{name: os.environ[name] for name in INHERITED if name in os.environ}},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(process: subprocess.Popen[bytes], answers: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if answers():
            return process.poll() is None  # else somebody else answered, at the port that it could not have
        time.sleep(POLL_SECONDS)  # nothing announces a listening socket to another process
    return False


def _tail(log: IO[bytes]) -> str:
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")


def http_answers(path: str = "/", *, cafile: str | None = None) -> Answers:
    """Ask for a path over HTTP, or over HTTPS with the certificate in a file; any status is an answer."""

    def ask(port: int) -> bool:
        connection = _connection(port, cafile)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    return ask


def _connection(port: int, cafile: str | None) -> http.client.HTTPConnection:
    if cafile is None:
        return http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    context = ssl.create_default_context(cafile=cafile)
    return http.client.HTTPSConnection(HOST, port, timeout=ANSWER_SECONDS, context=context)
