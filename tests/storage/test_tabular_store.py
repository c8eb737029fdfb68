"""Records by table and key: whole, counted exactly, listed in order, and each tenant's own."""

import threading
from decimal import Decimal

import pytest

from northstar.errors import AlreadyExists, InvalidRequest, VersionConflict
from storage.documents import ABSENT, Delete, Increment, Put
from storage.errors import CeilingReached, FloorReached, InvalidKey, InvalidValue, ValueTooLarge
from storage.kinds.tabular_store import DeleteRecord, PutRecord, TabularStore
from tests.storage.stores import FilesystemStores


@pytest.fixture
def open_tables(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    stores = FilesystemStores(tmp_path)
    yield lambda tenant="acme": stores.open(TabularStore, "tabular_store", tenant)
    stores.close()


@pytest.fixture
def tables(open_tables):
    return open_tables()


def test_a_record_comes_back_as_it_was_put(tables):
    data = {"name": "Ada", "limit": Decimal("10.50"), "tags": ["a", None], "big": 2**80}
    stored = tables.upsert("policies", "a/b#c d", data)
    assert (stored.key, stored.data, stored.version) == ("a/b#c d", data, 1)
    assert tables.get("policies", "a/b#c d") == stored


def test_a_missing_record_is_none_and_not_an_error(tables):
    assert tables.get("policies", "nobody") is None


def test_an_upsert_replaces_all_fields_and_raises_the_version(tables):
    tables.upsert("policies", "p1", {"a": 1, "b": 2})
    assert tables.upsert("policies", "p1", {"b": 3}).version == 2
    assert tables.get("policies", "p1").data == {"b": 3}


def test_a_stale_version_changes_nothing(tables):
    tables.upsert("policies", "p1", {"a": 1})
    tables.upsert("policies", "p1", {"a": 2}, expect=1)
    with pytest.raises(VersionConflict):
        tables.upsert("policies", "p1", {"a": 3}, expect=1)
    with pytest.raises(AlreadyExists):
        tables.upsert("policies", "p1", {"a": 3}, expect=ABSENT)
    assert tables.get("policies", "p1").data == {"a": 2}


def test_a_delete_twice_is_harmless_and_says_whether_it_was_there(tables):
    tables.upsert("policies", "p1", {})
    assert (tables.delete("policies", "p1"), tables.delete("policies", "p1")) == (True, False)
    assert tables.get("policies", "p1") is None


def test_a_prefix_lists_its_keys_and_no_neighbours(tables):
    for key in ("policx", "policy", "policy_", "policy_2", "policy_10", "policz"):
        tables.upsert("policies", key, {"key": key})
    page = tables.list_by_prefix("policies", "policy_")
    assert [record.key for record in page.records] == ["policy_", "policy_10", "policy_2"]
    assert page.next_after is None


@pytest.mark.parametrize("limit", [1, 2, 5, 7])
def test_pages_of_any_size_list_every_record_once(tables, limit):
    keys = sorted((f"k{n}é" for n in range(7)), key=str.encode)
    for key in keys:
        tables.upsert("policies", key, {})
    seen, after = [], None
    while True:
        page = tables.list_by_prefix("policies", limit=limit, after=after)
        seen += [record.key for record in page.records]
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == keys


def test_a_table_and_one_whose_name_begins_alike_stay_apart(tables):
    tables.upsert("policy", "k", {"mine": True})
    assert tables.list_by_prefix("policy2").records == ()
    assert tables.get("polic", "k") is None


@pytest.mark.line(132)
def test_many_threads_count_exactly(open_tables):
    stores = [open_tables(), open_tables()]

    def count(writer):
        for _ in range(50):
            stores[writer % 2].increment("budgets", "tokens", {"used": 1})

    threads = [threading.Thread(target=count, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].get("budgets", "tokens").data == {"used": 400}


def test_a_bound_that_would_be_passed_changes_nothing(tables):
    tables.increment("budgets", "tokens", {"used": 8}, ceilings={"used": 10})
    with pytest.raises(CeilingReached):
        tables.increment("budgets", "tokens", {"used": 3}, ceilings={"used": 10})
    with pytest.raises(FloorReached):
        tables.increment("budgets", "tokens", {"used": -9}, floors={"used": 0})
    assert tables.get("budgets", "tokens").data == {"used": 8}


def test_an_increment_repeated_with_its_operation_id_counts_once(tables):
    first = tables.increment("budgets", "tokens", {"used": Decimal("1.5")}, operation_id="call-1")
    assert tables.increment("budgets", "tokens", {"used": Decimal("1.5")}, operation_id="call-1") == first
    assert tables.get("budgets", "tokens").data == {"used": Decimal("1.5")}


def test_an_increment_hits_the_fields_of_a_record_and_leaves_the_others(tables):
    tables.upsert("budgets", "tokens", {"used": 1, "name": "tokens"})
    totals = tables.increment("budgets", "tokens", {"used": 2})
    assert (totals.values, totals.version) == ({"used": 3}, 2)
    with pytest.raises(InvalidValue):
        tables.increment("budgets", "tokens", {"name": 1})
    assert tables.get("budgets", "tokens").data == {"used": 3, "name": "tokens"}


def test_each_item_of_a_batch_has_an_outcome_of_its_own(tables):
    tables.upsert("policies", "old", {"a": 1})
    items = [
        PutRecord("new", {"a": 1}),
        PutRecord("old", {"a": 2}, expect=7),
        PutRecord("bad", {"a": float("nan")}),
        DeleteRecord("gone"),
        PutRecord("huge", {"a": "x" * 400_000}),
    ]
    outcomes = tables.batch("policies", items)
    codes = [(outcome.key, outcome.outcome, outcome.error and outcome.error.code) for outcome in outcomes]
    assert codes == [
        ("new", "stored", None),
        ("old", "error", "VERSION_CONFLICT"),
        ("bad", "error", "INVALID_REQUEST"),
        ("gone", "deleted", None),
        ("huge", "error", "TOO_LARGE"),
    ]
    assert tables.get("policies", "old").data == {"a": 1}


def test_a_batch_with_a_key_twice_writes_nothing(tables):
    with pytest.raises(InvalidRequest, match="twice"):
        tables.batch("policies", [PutRecord("a", {}), DeleteRecord("a")])
    assert tables.get("policies", "a") is None


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_a_size(tables, count):
    with pytest.raises((InvalidRequest, ValueTooLarge)):
        tables.batch("policies", [PutRecord(str(n), {}) for n in range(count)])


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 901, "\ud800"])
def test_a_bad_key_is_refused_before_anything_is_written(tables, key):
    with pytest.raises(InvalidKey):
        tables.upsert("policies", key, {})


