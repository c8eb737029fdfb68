"""No unit too many, no drift, no leak: 32 workers on three levels that crash between any two steps, on each backend.

NORTHSTAR_BUDGET_STORM sets how many reservations there are (10000 is the full storm); without it there are enough to show it.
"""

import os
from typing import Any

import pytest

from northstar.context import RequestContext
from routing.changes import RouteDraft, create_route
from routing.resolve import resolve
from storage.opening import build_adapter
from tests.analytics.storm import Storm, blow, check_calm, limits
from tests.api.test_every_backend import CONFIGS
from tests.conftest import CAUSE

RESERVATIONS = {"filesystem": 480, "dynamodb": 96, "firestore": 96, "cosmos": 96}
WORKERS = 32


@pytest.fixture(params=CONFIGS)
def backend(request, own_database, acme, settings) -> str:
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 60
    config: dict[str, Any] = CONFIGS[request.param](request)
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
