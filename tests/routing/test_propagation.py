"""A flip reaches processes that did not make it, and nobody sees half of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import transaction

from northstar.errors import NoRouteConfigured
from northstar.settings import base
from routing.chain import verify_chain
from routing.changes import RouteUpdate, create_route, update_route
from routing.models import RouteChange
from routing.resolve import invalidate, resolve
from routing.snapshot import cache
from tests.routing.conftest import CAUSE, context, draft

FLIPS = 40
SEEN_WITHIN_SECONDS = 1.0


def start(home: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "northstar.settings.lab", "NORTHSTAR_HOME": str(home)}
    command = [sys.executable, "-m", "tests.routing.flips", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen):
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return json.loads(out.splitlines()[-1])


def test_processes_see_each_flip_within_a_second_and_never_half_of_one(tmp_path):
    result_of(start(tmp_path, "prepare"))
    readers = [start(tmp_path, "read", str(FLIPS + 1)) for _ in range(2)]
    try:
        for reader in readers:
            assert reader.stdout.readline() == "ready\n"
        committed = result_of(start(tmp_path, "flip", str(FLIPS)))
        results = [result_of(reader) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    assert sum(result["looks"] for result in results) >= 1000
    for result in results:
        assert result["mixed"] == []
        # A look-up that began a second after revision n + 1 was committed must not have answered with n.
        began = {int(revision): at for revision, at in result["seen"].items()}
        assert [n for n in began if n <= FLIPS and began[n] > committed[n - 1] + SEEN_WITHIN_SECONDS] == []


def test_a_process_asks_for_the_revision_four_times_a_second_unless_told_otherwise():
    assert base.env.float("NORTHSTAR_SNAPSHOT_POLL_SECONDS", default=0.25) <= SEEN_WITHIN_SECONDS / 4


def test_only_the_clock_decides_when_the_revision_is_read_again(acme, settings, monkeypatch):
    route = create_route(draft(), CAUSE)
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 0.25
    invalidate()
    assert resolve("tabular_store", context()).revision == 1
    update_route(route.pk, RouteUpdate(tier="x"), CAUSE)  # not committed in this test, so this process is not told
    monkeypatch.setattr("routing.resolve.monotonic", lambda: cache.next_check - 0.001)
    assert resolve("tabular_store", context()).revision == 1
    now = cache.next_check
    monkeypatch.setattr("routing.resolve.monotonic", lambda: now)
    monkeypatch.setattr("routing.snapshot.monotonic", lambda: now)
    assert resolve("tabular_store", context()).revision == 2


def test_a_change_that_is_rolled_back_was_never_there(acme):
    with transaction.atomic():
        create_route(draft(), CAUSE)
        transaction.set_rollback(True)
    with pytest.raises(NoRouteConfigured):
        resolve("tabular_store", context())
    assert not RouteChange.objects.filter(action="ROUTE_CREATED").exists()
    assert verify_chain().ok
