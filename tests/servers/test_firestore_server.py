"""The Firestore test server through the real SDK: documents, preconditions, atomic commits, transforms and limits."""

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from tests.servers.firestore_lab import OWNER, SERVERS, Lab, update

pytestmark = pytest.mark.parametrize("lab", SERVERS, indirect=True)

INT64_MAX = 2**63 - 1
EVERY_TYPE: dict[str, Any] = {
    "null": None,
    "bool": True,
    "int": 2**53 + 1,
    "float": 1.5,
    "time": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "text": "é😀",
    "bytes": b"\x00\xff",
    "point": firestore.GeoPoint(1.0, 2.0),
    "list": [1, "a", {"b": [2]}],
    "map": {"a.b": {"c`d": {}}},
}


def test_a_document_comes_back_with_every_type(lab: Lab):
    lab.client.document("things/a").set(EVERY_TYPE)
    assert lab.client.document("things/a").get().to_dict() == EVERY_TYPE


def test_projects_and_databases_do_not_see_each_other(lab: Lab):
    lab.client.document("things/a").set({"owner": "acme"})
    other = lab.name("things/a").replace("(default)", "other")
    globex = lab.name("things/a").replace(lab.project, f"{lab.project}-globex")
    for name in (other, globex):
        database = name.partition("/documents")[0]
        [found] = lab.api.batch_get_documents({"database": database, "documents": [name]})
        assert found.missing == name


def test_a_creation_of_what_exists_is_refused(lab: Lab):
    lab.client.document("things/a").create({"n": 1})
    with pytest.raises(exceptions.AlreadyExists):
        lab.client.document("things/a").create({"n": 2})
    assert lab.client.document("things/a").get().to_dict() == {"n": 1}


def test_an_update_of_what_is_missing_is_refused(lab: Lab):
    with pytest.raises(exceptions.NotFound):
        lab.client.document("things/a").update({"n": 1})


def test_a_stale_version_is_refused_on_update_and_delete(lab: Lab):
    thing = lab.client.document("things/a")
    stale = thing.set({"n": 1}).update_time
    thing.set({"n": 2})
    option = lab.client.write_option(last_update_time=stale)
    with pytest.raises(exceptions.FailedPrecondition, match="does not match the required base version"):
        thing.update({"n": 3}, option=option)
    with pytest.raises(exceptions.FailedPrecondition):
        thing.delete(option=option)


