"""The real server as a child process, on a free port, for as long as a block runs."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 30
STOP_SECONDS: Final = 15


class ServerFailed(Exception):
    """The server did not come up; the message says where it wrote why."""


@contextmanager
def running_server(project: Path, log: Path) -> Iterator[str]:
    """Serve the current NORTHSTAR_HOME and yield the URL; the process and its children are gone when the block ends.

    The server holds a pipe to this process, and ends with it should it be killed.
    Raises ServerFailed when it does not answer within half a minute. What it prints goes to `log`.
    """
    port = _free_port()
    command = [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port), "--stop-at-eof"]
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_up(process, port, log)
        yield f"http://{HOST}:{port}"
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerFailed(f"The server did not start. It wrote why into {log}.")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)  # a worker that outlived the main process; usually nobody is left
    except ProcessLookupError:
        return
