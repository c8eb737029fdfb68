"""The driver of a replaced route is closed after its last use, and not before."""

import gc
from typing import Any

import pytest

from routing.changes import RouteUpdate, create_route, update_route
from routing.models import Route
from storage.opening import close_adapters, open_store
from tests.routing.conftest import CAUSE, context, draft
from tests.routing.vault import VaultDocuments


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places of the drivers that were closed, in order."""
    places: list[str] = []
    monkeypatch.setattr(VaultDocuments, "close", lambda driver: places.append(driver._place))
    return places


@pytest.fixture
def route(acme, closed) -> Route:
    made = create_route(draft(config={"place": "old"}), CAUSE)
    closed.clear()  # admission builds a driver too, and closes it
    return made


def store() -> Any:
    return open_store("tabular_store", context())


def move(route: Route, place: str, closed: list[str]) -> None:
    update_route(route.pk, RouteUpdate(config={"place": place}), CAUSE)
    closed.clear()


def test_it_stays_open_for_a_request_that_still_uses_it(route, closed):
    under_way = store()
    move(route, "new", closed)
    after = store()
    gc.collect()
    assert closed == []
    assert under_way.upsert("t", "k", {}).version == 1  # the old one still works
    del under_way
    gc.collect()
    assert closed == ["old"]
    del after
    gc.collect()
    assert closed == ["old"]  # the new one is kept for the next request


def test_it_is_closed_at_once_when_nobody_uses_it(route, closed):
    store()
    move(route, "new", closed)
    store()
    gc.collect()
    assert closed == ["old"]


def test_an_open_page_of_a_listing_keeps_it_open(route, closed):
    table = store()
    table.upsert("t", "k", {})
    documents = table._documents
    del table
    move(route, "new", closed)
    store()
    gc.collect()
    assert closed == []
    del documents
    gc.collect()
    assert closed == ["old"]


def test_all_are_closed_when_the_process_ends(route, closed):
    store()
    close_adapters()
    gc.collect()
    assert closed == ["old"]
