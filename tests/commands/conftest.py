"""Commands in this process, or as a person runs them: in a process of their own; always with a home of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 120

Run = Callable[..., subprocess.CompletedProcess[str]]


def run_manage(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py <arguments>` in a lab deployment on this home; `settings` are environment variables."""
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "northstar.settings.lab",
        "NORTHSTAR_HOME": str(home),
        **settings,
    }
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture
def manage(tmp_path) -> Run:
    """Run commands one after another on a home that is empty at first."""
    return partial(run_manage, tmp_path / "home")


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON on standard output, which must be nothing but one document."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
