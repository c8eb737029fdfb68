"""Every backend answers a random program as the filesystem does, step by step, while time passes and documents expire."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import time_machine

from northstar.modes import LAB
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.registry import driver_class
from tests.api.test_every_backend import CONFIGS
from tests.contract.random_programs import Program, differences

STEPS = 120
TICK = timedelta(milliseconds=1)
"""Between two steps: a document that others have written at this very moment takes another path in some drivers."""
PAUSE = timedelta(seconds=7)
CLOUDS = [name for name in CONFIGS if name != "filesystem"]


@pytest.fixture
def opened(lab) -> Iterator[Any]:
    """Opens acme's documents on a backend, in a place of the test's own."""
    drivers = []

    def open_on(backend: str, request: pytest.FixtureRequest) -> GuardedDocuments:
        driver = driver_class("tabular_store", backend)
        config = driver.Config.model_validate(CONFIGS[backend](request))
        drivers.append(driver(config, mode=LAB, epoch=1))
        drivers[-1].prepare()
        return GuardedDocuments(drivers[-1], scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, backend))

    yield open_on
    for driver in drivers:
        driver.close()


@pytest.mark.line(18, 24, 27, 29, 33, 34, 38, 48, 55, 60, 61, 79, 133, 135)
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("backend", CLOUDS)
def test_a_random_program_is_answered_alike(opened, request, backend, seed):
    programs = {name: Program(Random(seed), opened(name, request)) for name in ("filesystem", backend)}
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        found = differences(programs, STEPS, lambda number: clock.shift(PAUSE if number % 10 == 9 else TICK))
    assert found == []
