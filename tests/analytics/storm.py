"""A storm on three levels of budgets: workers that reserve, settle, top up, count and forget, and crash between any two steps.

A crash is an exception that no code under test catches, before a step reaches the store or after: what a killed process leaves.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, local
from typing import Any
from unittest.mock import patch

from django.db import connections

from analytics.budgets.counting import record_usage
from analytics.budgets.errors import BudgetExceeded, ReservationSettled
from analytics.budgets.names import COUNTERS, OPEN
from analytics.budgets.places import Place, open_place
from analytics.budgets.policies import Terms
from analytics.budgets.projects import projects_of
from analytics.budgets.reconciling import PROVEN, reconcile
from analytics.budgets.recovery import recover_due
from analytics.budgets.reservations import commit, release, reserve, top_up
from analytics.budgets.rows import Sums, stored_sums
from analytics.budgets.setting import Target, set_policy
from northstar.context import RequestContext
from northstar.errors import Conflict, NotFound
from storage.errors import BackendUnavailable

TENANT = RequestContext("acme", "dev", "lab", actor="storm")
PROJECTS, USERS = 2, 3
MICRO = 1_000_000


class Crash(Exception):
    """The worker is gone."""


@dataclass
class Storm:
    """What is to happen, and what was tried and told to have happened, by key."""

    reservations: int
    workers: int
    crashes: float = 0.03
    seed: int = 1
    tried: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    crashed: int = 0
    lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, name: str) -> None:
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def __str__(self) -> str:
        counts = f"{len(self.tried)} keys tried, {len(self.told)} told, {self.refused} refusals, {self.crashed} crashes"
        return f"{self.reservations} reservations by {self.workers} workers: {counts}"


def limits(tenant: int, project: int, user: int) -> None:
    """Set the limits of the three levels, in units: the project's and the user's hold for each of them."""
    for level, hard in (("tenant", tenant), ("project", project), ("user", user)):
        set_policy(TENANT, Target("openai", "tokens", level), Terms(hard_limit=hard))


def blow(storm: Storm) -> None:
    """Let it happen, with a sweep and an observer beside the workers; raise what they found wrong."""
    ended = Event()
    with crashing(storm), ThreadPoolExecutor(storm.workers + 2) as pool:
        beside = [pool.submit(_closing, job, ended) for job in (_sweeping, _observing)]
        share = storm.reservations // storm.workers
        workers = [pool.submit(_closing, _work, storm, number, share) for number in range(storm.workers)]
        try:
            for worker in workers:
                worker.result()
        finally:
            ended.set()
        for job in beside:
            job.result()


def _closing(job: Any, *arguments: Any) -> None:
    try:
        job(*arguments)
    finally:
        connections.close_all()


def _work(storm: Storm, number: int, share: int) -> None:
    """Two workers do the same under the same keys, at about the same time: each thing is done once."""
    for step in range(share):
        key, chance = f"{storm.seed}/{number // 2}/{step}", random.Random()
        for _ in range(chance.choice((1, 1, 3))):  # some send the same again after a crash, some never come back
            try:
                _once(storm, key)
            except (Crash, BackendUnavailable):  # outrun for too long is one more way not to be told
                storm.add("crashed")
                continue
            except BudgetExceeded:
                storm.add("refused")
            except (Conflict, NotFound, ReservationSettled):
                pass
            break


def _once(storm: Storm, key: str) -> None:
    """Do what follows from the key."""
    chance = random.Random(key)
    project, user, amount = f"p{chance.randrange(PROJECTS)}", f"u{chance.randrange(USERS)}", chance.randint(1, 5)
    context = replace(TENANT, project_id=project, user_id=user)
    doing = chance.choice(("usage", "commit", "part", "more", "release", "forget"))
    if doing == "usage":
        storm.tried[key] = amount
        record_usage(context, "openai", "tokens", amount, key=key)
        storm.told[key] = amount
        return
    held = reserve(context, "openai", "tokens", amount, key=key, seconds=chance.choice((1, 60)))
    if doing == "release":
        release(context, "openai", "tokens", held.reservation_id)
    elif doing != "forget":
        used = {"commit": amount, "part": amount - 1, "more": amount + 2}[doing]
        if doing == "more" and chance.random() < 0.5:
            top_up(context, "openai", "tokens", held.reservation_id, 2, key=f"{key}/more")
        storm.tried[key] = used
        commit(context, "openai", "tokens", held.reservation_id, used)
        storm.told[key] = used


@contextmanager
def crashing(storm: Storm) -> Iterator[None]:
    """Have calls of workers crash before or after they reach the store; what sweeps and observes beside them does not."""
    chances, write, get = local(), Place.write, Place.get

    def maybe() -> None:
        chance = getattr(chances, "own", None)
        if chance is None:
            chance = chances.own = random.Random(f"{storm.seed}/{random.random()}")
        if not getattr(_beside, "here", False) and chance.random() < storm.crashes:
            raise Crash

    def crashing_write(place: Place, operations: Any) -> Any:
        maybe()
        outcome = write(place, operations)
        maybe()
        return outcome

    def crashing_get(place: Place, key: str) -> Any:
        maybe()
        return get(place, key)

    with patch.object(Place, "write", crashing_write), patch.object(Place, "get", crashing_get):
        yield


_beside = local()


def _sweeping(ended: Event) -> None:
    _beside.here = True
    while not ended.wait(0.2):
        sweep_all(datetime.now(UTC))


def _observing(ended: Event) -> None:
    """No look at any moment finds a counter above its limit."""
    _beside.here = True
    most = {"tenant": _limit("tenant"), "project": _limit("project"), "user": _limit("user")}
    while not ended.wait(0.05):
        for level, sums in counters():
            assert 0 <= sums.total <= most[level], (level, sums)
            assert min(sums.used, sums.reserved) >= 0, (level, sums)


def _limit(level: str) -> int:
    record = open_place(TENANT, None).get(f"budget:policy:openai:tokens:{level}")
    assert record
    return int(record.data["hard_limit"])


def places() -> list[Place]:
    """The tenant's place and those of its projects."""
    tenant = open_place(TENANT, None)
    return [tenant, *(open_place(TENANT, project) for project in projects_of(tenant))]


def counters() -> list[tuple[str, Sums]]:
    """Every counter with the name of its level."""
    found = []
    for place in places():
        for record in place.all(COUNTERS):
            level = "user" if ":user:" in record.key else "project" if place.project else "tenant"
            found.append((level, stored_sums(record.data, record.version)))
    return found


def sweep_all(now: datetime) -> None:
    for place in reversed(places()):
        recover_due(replace(TENANT, project_id=place.project), place, now)


def check_calm(storm: Storm) -> dict[str, int]:
    """After all time has run out: nothing is held, nothing owed, rows and counters agree, and the levels with one another."""
    later = datetime.now(UTC) + timedelta(days=1)
    for _ in range(2):
        sweep_all(later)
    used = dict.fromkeys(("tenant", "project", "user"), 0)
    for level, sums in counters():
        assert sums.reserved == 0, (level, sums)
        used[level] += sums.used
    for place in places():
        assert place.all(OPEN) == [], "a reservation leaked"
        proofs = reconcile(TENANT, place, repair=False)
        assert proofs, place.project
        assert [proof for proof in proofs if proof.verdict != PROVEN] == []
    assert used["tenant"] == used["project"] == used["user"], used
    assert used["tenant"] <= _limit("tenant")
    assert sum(storm.told.values()) * MICRO <= used["tenant"] <= sum(storm.tried.values()) * MICRO
    return used
