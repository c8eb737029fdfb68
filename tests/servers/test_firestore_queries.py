"""The Firestore test server's queries through the real SDK: filters, order, cursors, indexes, aggregations, listings."""

import math
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, BaseFilter, FieldFilter, Or

from tests.servers.firestore_lab import OWNER, SERVERS, Lab, ids, numbered

pytestmark = pytest.mark.parametrize("lab", SERVERS, indirect=True)

IN_ORDER: dict[str, Any] = {
    "a null": None,
    "b false": False,
    "c true": True,
    "d nan": math.nan,
    "e least": -math.inf,
    "f one": 1,
    "g more": 1.5,
    "h 2^53": float(2**53),
    "i 2^53+1": 2**53 + 1,
    "j text": "Z",
    "k longer": "a",
    "l accent": "é",
    "m bmp": "\uffff",
    "n emoji": "😀",
    "o bytes": b"\x00",
    "p point": firestore.GeoPoint(1, 2),
    "q empty": [],
    "r list": [None],
    "s list": [1, 2],
    "t map": {},
    "u map": {"a": 1},
    "v map": {"a": 1, "b": 0},
    "w map": {"b": 0},
}
"""A document of each kind of value; their names are in the order of the values."""


@pytest.fixture
def values(lab: Lab) -> Lab:
    batch = lab.client.batch()
    for name, value in IN_ORDER.items():
        batch.set(lab.client.document(f"things/{name}"), {"n": value})
    batch.set(lab.client.document("things/0 without"), {"m": 1})
    batch.commit()
    return lab


def letters(query: Any) -> str:
    return "".join(each[0] for each in ids(query))


def test_values_are_ordered_across_types_and_documents_without_the_field_are_left_out(values: Lab):
    things = values.client.collection("things")
    assert ids(things.order_by("n")) == list(IN_ORDER)
    assert ids(things.order_by("n", direction="DESCENDING")) == list(reversed(IN_ORDER))


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("==", 1.0, "f"),
        ("==", None, "a"),
        ("==", math.nan, "d"),
        ("!=", 1, "bcdeghijklmnopqrstuvw"),
        ("!=", None, "bcdefghijklmnopqrstuvw"),
        ("<", 1.5, "ef"),
        (">", 2**53, "i"),
        (">=", "é", "lmn"),
        ("<=", [1, 2], "qrs"),
        ("<", {"b": 0}, "tuv"),
        ("in", [1, "a", None, math.nan], "fk"),
        ("not-in", [1, "a"], "bcdeghijlmnopqrstuvw"),
        ("not-in", [1, None], ""),
        ("array_contains", 2, "s"),
        ("array_contains_any", [None], ""),
        ("array_contains_any", [2.0, None], "s"),
    ],
)
def test_a_filter_compares_within_the_type_of_its_value(values: Lab, operator: str, value: Any, found: str):
    assert letters(values.client.collection("things").where(filter=FieldFilter("n", operator, value))) == found


def test_names_are_ordered_part_by_part_in_bytes(lab: Lab):
    for path in ("things/é", "things/a!", "things/a", "things/Z", "things/a/things/z", "things/ab"):
        lab.client.document(path).set({})
    group = lab.client.collection_group("things")
    found = [each.reference.path for each in group.stream()]
    assert found == ["things/Z", "things/a", "things/a/things/z", "things/a!", "things/ab", "things/é"]


def test_cursors_take_up_where_a_page_ended(lab: Lab):
    things = numbered(lab)
    query = things.order_by("n").order_by("z", direction="DESCENDING")
    assert ids(query.limit(4)) == ["0", "3", "6", "1"]
    assert ids(query.start_after({"n": 1, "z": 7}).limit(2)) == ["4", "7"]
    assert ids(query.start_at({"n": 1}).end_before({"n": 2})) == ["1", "4", "7"]
    assert ids(query.start_at({"n": 1, "z": 4}).end_at({"n": 2, "z": 6})) == ["4", "7", "2"]
    assert ids(query.offset(7)) == ["5", "8"]
    named = things.order_by("__name__")
    assert ids(named.start_after([things.document("3")]).end_at([things.document("5")])) == ["4", "5"]


def test_a_name_filter_bounds_a_scan(lab: Lab):
    things = numbered(lab)
    query = things.where(filter=FieldFilter("__name__", ">", things.document("3"))).where(
        filter=FieldFilter("n", "==", 1)
    )
    assert ids(query) == ["4", "7"]
    with pytest.raises(exceptions.InvalidArgument):
        lab.query(
            where={"field_filter": {"field": {"field_path": "__name__"}, "op": "EQUAL", "value": {"string_value": "3"}}}
        )


def test_fields_of_inequalities_order_the_answer_by_their_names(lab: Lab):
    things = numbered(lab)
    assert ids(things.where(filter=FieldFilter("z", "<", 3)).where(filter=FieldFilter("n", ">", 0))) == ["7", "8"]
    assert ids(things.where(filter=FieldFilter("z", ">", 4)).order_by("n", direction="DESCENDING")) == [
        "2",
        "1",
        "0",
        "3",
    ]


def test_filters_are_joined_with_and_and_or(lab: Lab):
    things = numbered(lab)
    either = Or([FieldFilter("z", "==", 8), And([FieldFilter("n", "==", 1), FieldFilter("z", "<", 3)])])
    assert ids(things.where(filter=either)) == ["7", "0"]


