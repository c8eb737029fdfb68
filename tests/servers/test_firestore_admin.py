"""The Firestore test server's administration through the real SDK: which indexes a field has, and when documents expire."""

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.servers.firestore_lab import Lab


def shown(lab: Lab, path: str) -> Any:
    return lab.admin.get_field({"name": f"{lab.database}/collectionGroups/things/fields/{path}"})


def directions(field: Any) -> list[str]:
    return [each.fields[0].order.name for each in field.index_config.indexes if each.fields[0].order]


def test_a_field_has_the_automatic_indexes_until_it_has_its_own(lab: Lab):
    found = shown(lab, "n")
    assert found.index_config.uses_ancestor_config
    assert directions(found) == ["ASCENDING", "DESCENDING"]
    lab.set_field("things", "n", indexes=["DESCENDING"])
    found = shown(lab, "n")
    assert not found.index_config.uses_ancestor_config
    assert directions(found) == ["DESCENDING"]


def test_a_part_of_a_map_inherits_its_indexes_and_may_have_its_own(lab: Lab):
    lab.set_field("things", "m", indexes=[])
    assert directions(shown(lab, "m.x")) == []
    lab.set_field("things", "m.x", indexes=["ASCENDING"])
    assert directions(shown(lab, "m.x")) == ["ASCENDING"]
    assert directions(shown(lab, "m.y")) == []


def test_a_field_returns_to_what_it_inherits(lab: Lab):
    lab.set_field("things", "n", indexes=[])
    name = shown(lab, "n").name
    lab.admin.update_field({"field": {"name": name}, "update_mask": {"paths": ["index_config"]}}).result(timeout=30)
    assert shown(lab, "n").index_config.uses_ancestor_config


def test_an_index_in_one_direction_serves_that_direction_alone(lab: Lab):
    lab.set_field("things", "n", indexes=["DESCENDING"])
    lab.client.document("things/a").set({"n": 1})
    things = lab.client.collection("things")
    assert [each.id for each in things.order_by("n", direction="DESCENDING").stream()] == ["a"]
    assert [each.id for each in things.where(filter=FieldFilter("n", "==", 1)).stream()] == ["a"]
    for query in (things.order_by("n"), things.where(filter=FieldFilter("n", "array_contains", 1))):
        with pytest.raises(exceptions.FailedPrecondition, match="requires an index"):
            list(query.stream())


def test_a_policy_of_expiry_is_shown_and_taken_back(lab: Lab):
    assert "ttl_config" not in shown(lab, "until")
    active = type(lab.set_field("things", "until", expires=True).ttl_config).State.ACTIVE
    assert shown(lab, "until").ttl_config.state == active
    name = shown(lab, "until").name
    lab.admin.update_field({"field": {"name": name}, "update_mask": {"paths": ["ttl_config"]}}).result(timeout=30)
    assert "ttl_config" not in shown(lab, "until")


def test_settings_that_the_server_does_not_know_are_refused_aloud(lab: Lab):
    name = shown(lab, "n").name
    everywhere = {
        "index_config": {"indexes": [{"query_scope": "COLLECTION_GROUP", "fields": [{"order": "ASCENDING"}]}]}
    }
    with pytest.raises(exceptions.MethodNotImplemented, match="in a collection"):
        lab.admin.update_field({"field": {"name": name, **everywhere}, "update_mask": {"paths": ["index_config"]}})
    with pytest.raises(exceptions.MethodNotImplemented, match="all fields"):
        shown(lab, "*")
    with pytest.raises(exceptions.MethodNotImplemented):
        lab.admin.list_indexes({"parent": f"{lab.database}/collectionGroups/things"})
