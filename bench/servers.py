"""Server processes of a run: started on a free port, waited for, measured from outside, and always stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
STARTS_WITHIN_SECONDS: Final = 30.0
STOPS_WITHIN_SECONDS: Final = 10.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class NotServing(Exception):
    """A server did not come up; the message ends with what it printed last."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server process and the port it listens on."""

    port: int
    pid: int

    def cpu(self) -> float:
        """CPU seconds, user and system, of the process and all its descendants so far."""
        return cpu_seconds(self.pid)


@contextmanager
def serving(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a Python server in a process of its own until the block ends. Raises NotServing with the tail of its log."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all of it can be killed, and Ctrl-C is ours to handle
        )
    try:
        _wait_until_it_listens(process, port, log)
        yield Server(port, process.pid)
    finally:
        _stop(process)


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the CPU seconds of a process and of its living and reaped descendants, to a hundredth."""
    stats = {}
    for entry in proc.glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile: its parent's reaped time holds it
            stats[int(entry.parent.name)] = entry.read_text().rpartition(")")[2].split()
    family = [pid]
    for member in family:  # grows while it is walked
        family.extend(child for child, fields in stats.items() if int(fields[1]) == member)
    return sum(sum(map(int, stats[member][11:15])) for member in family if member in stats) / _TICKS


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    state = "did not listen in time" if process.poll() is None else f"ended with code {process.returncode}"
    raise NotServing(f"The server on port {port} {state}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
