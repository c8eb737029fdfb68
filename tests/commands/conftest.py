"""Commands in this process, or as a person runs them: in a process of their own; always with a home of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routing.changes import Cause, create_tenant
from routing.models import Tenant
from routing.resolve import invalidate
from storage.opening import close_adapters

CAUSE = Cause("user:alice")
PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 120

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def manage(tmp_path) -> Run:
    """Run `manage.py <arguments>` in a lab deployment whose home is empty at first; `settings` are environment variables."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "northstar.settings.lab",
            "NORTHSTAR_HOME": str(tmp_path / "home"),
            **settings,
        }
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    return run


@pytest.fixture(autouse=True)
def lab(settings, tmp_path) -> Iterator[None]:
    """A lab deployment on this test's own folder, for commands that run in this process."""
    settings.NORTHSTAR_HOME = tmp_path
    settings.NORTHSTAR_ALLOWED_ROOTS = [tmp_path]
    settings.NORTHSTAR_DEPLOYMENT = "lab"
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 0  # no commit of a test is real, so none announces itself
    invalidate()
    yield
    invalidate()
    close_adapters()


@pytest.fixture
def acme(db) -> Tenant:
    return create_tenant("acme", "Acme", "lab", CAUSE)


@pytest.fixture
def globex(db) -> Tenant:
    return create_tenant("globex", "Globex", "lab", CAUSE)


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON on standard output, which must be nothing but one document."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