@pytest.mark.parametrize(
    "filters",
    [
        [FieldFilter("n", "!=", 1), FieldFilter("n", "!=", 2)],
        [FieldFilter("n", "not-in", [1]), FieldFilter("z", "in", [1])],
        [FieldFilter("n", "array_contains", 1), FieldFilter("z", "array_contains", 1)],
        [FieldFilter("n", "in", list(range(6))), FieldFilter("z", "in", list(range(6)))],
        [FieldFilter("n", "in", list(range(31)))],
        [FieldFilter("n", "not-in", list(range(11)))],
        [FieldFilter("n", "in", [])],
        [FieldFilter("__x__", "==", 1)],
    ],
)
def test_filters_that_the_service_does_not_combine_are_refused(lab: Lab, filters: list[BaseFilter]):
    with pytest.raises(exceptions.InvalidArgument):
        ids(lab.client.collection("things").where(filter=And(filters)))


@pytest.mark.parametrize(
    "query",
    [
        {"limit": -1},
        {"offset": -1},
        {"order_by": [{"field": {"field_path": "__name__"}}, {"field": {"field_path": "n"}}]},
        {"order_by": [{"field": {"field_path": "n"}}], "start_at": {"values": [{"null_value": 0}] * 2}},
        {"order_by": [{"field": {"field_path": "__name__"}}], "start_at": {"values": [{"string_value": "3"}]}},
        {"from_": [{"collection_id": "__x__"}]},
        {"from_": [{"all_descendants": True}], "order_by": [{"field": {"field_path": "n"}}]},
    ],
)
def test_a_query_that_breaks_a_rule_is_refused(lab: Lab, query: dict[str, Any]):
    with pytest.raises(exceptions.InvalidArgument):
        lab.query(**query)


def test_a_projection_returns_the_named_fields_alone(lab: Lab):
    lab.client.document("things/a").set({"m": {"a": 1, "b": 2}, "x": 3})
    [found] = lab.client.collection("things").select(["m.b", "missing"]).stream()
    assert found.to_dict() == {"m": {"b": 2}}
    [named] = lab.client.collection("things").select([]).stream()
    assert named.to_dict() == {}


def results(query: Any) -> dict[str, Any]:
    return {each.alias: each.value for each in query.get()[0]}


def test_counts_sums_and_averages_take_documents_that_have_every_field(lab: Lab):
    things = lab.client.collection("things")
    documents: dict[str, dict[str, Any]] = {"a": {"x": 1, "y": 1}, "b": {"x": 2.5}, "c": {"x": "text", "y": 2}, "d": {}}
    for name, fields in documents.items():
        things.document(name).set(fields)
    assert results(things.count()) == {"field_1": 4}
    assert results(things.limit(3).count(alias="count")) == {"count": 3}
    assert results(things.sum("x").avg("x")) == {"field_1": 3.5, "field_2": 1.75}
    assert results(things.count(alias="count").sum("y", alias="sum")) == {"count": 2, "sum": 3}


def test_a_sum_of_integers_that_is_too_large_is_a_double(lab: Lab):
    things = lab.client.collection("things")
    things.document("a").set({"x": 2**63 - 1})
    assert results(things.sum("x")) == {"field_1": 2**63 - 1}
    things.document("b").set({"x": 1})
    assert results(things.sum("x")) == {"field_1": float(2**63)}


def test_keys_are_not_scanned_downwards(lab: Lab):
    with pytest.raises(exceptions.FailedPrecondition, match="descending key scans"):
        ids(lab.client.collection("things").order_by("__name__", direction="DESCENDING"))


def test_a_listing_pages_through_documents_and_shows_those_that_are_missing(lab: Lab):
    for path in ("things/a", "things/b/parts/x", "things/c", "things/d"):
        lab.client.document(path).set({})
    request = {"parent": lab.name(""), "collection_id": "things", "page_size": 2, "show_missing": True}
    pages = list(lab.api.list_documents(request, metadata=OWNER).pages)
    names = [[each.name[-1] for each in page.documents] for page in pages]
    assert names == [["a", "b"], ["c", "d"], []], "a full page promises another, which may be empty"
    assert "update_time" not in pages[0].documents[1]
    assert [each.id for each in lab.client.collection("things").list_documents()] == ["a", "b", "c", "d"]
    with pytest.raises(exceptions.InvalidArgument):
        lab.api.list_documents({**request, "page_token": "zz"}, metadata=OWNER)


def test_collections_below_a_document_are_listed(lab: Lab):
    for path in ("things/a/x/1", "things/a/y/1/z/1", "things/b/w/1"):
        lab.client.document(path).set({})
    assert [each.id for each in lab.client.document("things/a").collections()] == ["x", "y"]
    assert [each.id for each in lab.client.collections()] == ["things"]


def test_everything_below_a_document_is_deleted_by_the_sdk(lab: Lab):
    for path in ("things/a/x/1", "things/a/x/1/y/2", "things/ab/x/1"):
        lab.client.document(path).set({})
    assert lab.client.recursive_delete(lab.client.document("things/a")) == 3
    assert lab.query(from_=[{"all_descendants": True}]) == ["things/ab/x/1"]