def test_another_tenant_sees_nothing(open_tables):
    open_tables("acme").upsert("policies", "p1", {"secret": 1})
    globex = open_tables("globex")
    assert globex.get("policies", "p1") is None
    assert globex.list_by_prefix("policies").records == ()
    assert globex.delete("policies", "p1") is False
    assert open_tables("acme").get("policies", "p1") is not None


def test_writes_of_one_table_take_place_together_or_not_at_all(tables):
    tables.write("t", [Put("a", {"n": 1}, ABSENT), Put("b", {"n": 2})])
    with pytest.raises(VersionConflict):
        tables.write("t", [Put("a", {"n": 3}), Delete("b", 7)])
    assert [record and record.data for record in tables.get_many("t", ["b", "c", "a"])] == [{"n": 2}, None, {"n": 1}]


def test_a_listing_can_be_read_from_its_end(tables):
    tables.write("t", [Put(f"k{number}", {}) for number in range(5)] + [Put("z", {})])
    page = tables.list_by_prefix("t", "k", limit=2, reverse=True)
    assert [record.key for record in page.records] == ["k4", "k3"]
    rest = tables.list_by_prefix("t", "k", after=page.next_after, reverse=True)
    assert ([record.key for record in rest.records], rest.next_after) == (["k2", "k1", "k0"], None)


def test_many_records_are_read_in_the_order_asked_and_written_all_or_none(tables):
    tables.upsert("policies", "p1", {"n": 1})
    with pytest.raises(AlreadyExists):
        tables.write("policies", [Put("p2", {"n": 5}), Put("p1", {}, ABSENT)])
    tables.write("policies", [Put("p2", {"n": 2}, ABSENT), Increment("p1", {"n": 2})])
    found = tables.get_many("policies", ["p2", "nobody", "p1"])
    assert [record and record.data for record in found] == [{"n": 2}, None, {"n": 3}]
