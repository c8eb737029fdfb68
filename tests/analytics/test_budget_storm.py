"""No unit too many, no drift, no leak: 32 workers on three levels that crash between any two steps, on each backend.

NORTHSTAR_BUDGET_STORM sets how many reservations there are (10000 is the full storm); without it there are enough to show it.
NORTHSTAR_BUDGET_KILLS has processes killed so many times, on the cloud backends too.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from northstar.context import RequestContext
from routing.changes import RouteDraft, create_route
from routing.resolve import resolve
from storage.opening import build_adapter
from tests.analytics import budget_writer
from tests.analytics.storm import Storm, blow, check_calm, limits
from tests.api.test_every_backend import CONFIGS
from tests.conftest import CAUSE

RESERVATIONS = {"filesystem": 320, "dynamodb": 64, "firestore": 96, "cosmos": 64}
WORKERS = 32
KILLS = os.environ.get("NORTHSTAR_BUDGET_KILLS")


@pytest.fixture(params=CONFIGS)
def backend(request, own_database, acme, settings, lab) -> str:
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 60
    config: dict[str, Any] = CONFIGS[request.param](request)
    if request.param == "filesystem":
        config = {"base_dir": str(lab / "kept")}
    for kind in ("tabular_store", "event_stream"):
        create_route(
            RouteDraft(resource_kind=kind, tenant_id="acme", env="dev", backend_type=request.param, config=config),
            CAUSE,
        )
    adapter = build_adapter(resolve("tabular_store", RequestContext("acme", "dev", "lab")), "lab")
    adapter.driver.prepare()
    name: str = request.param
    return name


@pytest.mark.line(132, 133, 135)
def test_workers_that_crash_anywhere_pass_no_limit_and_leave_nothing_behind(backend):
    reservations = int(os.environ.get("NORTHSTAR_BUDGET_STORM", RESERVATIONS[backend]))
    limits(tenant=reservations // 2, project=reservations * 3 // 8, user=reservations // 7)
    storm = Storm(reservations, WORKERS)
    blow(storm)
    print(backend, storm, check_calm(storm))
    assert storm.crashed
    assert storm.refused


@pytest.mark.crash
@pytest.mark.parametrize("backend", CONFIGS if KILLS else ["filesystem"], indirect=True)
@pytest.mark.line(132, 133, 135)
def test_writers_killed_at_any_moment_lose_nothing_acknowledged_and_leave_nothing_held(backend, lab):
    limits(tenant=6000, project=4000, user=2000)
    storm = Storm(0, 0)
    chance = random.Random(7)
    for kill in range(int(KILLS or 2)):
        told = killed(lab, str(kill), after=chance.randint(20, 120))
        storm.told[str(kill)] = sum(amount for word, amount in told if word == "ok")
        storm.tried[str(kill)] = sum(amount for word, amount in told if word == "try")
    print(backend, storm, check_calm(storm))
    assert all(storm.told.values())


def killed(lab: Path, seed: str, *, after: int) -> list[tuple[str, int]]:
    """Run a writer of our control plane, kill it after so many lines, and return what it has told."""
    home = lab / "writer"
    shutil.copytree(os.environ["NORTHSTAR_HOME"], home, dirs_exist_ok=True)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "northstar.settings.lab",
        "NORTHSTAR_HOME": str(home),
        "NORTHSTAR_ALLOWED_ROOTS": str(lab),
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
    }
    told: list[tuple[str, int]] = []
    writer = subprocess.Popen(
        [sys.executable, "-m", budget_writer.__name__, seed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with writer:
        assert writer.stdout
        for line in writer.stdout:
            told.append((line.split()[0].decode(), int(line.split()[1])))
            if len(told) == after:
                writer.kill()
    assert writer.returncode == -9, "the writer ended by itself"
    return told
