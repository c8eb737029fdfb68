"""What a running server does beside its requests: it probes its routes, says that it is there, and keeps what it counted."""

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from storage.registry import KINDS
from tests.server import Running, running_server

pytestmark = pytest.mark.server

SOON_SECONDS = 60
RECORD = "/api/v1/storage/tables/t/records/k"


def diagnostics(server: Running) -> dict[str, Any]:
    status, _, body = server.request("GET", "/api/v1/routing/diagnostics", tenant="t_system")
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


def wait_for(server: Running, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + SOON_SECONDS
    while not condition(told := diagnostics(server)):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)  # nothing announces a row to another process
    return told


def test_a_server_probes_all_routes_and_says_that_it_is_there(tmp_path):
    with running_server(tmp_path, NORTHSTAR_REPORT_SECONDS="0.2") as server:
        told = wait_for(server, lambda told: all(item["health"] == "ok" for item in told["items"]))
        assert len(told["items"]) == 3 * len(KINDS)
        (process,) = wait_for(server, lambda told: len(told["processes"]) == 1)["processes"]
        assert (process["role"], process["name"]) == ("streams", told["answered_by"]["name"])
    with sqlite3.connect(tmp_path / "northstar.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM routing_serverprocess").fetchone() == (0,)
    assert list(tmp_path.glob(".probe-*")) == []


def test_what_was_counted_is_kept_when_the_server_ends(tmp_path):
    with running_server(tmp_path, NORTHSTAR_REPORT_SECONDS="3600", NORTHSTAR_PROBE_SECONDS="0") as server:
        for _ in range(3):
            assert server.request("PUT", RECORD, {"data": {}})[0] == 200
    query = "SELECT sum(amount) FROM routing_routeusage WHERE measure = 'documents_written' AND route_id = ?"
    with sqlite3.connect(tmp_path / "northstar.sqlite3") as database:
        find = "SELECT id FROM routing_route WHERE tenant_id = 'acme' AND resource_kind = 'tabular_store'"
        (route_id,) = database.execute(find).fetchone()
        assert database.execute(query, [route_id]).fetchone() == (3,)
