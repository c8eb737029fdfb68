"""Where the Firestore test server is stricter than Google's emulator: documented limits, indexes, and what it does not know."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.servers.firestore_lab import Lab, firestore_lab, ids, numbered, update
from tests.stack.fixtures import unique
from tests.stack.processes import http_answers, running


def test_a_name_outside_the_requests_database_is_refused(lab: Lab):
    name = lab.name("things/a").replace("(default)", "other")
    with pytest.raises(exceptions.InvalidArgument, match="not in the request's database"):
        lab.commit({"update": {"name": name}})


def test_a_request_is_ten_mebibytes_at_most(lab: Lab):
    large = {"x": {"bytes_value": b"x" * 1_000_000}}
    lab.commit(*(update(lab, f"things/{n}", large) for n in range(10)))
    with pytest.raises(exceptions.InvalidArgument, match="payload size exceeds the limit"):
        lab.commit(*(update(lab, f"things/{n}", large) for n in range(11)))


def test_a_document_has_forty_thousand_index_entries_unless_its_fields_are_exempt(lab: Lab):
    thing = lab.client.document("things/a")
    thing.set({"m": {str(n): n for n in range(20_000)}})
    with pytest.raises(exceptions.InvalidArgument, match="index entries"):
        thing.set({"m": {str(n): n for n in range(20_000)}, "n": 1})
    lab.set_field("things", "m", indexes=[])
    thing.set({"m": {str(n): n for n in range(20_000)}, "n": 1})


def test_what_the_server_does_not_know_it_refuses_aloud(lab: Lab):
    with pytest.raises(exceptions.MethodNotImplemented):
        lab.api.partition_query({"parent": lab.name("")}, retry=None)
    read = {"database": lab.database, "documents": [], "read_time": datetime.now(UTC)}
    with pytest.raises(exceptions.MethodNotImplemented, match="read_time"):
        list(lab.api.batch_get_documents(read, retry=None))
    with pytest.raises(exceptions.MethodNotImplemented, match="field_reference_value"):
        lab.commit(update(lab, "things/a", {"f": {"field_reference_value": "g"}}))


def test_a_field_without_an_index_cannot_be_queried(lab: Lab):
    lab.set_field("things", "data", indexes=[])
    things = lab.client.collection("things")
    with pytest.raises(exceptions.FailedPrecondition, match=r"data\.x of things, which is exempt"):
        ids(things.where(filter=FieldFilter("data.x", "==", 1)))
    assert ids(lab.client.collection("others").where(filter=FieldFilter("data.x", "==", 1))) == []


@pytest.fixture(scope="module")
def strict() -> Iterator[Lab]:
    """A project at a server that asks for composite indexes."""

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "tests.servers.firestore", "--port", str(port), "--strict-indexes"]

    with (
        running("our strict Firestore server", command, http_answers()) as server,
        firestore_lab(server.address, unique("test")) as lab,
    ):
        numbered(lab)
        yield lab


def test_automatic_indexes_serve_equalities_or_one_order(strict: Lab):
    things = strict.client.collection("things")
    assert ids(things.where(filter=FieldFilter("n", "==", 1)).where(filter=FieldFilter("z", "==", 4))) == ["4"]
    assert ids(things.where(filter=FieldFilter("z", ">", 6))) == ["1", "0"]
    assert ids(things.order_by("z", direction="DESCENDING").limit(1)) == ["0"]
    assert ids(things.where(filter=FieldFilter("n", "==", 1)).order_by("__name__").limit(1)) == ["1"]


@pytest.mark.parametrize(
    "query",
    [
        lambda things: things.where(filter=FieldFilter("n", "==", 1)).order_by("z"),
        lambda things: things.where(filter=FieldFilter("n", "==", 1)).where(filter=FieldFilter("z", ">", 1)),
        lambda things: things.order_by("n").order_by("z"),
        lambda things: things.order_by("n").order_by("__name__", direction="DESCENDING"),
        lambda things: things.where(filter=FieldFilter("n", "==", 1)).order_by("__name__", direction="DESCENDING"),
        lambda things: things._client.collection_group("things").where(filter=FieldFilter("n", "==", 1)),
        lambda things: things.where(filter=FieldFilter("n", "==", 1)).sum("z"),
    ],
)
def test_a_query_over_several_fields_needs_a_composite_index(strict: Lab, query: Any):
    with pytest.raises(exceptions.FailedPrecondition, match="requires an index"):
        list(query(strict.client.collection("things")).stream())
