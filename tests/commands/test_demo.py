"""The demo runs for real: its own server, real input, and every promise checked."""

import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.core.management import CommandError, call_command

from tests.commands.conftest import PROJECT, Run, document, run_manage

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Played:
    """A demo that tidied up, and then one on the same home that kept its data."""

    manage: Run
    first: Any
    objects_after_first: list[str]
    second: Any
    objects_after_second: list[str]


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Played:
    home = tmp_path_factory.mktemp("home")
    manage = partial(run_manage, home)
    first = document(manage("demo", "--format", "json"))
    left = _objects(home)
    return Played(manage, first, left, document(manage("demo", "--format", "json", "--keep")), _objects(home))


def _objects(home):
    return [path.name for path in (home / "demo").glob("**/blobs/**/*") if path.is_file()]


def test_every_promise_holds(played):
    assert played.first["ok"], [check for check in played.first["checks"] if not check["ok"]]
    assert len({check["part"] for check in played.first["checks"]}) == 7


def test_a_second_run_makes_and_keeps_the_same_promises(played):
    assert played.second["ok"], [check for check in played.second["checks"] if not check["ok"]]
    first, second = ([check["promise"] for check in run["checks"]] for run in (played.first, played.second))
    assert first == second


def test_its_objects_are_gone_unless_it_was_told_to_keep_them(played):
    assert played.objects_after_first == []
    assert "README.md" in played.objects_after_second


def test_its_keys_open_nothing_afterwards(played):
    keys = document(played.manage("apikey", "list", "--format", "json"))
    assert {key["state"] for key in keys if key["label"] == "demo"} == {"revoked"}
    assert all(key["expires_at"] for key in keys if key["label"] == "demo"), "those of a demo that is killed"


def test_it_leaves_nothing_that_the_doctor_would_mend(played):
    assert document(played.manage("doctor", "--format", "json"))["findings"] == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_ended_in_the_middle_it_takes_its_server_along(tmp_path, number, code):
    environment = {**os.environ, "NORTHSTAR_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "northstar.settings.lab"}
    command = [sys.executable, "-u", "manage.py", "demo"]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" at ")[1].split(";")[0]
        with urlopen(f"{url}/healthz") as answer:
            assert answer.status == 200
        server = os.pidfd_open(_eldest_child(process.pid))
        process.send_signal(number)
        assert process.wait(60) == code
    assert _ended(server)
    with pytest.raises(URLError):
        urlopen(f"{url}/healthz")


def _eldest_child(pid: int) -> int:
    """The server: git comes and goes after it."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _ended(process: int) -> bool:
    """Wait for the end of a process that is not ours to reap, and let go of its descriptor."""
    try:
        return bool(select.select([process], [], [], 30)[0])
    finally:
        os.close(process)


def test_outside_of_a_lab_it_refuses(settings):
    settings.NORTHSTAR_DEPLOYMENT = "production"
    with pytest.raises(CommandError, match="lab deployment only"):
        call_command("demo")