def test_a_version_demanded_of_a_missing_document_is_refused(lab: Lab):
    option = lab.client.write_option(last_update_time=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(exceptions.FailedPrecondition):
        lab.client.document("things/a").delete(option=option)


def test_a_commit_is_applied_whole_or_not_at_all(lab: Lab):
    lab.client.document("things/there").set({"n": 1})
    batch = lab.client.batch()
    batch.set(lab.client.document("things/new"), {"n": 1})
    batch.delete(lab.client.document("things/there"))
    batch.update(lab.client.document("things/missing"), {"n": 1})
    with pytest.raises(exceptions.NotFound):
        batch.commit()
    assert [each.id for each in lab.client.collection("things").stream()] == ["there"]


def test_no_two_commits_share_a_microsecond(lab: Lab):
    times = [lab.client.document(f"things/{n % 3}").set({"n": n}).update_time for n in range(100)]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_a_write_that_changes_nothing_keeps_the_version(lab: Lab):
    thing = lab.client.document("things/a")
    first = thing.set({"n": 1, "x": math.nan}).update_time
    assert thing.set({"n": 1, "x": math.nan}).update_time == first
    assert thing.update({"n": firestore.Increment(0)}).update_time == first
    assert thing.set({"n": 1.0, "x": math.nan}).update_time > first
    assert thing.get().create_time == first


def test_writes_of_one_document_in_one_commit_apply_in_order(lab: Lab):
    answer = lab.commit(
        update(lab, "things/a", {"n": {"integer_value": 1}}, current_document={"exists": False}),
        update(
            lab,
            "things/a",
            {},
            update_mask={},
            update_transforms=[{"field_path": "n", "increment": {"integer_value": 2}}],
        ),
        update(lab, "things/b", {}),
        {"delete": lab.name("things/b"), "current_document": {"exists": True}},
    )
    assert lab.client.document("things/a").get().to_dict() == {"n": 3}
    assert not lab.client.document("things/b").get().exists
    assert answer.write_results[1].transform_results[0].integer_value == 3
    assert answer.write_results[0].update_time == answer.commit_time


def test_two_creations_of_one_document_in_one_commit_are_refused(lab: Lab):
    create = update(lab, "things/a", {}, current_document={"exists": False})
    with pytest.raises(exceptions.InvalidArgument):
        lab.commit(create, create)


def test_a_mask_sets_and_removes_what_it_names(lab: Lab):
    thing = lab.client.document("things/a")
    thing.set({"m": {"a": 1, "b": 2}, "x": 1, "odd.name": {"`": 1}})
    thing.update({"m.a": 9, "x": firestore.DELETE_FIELD, "`odd.name`.`\\``": firestore.DELETE_FIELD})
    assert thing.get().to_dict() == {"m": {"a": 9, "b": 2}, "odd.name": {}}


@pytest.mark.parametrize("path", ["", "a..b", "a b", "1a", "a-b", "`a", "``", "a.", "__a__", "a.__b__", "é"])
def test_a_field_path_that_is_none_is_refused(lab: Lab, path: str):
    with pytest.raises(exceptions.InvalidArgument):
        lab.commit(update(lab, "things/a", {}, update_mask={"field_paths": [path]}))


@pytest.mark.parametrize(
    ("stored", "by", "total"),
    [
        (1, 2, 3),
        (1, 2.5, 3.5),
        (1.5, 2, 3.5),
        (INT64_MAX, 1, INT64_MAX),
        (-INT64_MAX - 1, -1, -INT64_MAX - 1),
        (2**53 + 1, 0.0, float(2**53)),
        ("text", 3, 3),
        (None, 3, 3),
    ],
)
def test_an_increment_follows_the_rules_of_its_types(lab: Lab, stored: Any, by: float, total: float):
    thing = lab.client.document("things/a")
    thing.set({"n": stored})
    [result] = thing.update({"n": firestore.Increment(by)}).transform_results
    found = thing.get().get("n")
    assert (type(found), found) == (type(total), total)
    assert total in {result.integer_value, result.double_value}


@pytest.mark.parametrize(
    ("stored", "given", "maximum", "minimum"),
    [(1, 2, 2, 1), (3, 3.0, 3, 3), (3.0, 3, 3.0, 3.0), (2.5, 1, 2.5, 1), ("a", 1, 1, 1), (0, -0.0, 0, 0)],
)
def test_maximum_and_minimum_keep_the_type_of_what_wins(
    lab: Lab, stored: Any, given: float, maximum: Any, minimum: Any
):
    thing = lab.client.document("things/a")
    thing.set({"high": stored, "low": stored})
    thing.update({"high": firestore.Maximum(given), "low": firestore.Minimum(given)})
    found = thing.get().to_dict()
    assert [(type(each), each) for each in (found["high"], found["low"])] == [
        (type(each), each) for each in (maximum, minimum)
    ]


def test_array_transforms_treat_equal_numbers_as_one(lab: Lab):
    thing = lab.client.document("things/a")
    thing.set({"union": [1, 1], "rest": [1.0, 2, math.nan], "none": "text"})
    thing.update(
        {
            "union": firestore.ArrayUnion([1.0, "b", "b"]),
            "rest": firestore.ArrayRemove([1, math.nan]),
            "none": firestore.ArrayRemove([1]),
        }
    )
    assert thing.get().to_dict() == {"union": [1, 1, "b"], "rest": [2], "none": []}


def test_the_time_of_the_request_is_one_for_all_fields_in_whole_milliseconds(lab: Lab):
    thing = lab.client.document("things/a")
    result = thing.set({"a": firestore.SERVER_TIMESTAMP, "m": {"b": firestore.SERVER_TIMESTAMP}})
    found = thing.get().to_dict()
    assert found["a"] == found["m"]["b"] <= result.update_time
    assert found["a"].microsecond % 1000 == 0


@pytest.mark.parametrize("last", [".", "..", "__a__", "x" * 1501, "é" * 751])
def test_an_id_that_the_service_does_not_take_is_refused(lab: Lab, last: str):
    for path in (f"things/{last}", f"{last}/a"):
        with pytest.raises(exceptions.InvalidArgument):
            lab.commit(update(lab, path, {}))


@pytest.mark.parametrize("last", ["...", "__a", "a__", "\\", "%2F", "😀", "a\nb", "é" * 750])
def test_an_odd_id_is_taken_as_it_is(lab: Lab, last: str):
    lab.commit(update(lab, f"things/{last}", {}))
    assert lab.query() == [f"things/{last}"]


@pytest.mark.parametrize("name", ["", "__a__", "x" * 1501])
def test_a_field_name_that_the_service_does_not_take_is_refused(lab: Lab, name: str):
    for fields in ({name: {"null_value": 0}}, {"m": {"map_value": {"fields": {name: {"null_value": 0}}}}}):
        with pytest.raises(exceptions.InvalidArgument):
            lab.commit(update(lab, "things/a", fields))


def test_a_document_may_be_a_mebibyte_and_no_byte_more(lab: Lab):
    # 16 + "things" 7 + "a" 2 for the name, 32 for the document, "x" 2 and "y" 2 for the fields, 1 for the end of each text
    room = 2**20 - 16 - 7 - 2 - 32 - 2 - 2 - 1 - 1
    lab.client.document("things/a").set({"x": "x" * 600_000, "y": "y" * (room - 600_000)})
    with pytest.raises(exceptions.InvalidArgument, match="1048576"):
        lab.client.document("things/a").set({"x": "x" * 600_000, "y": "y" * (room - 600_000 + 1)})


def test_a_value_is_nested_twenty_deep_and_no_deeper(lab: Lab):
    deepest: Any = 1
    for _ in range(20):
        deepest = {"m": deepest}
    lab.client.document("things/a").set({"f": deepest})
    with pytest.raises(exceptions.InvalidArgument):
        lab.client.document("things/a").set({"f": {"m": deepest}})


def test_an_array_holds_no_array(lab: Lab):
    nested: dict[str, Any] = {"array_value": {"values": [{"array_value": {}}]}}
    with pytest.raises(exceptions.InvalidArgument):
        lab.commit(update(lab, "things/a", {"f": nested}))


def test_times_are_cut_to_microseconds(lab: Lab):
    lab.commit(update(lab, "things/a", {"t": {"timestamp_value": "2026-01-01T00:00:00.123456789Z"}}))
    assert lab.client.document("things/a").get().get("t").rfc3339() == "2026-01-01T00:00:00.123456Z"


def test_a_batch_of_writes_tells_the_outcome_of_each(lab: Lab):
    missing = update(lab, "things/b", {}, current_document={"exists": True})
    answer = lab.api.batch_write(
        {"database": lab.database, "writes": [update(lab, "things/a", {}), missing]}, metadata=OWNER
    )
    assert [each.code for each in answer.status] == [0, 5]
    assert lab.query() == ["things/a"]
    with pytest.raises(exceptions.InvalidArgument):
        lab.api.batch_write({"database": lab.database, "writes": [missing, missing]}, metadata=OWNER)


def test_single_document_calls_do_what_a_commit_does(lab: Lab):
    made = lab.api.create_document({"parent": lab.name(""), "collection_id": "things", "document": {}})
    assert len(made.name.rpartition("/")[2]) == 20
    lab.api.update_document({"document": {"name": made.name, "fields": {"n": {"integer_value": 1}}}})
    assert lab.api.get_document({"name": made.name}).fields["n"].integer_value == 1
    lab.api.delete_document({"name": made.name, "current_document": {"exists": True}})
    with pytest.raises(exceptions.NotFound):
        lab.api.get_document({"name": made.name})
