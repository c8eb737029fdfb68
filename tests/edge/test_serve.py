"""The `serve` command: it starts only where it can serve, and ends within seconds, leaving nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import HOST, PROJECT, Running, running_server

pytestmark = pytest.mark.server


def serve(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "NORTHSTAR_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "northstar.settings.lab",
    }
    command = [sys.executable, "manage.py", "serve", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_refuses_to_start_before_the_migrations_and_names_the_command(tmp_path):
    done = serve(tmp_path / "new")
    assert done.returncode == 1
    assert "manage.py migrate" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_refuses_a_port_that_is_taken(tmp_path):
    with running_server(tmp_path) as first:
        done = serve(tmp_path, "--port", str(first.port))
    assert done.returncode == 1
    assert f"{HOST}:{first.port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_says_where_it_listens(tmp_path):
    with running_server(tmp_path) as server:
        assert server.process.stdout is not None
        assert server.url in server.process.stdout.readline().decode()


def follow(server: Running):
    connection = server.connect()
    connection.request(
        "GET",
        "/api/v1/storage/streams/orders/events",
        headers={"Authorization": f"Bearer {server.tokens['acme']}", "Accept": "text/event-stream"},
    )
    response = connection.getresponse()
    assert response.status == 200, response.read()
    assert response.readline().startswith((b"retry:", b"id:", b":"))
    return connection, response


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_end_and_the_process_with_them(tmp_path, number):
    with running_server(tmp_path, NORTHSTAR_SSE_HEARTBEAT_SECONDS="60") as server:
        streams = [follow(server) for _ in range(3)]
        os.kill(server.pid, number)
        for connection, response in streams:
            response.read()  # to the end of the answer: the server has closed it
            connection.close()
        assert server.process.wait(10) == 0


def test_a_client_that_uploads_forever_does_not_keep_the_server_up(tmp_path):
    with running_server(tmp_path) as server:
        connection = server.connect()
        connection.putrequest("PUT", "/api/v1/storage/objects/slow")
        connection.putheader("Authorization", f"Bearer {server.tokens['acme']}")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders(b"x" * 100_000)
        assert server.request("GET", "/healthz")[0] == 200
        os.kill(server.pid, signal.SIGTERM)
        assert server.process.wait(15) == 0
        connection.close()


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    with running_server(tmp_path) as server:
        assert server.request("PUT", "/api/v1/storage/tables/t/records/k", {"data": {"n": 1}})[0] < 300
    with running_server(tmp_path) as server:
        status, _, body = server.request("GET", "/api/v1/storage/tables/t/records/k")
    assert (status, json.loads(body)["data"]) == (200, {"n": 1})
