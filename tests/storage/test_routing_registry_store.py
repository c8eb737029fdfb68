"""The routing registry, on every document backend: what was mirrored last stays, whoever writes late."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, VersionConflict
from northstar.modes import LAB
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.kinds.routing_registry_store import (
    EARLIER_ANCHORS,
    ROUTES,
    SECTIONS,
    TENANTS,
    Anchor,
    Entry,
    Resumption,
    RoutingRegistryStore,
    Trail,
    route_name,
)
from storage.registry import driver_class
from tests.api.test_every_backend import CONFIGS

OpenRegistry = Callable[..., RoutingRegistryStore]
DATA = {"backend_type": "vault", "config": {"place": "here", "pool": 4}, "revision": 3, "project_id": None}


@pytest.fixture(params=CONFIGS)
def open_registry(request, lab) -> Iterator[OpenRegistry]:
    """Opens t_system's registry; each call has a driver of its own, as another process would."""
    driver = driver_class("routing_registry_store", request.param)
    config = driver.Config.model_validate(CONFIGS[request.param](request))
    drivers = []

    def open_it(tenant: str = "t_system") -> RoutingRegistryStore:
        drivers.append(driver(config, mode=LAB, epoch=1))
        drivers[-1].prepare()
        context = RequestContext(tenant, "dev", LAB)
        served_by = ServedBy(1, 1, request.param)
        return RoutingRegistryStore(
            GuardedDocuments(drivers[-1], scope=Scope.of(context), served_by=served_by), context
        )

    yield open_it
    for opened in drivers:
        opened.close()


@pytest.fixture
def registry(open_registry: OpenRegistry) -> RoutingRegistryStore:
    return open_registry()


def entry(number: int, name: str = "tabular_store#acme#dev", **changes) -> Entry:
    return Entry(ROUTES, name, number, {**DATA, **changes})


def test_everything_saved_comes_back_in_order_and_by_section(registry, open_registry):
    names = [route_name("tabular_store", "acme", "dev", project) for project in (None, "p1", "é")]
    registry.save_many([entry(7, name) for name in reversed(names)])
    registry.save(Entry(TENANTS, "acme", 7, {"mode": "saas"}))
    loaded = list(open_registry().load_all())
    assert loaded == [entry(7, name) for name in sorted(names, key=str.encode)]
    assert [len(list(registry.load_all(section))) for section in SECTIONS] == [1, 0, 3, 0]


def test_more_entries_than_a_page_are_all_saved_and_loaded(registry):
    names = [f"tabular_store#acme#e{n:03}" for n in range(450)]
    assert registry.save_many([entry(1, name) for name in names]) == [True] * 450
    assert [loaded.name for loaded in registry.load_all()] == names


def test_a_late_write_never_overwrites_a_newer_one(registry):
    assert registry.save(entry(8, revision=4))
    assert not registry.save(entry(7, revision=3))
    assert not registry.save(entry(8, revision=4))
    assert list(registry.load_all()) == [entry(8, revision=4)]


def test_what_was_damaged_is_put_right_by_the_same_number(registry):
    registry.save(entry(8, backend_type="damaged"))
    assert registry.save(entry(8))
    assert list(registry.load_all()) == [entry(8)]


def test_what_is_gone_is_not_loaded_and_no_late_write_brings_it_back(registry):
    registry.save(entry(7))
    assert registry.delete(ROUTES, entry(7).name, 9)
    assert not registry.save(entry(8))
    assert list(registry.load_all()) == []
    assert registry.save(entry(10))


def test_of_many_writers_the_latest_number_wins(open_registry):
    registries = [open_registry() for _ in range(4)]

    def write(first):
        for number in range(first, 25, 4):
            registries[first - 1].save(entry(number, revision=number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(registries[0].load_all()) == [entry(24, revision=24)]


def test_a_trail_is_kept_as_it_was_given(registry, open_registry):
    assert registry.trail() is None
    resumed = Resumption(3, Anchor(2, "b" * 64), datetime(2026, 11, 20, 12, tzinfo=UTC))
    kept = registry.keep_trail(Trail(Anchor(4, "d" * 64), (Anchor(1, "a" * 64),), resumed))
    assert open_registry().trail() == kept
    assert (kept.mirrored, kept.anchors) == (4, (Anchor(4, "d" * 64),))


def test_a_trail_that_another_process_moved_on_is_not_overwritten(registry, open_registry):
    first = registry.keep_trail(Trail(Anchor(1, "a")))
    open_registry().keep_trail(first.moved_on(Anchor(2, "b")))
    with pytest.raises(VersionConflict):
        registry.keep_trail(first.moved_on(Anchor(3, "c")))
    with pytest.raises(AlreadyExists):
        registry.keep_trail(replace(first, version=0))


def test_another_tenant_sees_nothing(registry, open_registry):
    registry.save(entry(7))
    registry.keep_trail(Trail(Anchor(1, "a")))
    globex = open_registry("globex")
    assert (list(globex.load_all()), globex.trail()) == ([], None)


def test_anchors_are_bounded_and_reach_back_to_the_beginning():
    trail = Trail(Anchor(1, "1"))
    for number in range(2, 10_000):
        trail = trail.moved_on(Anchor(number, str(number)))
    assert len(trail.earlier) <= EARLIER_ANCHORS
    assert trail.earlier[0].number == 1
    assert trail.earlier[-1].number == 9_998
