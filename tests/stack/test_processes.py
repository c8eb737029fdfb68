"""A server of the stack answers when its test begins, and is gone when the test run is, however that ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server import HOST, PROJECT
from tests.stack import processes, servers
from tests.stack.processes import ServerFailed, http_answers, running

FILES = [sys.executable, "-u", "-m", "http.server", "--bind", HOST]
ENDED = [sys.executable, "-c", "raise SystemExit('no such licence')"]
STUBBORN = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
KILLED_RUN = """
def test_that_never_ends(ministack):
    print("PID", ministack.pid, flush=True)
    import sys
    sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_dead(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)  # a process of another parent cannot be waited for
    return not is_alive(pid)


def test_a_server_answers_at_its_port_and_is_gone_at_the_end():
    with running("files", lambda port: [*FILES, str(port)], http_answers()) as server:
        assert http_answers()(server.port)
        assert server.url == f"http://{server.address}" == f"http://{HOST}:{server.port}"
    assert not is_alive(server.pid)
    assert not http_answers()(server.port)


def test_a_server_that_ends_at_once_is_reported_with_the_tail_of_its_log():
    with pytest.raises(ServerFailed, match=r"(?s)licensed ended with exit code 1 .*no such licence"):
        running("licensed", lambda port: ENDED, http_answers()).__enter__()


def test_a_server_whose_port_was_taken_is_tried_at_another():
    with socket.create_server((HOST, 0)) as taken:
        tried = [taken.getsockname()[1]]

        def command(port: int) -> list[str]:
            tried.append(port)
            return [*FILES, str(tried[0] if len(tried) == 2 else port)]

        with running("files", command, http_answers()) as server:
            assert server.port == tried[-1]
            assert len(tried) == 3


def test_a_server_that_never_answers_is_reported(monkeypatch):
    monkeypatch.setattr(processes, "START_SECONDS", 0.5)
    with pytest.raises(ServerFailed, match=r"(?s)mute does not answer after 0.5 seconds:\n.*Serving HTTP"):
        running("mute", lambda port: [*FILES, str(port)], lambda port: False).__enter__()


def test_a_server_that_ignores_the_request_to_end_is_killed(monkeypatch):
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.1)
    with running("stubborn", lambda port: [sys.executable, "-c", STUBBORN, str(port)], http_answers()) as server:
        pass
    assert not is_alive(server.pid)


def test_a_server_sees_no_credential_of_ours(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with running("files", lambda port: [*FILES, str(port)], http_answers()) as server:
        assert b"canary" not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_a_killed_test_run_leaves_no_server_behind(tmp_path: Path):
    (tmp_path / "test_killed.py").write_text(KILLED_RUN)
    options = ["-q", "-s", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "tests.stack.fixtures"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdin is not None
    assert run.stdout is not None
    with run.stdin, run.stdout:
        lines = iter(run.stdout.readline, "")
        pid = int(next((line.split()[1] for line in lines if line.startswith("PID")), "0"))
        assert is_alive(pid)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert wait_until_dead(pid)


def test_a_missing_server_says_which_command_installs_it(monkeypatch, tmp_path: Path):
    monkeypatch.setenv(servers.HOME_VARIABLE, str(tmp_path))
    with pytest.raises(servers.NotInstalled, match=r"run `python3 make.py servers`"):
        servers.locked_moto()


def test_where_google_s_emulator_is_not_there_is_a_reason_to_skip(monkeypatch, tmp_path: Path):
    monkeypatch.delenv(servers.JAR_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.NotHere):
        servers.firestore_emulator()


def test_a_named_emulator_that_does_not_exist_is_an_error_and_no_reason_to_skip(monkeypatch, tmp_path: Path):
    monkeypatch.setenv(servers.JAR_VARIABLE, str(tmp_path / "emulator.jar"))
    with pytest.raises(servers.NotInstalled, match="is no file"):
        servers.firestore_emulator()
