"""`kill -9` at every step of storing, completing and deleting media: one sweep later everything is whole or gone."""

import json
import os
import subprocess
import sys

import pytest

from tests.server import PROJECT, environment_of

pytestmark = pytest.mark.crash
KILLS = int(os.environ.get("NORTHSTAR_TEST_MEDIA_KILLS", "50"))


def test_a_kill_at_any_step_leaves_nothing_that_one_sweep_does_not_mend(tmp_path):
    command = [sys.executable, "-m", "tests.crash.media_life", str(tmp_path), str(KILLS)]
    environment = environment_of(tmp_path, NORTHSTAR_ALLOWED_ROOTS=str(tmp_path))
    ended = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["problems"] == []
    assert sum(told["kills"].values()) >= KILLS
    assert set(told["kills"]) == {"store", "delete", "complete"}
