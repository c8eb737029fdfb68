"""The demo runs for real: its own server, real input, and every promise checked."""

import os
import signal
import subprocess
import sys
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.core.management import CommandError, call_command

from tests.commands.conftest import PROJECT, document

pytestmark = pytest.mark.server


def test_every_promise_holds_and_a_second_run_works_and_the_doctor_finds_nothing(manage):
    first = document(manage("demo", "--format", "json"))
    assert first["ok"], [check for check in first["checks"] if not check["ok"]]
    second = document(manage("demo", "--format", "json"))
    promises = [check["promise"] for check in first["checks"]]
    assert [check["promise"] for check in second["checks"]] == promises
    assert len({check["part"] for check in first["checks"]}) == 5
    assert document(manage("doctor", "--format", "json"))["findings"] == []


def test_it_leaves_no_key_and_nothing_but_events_unless_told_to(manage, tmp_path):
    document(manage("demo", "--format", "json"))
    keys = document(manage("apikey", "list", "--format", "json"))
    assert {key["state"] for key in keys if key["label"] == "demo"} == {"revoked"}
    assert _objects(tmp_path) == []
    document(manage("demo", "--format", "json", "--keep"))
    assert "README.md" in {path.name for path in _objects(tmp_path)}


def _objects(tmp_path):
    return [path for path in (tmp_path / "home" / "demo").glob("**/blobs/**/*") if path.is_file()]


def test_ended_in_the_middle_it_takes_its_server_along(tmp_path):
    environment = {**os.environ, "NORTHSTAR_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "northstar.settings.lab"}
    command = [sys.executable, "-u", "manage.py", "demo"]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" at ")[1].split(";")[0]
        with urlopen(f"{url}/healthz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    with pytest.raises(URLError):
        urlopen(f"{url}/healthz")


def test_outside_of_a_lab_it_refuses(settings):
    settings.NORTHSTAR_DEPLOYMENT = "production"
    with pytest.raises(CommandError, match="lab deployment only"):
        call_command("demo")
