"""A deployment as in production: WSGI workers of one server, over PostgreSQL, with or without Redis."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server import HOST, PROJECT, Running, environment_of, free_port, wait_until_up
from tests.stack.processes import LEASH

WORKERS = 4
SEEN_WITHIN_SECONDS = 60
PREPARED_WITHIN_SECONDS = 120


@contextmanager
def running_workers(home: Path, database_url: str, redis_url: str = "", **environment: str) -> Iterator[Running]:
    """Serve the cast by four workers. `environment` adds settings."""
    home.mkdir(parents=True, exist_ok=True)
    settings = {"DJANGO_SETTINGS_MODULE": "northstar.settings.lab", "DATABASE_URL": database_url}
    if redis_url:
        settings["REDIS_URL"] = redis_url
    sees = environment_of(home, **settings, **environment)
    port, log = free_port(), home / "workers.log"
    command = ["-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--workers", str(WORKERS)]
    command += ["--blocking-threads", "8", "--no-ws", "--workers-kill-timeout", "5", "tests.leashed_wsgi:application"]
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), ""]
    with log.open("wb") as sink:
        process = subprocess.Popen([*leash, sys.executable, *command], cwd=PROJECT, env=sees, stdout=sink, stderr=sink)
    running = Running(port, home, _cast(sees), process, log)
    try:
        wait_until_up(running)
        yield running
    finally:
        running.stop()


def _cast(sees: dict[str, str]) -> dict[str, str]:
    made = subprocess.run(
        [sys.executable, "-m", "tests.serve_cast"],
        check=False,
        cwd=PROJECT,
        env=sees,
        capture_output=True,
        text=True,
        timeout=PREPARED_WITHIN_SECONDS,
    )
    assert made.returncode == 0, made.stderr
    tokens: dict[str, str] = json.loads(made.stdout.splitlines()[-1])
    return tokens


def revisions(server: Running) -> tuple[str, int]:
    """Which of the workers answers, and which revision it knows."""
    status, _, body = server.request("GET", "/readyz")
    answer = json.loads(body)
    assert status == 200, answer
    return answer["process"], answer["checks"]["snapshot"]["revision"]


def seen_by_all(server: Running, revision: int) -> dict[str, int]:
    """Ask until all workers know the revision, and return what each knew last; give up after a minute."""
    known: dict[str, int] = {}
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while time.monotonic() < deadline:
        process, of_process = revisions(server)
        known[process] = of_process
        if len(known) == WORKERS and min(known.values()) >= revision:
            break
    return known
