"""The real server as a process of its own, for tests that need real HTTP: free port, home of its own, gone at the end."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 15


@dataclass
class Running:
    """A server that answers. `tokens` are keys of acme, globex and t_system, each with every scope, and routes in env dev."""

    port: int
    home: Path
    tokens: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The one process that serves."""
        return self.process.pid

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        """Open a connection to the server; the caller closes it."""
        return http.client.HTTPConnection(HOST, self.port, timeout=timeout)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tenant: str = "acme",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request as a tenant, and return status, headers (lower case) and body. Dicts are sent as JSON."""
        sent = {"Authorization": f"Bearer {self.tokens[tenant]}", **(headers or {})}
        if isinstance(body, dict | list):
            body, sent = json.dumps(body).encode(), {"Content-Type": "application/json", **sent}
        connection = self.connect()
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            content = response.read()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, content
        finally:
            connection.close()

    def stop(self) -> int:
        """Ask the server to end as an operator would, and return its exit code. Killed when it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def environment_of(home: Path, **environment: str) -> dict[str, str]:
    """What a process of a deployment in `home` sees: of our own settings, those named and no others."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NORTHSTAR_", "DJANGO_")) and name not in {"DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS"}
    }
    return {**inherited, "NORTHSTAR_HOME": str(home), "PYTHONUNBUFFERED": "1", **environment}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(home: Path, **environment: str) -> Iterator[Running]:
    """Serve `home` with the cast in it. `environment` adds settings, such as NORTHSTAR_SSE_HEARTBEAT_SECONDS="0.1"."""
    home.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), home / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve_cast", str(port)],
            cwd=PROJECT,
            env=environment_of(home, **environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    server = Running(port, home, {}, process, log)
    with process.stdin, process.stdout:
        try:
            line = process.stdout.readline()
            assert line, f"the server did not start:\n{log.read_text()}"
            server.tokens.update(json.loads(line))
            wait_until_up(server)
            yield server
        finally:
            server.stop()


def wait_until_up(server: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, f"the server ended:\n{server.log.read_text()}"
        try:
            if server.request("GET", "/healthz")[0] == http.client.OK:
                return
        except OSError:
            time.sleep(0.02)  # nothing announces a listening socket to another process
    raise AssertionError(f"the server does not answer:\n{server.log.read_text()}")
