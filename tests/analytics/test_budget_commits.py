"""Moves of one place that come together share a write, and each is answered as if it had come alone."""

from typing import Any

import pytest

from analytics.budgets.commits import new_commits, waiting
from analytics.budgets.names import TABLE
from northstar.errors import AlreadyExists
from storage.documents import ABSENT, Increment, Put, Totals
from storage.errors import BackendUnavailable, CeilingReached
from storage.kinds.tabular_store import TabularStore
from storage.opening import open_store


@pytest.fixture
def store(tenant_context) -> TabularStore:
    opened: TabularStore = open_store("tabular_store", tenant_context)
    return opened


@pytest.fixture
def writes(monkeypatch) -> list[int]:
    """How many operations each write of the store had."""
    found, write = list[int](), TabularStore.write

    def counted(store: TabularStore, table: str, operations: Any, **more: Any) -> Any:
        found.append(len(operations))
        return write(store, table, operations, **more)

    monkeypatch.setattr(TabularStore, "write", counted)
    return found


def usage(store, name, amount=1, limit=100, **floors):
    counter = Increment("counter", {"total": amount}, ceilings={"total": limit} if amount > 0 else {}, floors=floors)
    return waiting(store, [Put(name, {"amount": amount}, ABSENT), counter])


def commit(batch):
    return new_commits()._commit(batch)


def total(answer):
    return answer[1].values["total"] if isinstance(answer, list) and isinstance(answer[1], Totals) else type(answer)


def test_twenty_moves_share_one_write_and_each_hears_its_own_total(store, writes):
    answers = commit([usage(store, f"row{number}", number + 1, limit=1000) for number in range(20)])
    assert [total(answer) for answer in answers] == [sum(range(number + 2)) for number in range(20)]
    assert writes == [21]
    assert store.get(TABLE, "counter").data == {"total": 210}


def test_as_many_as_fit_are_let_in_and_the_others_are_told_alone(store):
    answers = commit([usage(store, f"row{number}", 3, limit=10) for number in range(5)])
    assert [total(answer) for answer in answers] == [3, 6, 9, CeilingReached, CeilingReached]
    assert store.get(TABLE, "counter").data == {"total": 9}


def test_one_that_exists_already_spoils_nothing_for_the_others(store):
    commit([usage(store, "row1")])
    answers = commit([usage(store, f"row{number}") for number in range(3)])
    assert [total(answer) for answer in answers] == [2, AlreadyExists, 3]


def test_what_does_not_fit_one_write_goes_into_the_next(store, writes):
    commit([usage(store, f"row{number}") for number in range(60)])
    assert writes == [50, 12]
    commit([usage(store, "row60"), usage(store, "row61", -1, total=0), usage(store, "row60")])
    assert writes[2:] == [2, 2, 2]


def test_a_store_that_is_away_is_told_to_all_that_shared_the_write_and_nothing_is_sent_twice(store, monkeypatch):
    sent = []

    def away(*_, **__):
        sent.append(1)
        raise BackendUnavailable("away")

    monkeypatch.setattr(TabularStore, "write", away)
    assert [type(answer) for answer in commit([usage(store, f"row{number}") for number in range(3)])] == [
        BackendUnavailable
    ] * 3
    assert len(sent) == 1
