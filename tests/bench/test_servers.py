"""Server processes of the benchmarks: measured with all their descendants, and always stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.client import BadAnswer, Connection
from bench.servers import NotServing, cpu_seconds, free_port, serving

ANSWERS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201 if self.path == "/good" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def server(tmp_path: Path):
    port = free_port()
    with serving(["-c", ANSWERS, str(port)], port, tmp_path / "log") as server:
        yield server


def stat_file(proc: Path, pid: int, parent: int, *, ticks: int, reaped: int = 0) -> None:
    (proc / str(pid)).mkdir()
    fields = ["S", str(parent), *["0"] * 9, str(ticks), "0", str(reaped), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} (a (strange) name) {' '.join(fields)}")


def test_cpu_time_counts_descendants_living_and_reaped_and_nobody_else(tmp_path):
    ticks = os.sysconf("SC_CLK_TCK")
    stat_file(tmp_path, 10, 1, ticks=ticks, reaped=4 * ticks)
    stat_file(tmp_path, 11, 10, ticks=2 * ticks)
    stat_file(tmp_path, 9, 11, ticks=3 * ticks)
    stat_file(tmp_path, 12, 1, ticks=99 * ticks)
    assert cpu_seconds(10, tmp_path) == pytest.approx(10.0)


def test_one_connection_carries_many_requests(server):
    with Connection(server.port) as connection:
        assert [connection.put("/good", b"x" * 70_000) for _ in range(3)] == [201, 201, 201]


def test_an_answer_that_is_no_success_is_an_error_that_shows_it(server):
    with Connection(server.port) as connection, pytest.raises(BadAnswer, match=r"500.*: what went wrong"):
        connection.put("/bad", b"what went wrong")


def test_a_server_ends_with_its_block(tmp_path):
    port = free_port()
    with serving(["-c", ANSWERS, str(port)], port, tmp_path / "log") as server:
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(tmp_path):
    with (
        pytest.raises(NotServing, match=r"ended with code 1:\sno such database"),
        serving(["-c", "raise SystemExit('no such database')"], free_port(), tmp_path / "log"),
    ):
        pass


def test_the_cpu_time_of_a_real_process_grows(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", "sum(range(10**7)); print('worked', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_seconds(process.pid) > 0
        process.communicate(b"\n")
