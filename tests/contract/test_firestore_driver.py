"""What the Firestore driver promises beyond the contract: few calls, readable documents, a life cycle."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from northstar.errors import AlreadyExists, VersionConflict
from storage.backends.firestore import FirestoreDocuments
from storage.documents import ABSENT, DOCUMENT_BYTES, BulkPut, Delete, Increment, Put
from storage.errors import BackendRejected, BackendUnavailable, CeilingReached, ValueTooLarge
from storage.guard import GuardedDocuments
from storage.values import encode
from tests.contract.document_contract import COLLECTION, PARTITION, all_written, ref, stored
from tests.contract.firestore_lab import BACKEND, Control, allow, closing_driver, driver_at, guarded
from tests.stack.fixtures import FirestoreProject

backend = BACKEND

PARENT = "northstar/acme#dev#_/contract/orders/northstar_items"
READ, COMMIT, QUERY, BULK = "BatchGetDocuments", "Commit", "RunQuery", "BatchWrite"


@pytest.fixture
def driver(firestore_project: FirestoreProject, settings: Any) -> Iterator[FirestoreDocuments]:
    with closing_driver(firestore_project, settings) as driver:
        yield driver


@pytest.fixture
def documents(driver: FirestoreDocuments) -> GuardedDocuments:
    return guarded(driver)


@pytest.fixture
def control(firestore_project: FirestoreProject) -> Control:
    return Control(firestore_project)


@pytest.fixture
def native(driver: FirestoreDocuments, firestore_project: FirestoreProject) -> Any:
    """Reads a document by its path, with the SDK's generated client."""
    root = f"projects/{firestore_project.project}/databases/(default)/documents"
    return lambda path: driver.native().get_document({"name": f"{root}/{path}"})


class TestRoundTrips:
    """As few calls as the service allows, counted by the server."""

    @pytest.mark.line(81)
    @pytest.mark.parametrize(
        ("call", "calls"),
        [
            (lambda documents, _: documents.get(ref("k")), {READ: 1}),
            (lambda documents, _: documents.put(ref("k"), {"n": 2}), {COMMIT: 1}),
            (lambda documents, _: documents.put(ref("new"), {"n": 2}, expect=ABSENT), {COMMIT: 1}),
            (lambda documents, version: documents.put(ref("k"), {"n": 2}, expect=version), {COMMIT: 1}),
            (lambda documents, _: documents.delete(ref("k")), {READ: 1, COMMIT: 1}),
            (lambda documents, _: documents.delete(ref("new")), {READ: 1}),
            (lambda documents, _: documents.increment(ref("n"), {"n": 1, "m": 2}, ceilings={"n": 3}), {COMMIT: 1}),
            (lambda documents, _: documents.increment(ref("k"), {"n": 1}), {READ: 1, COMMIT: 1}),
            (lambda documents, _: documents.scan(COLLECTION, PARTITION, limit=1), {QUERY: 1}),
            (lambda documents, _: documents.scan(COLLECTION, PARTITION, limit=1, reverse=True), {QUERY: 1}),
            (lambda documents, _: documents.get_many([ref(f"k{number}") for number in range(500)]), {READ: 1}),
            (lambda documents, _: documents.put_many([BulkPut(ref(key), {}) for key in "abc"]), {BULK: 1}),
            (
                lambda documents, _: documents.write(COLLECTION, PARTITION, [Put(key, {}, ABSENT) for key in "abc"]),
                {COMMIT: 1},
            ),
            (lambda documents, _: documents.put(ref("k"), {}, operation_id="a"), {READ: 1, COMMIT: 1}),
            (lambda documents, _: documents.delete(ref("k"), operation_id="a"), {READ: 1, COMMIT: 1}),
            (lambda documents, _: documents.increment(ref("n"), {"n": 1}, operation_id="a"), {READ: 1, COMMIT: 1}),
        ],
    )
    def test_an_operation_makes_as_few_calls_as_it_can(self, documents, control, call, calls):
        version = documents.put(ref("k"), {"n": 1}).version
        documents.increment(ref("n"), {"n": 1})
        control.calls()
        call(documents, version)
        assert control.calls() == calls

    def test_only_a_document_that_expires_is_read_before_it_is_replaced(self, documents, control):
        expiry = datetime.now(UTC) + timedelta(minutes=1)
        version = documents.put(ref("k"), {"n": 1}, expires_at=expiry).version
        control.calls()
        version = documents.put(ref("k"), {"n": 2}, expect=version).version
        assert control.calls() == {READ: 1, COMMIT: 1}
        documents.put(ref("k"), {"n": 3}, expect=version)
        assert control.calls() == {COMMIT: 1}

    def test_a_refused_write_is_told_by_one_read(self, documents, control):
        version = documents.put(ref("k"), {"n": 1}).version
        for call, error in (
            (lambda: documents.put(ref("k"), {}, expect=ABSENT), AlreadyExists),
            (lambda: documents.put(ref("k"), {}, expect=version + 2), VersionConflict),
            (lambda: documents.delete(ref("k"), expect=version + 2), VersionConflict),
            (lambda: documents.increment(ref("k"), {"n": 1}, ceilings={"n": 1}), CeilingReached),
        ):
            control.calls()
            with pytest.raises(error):
                call()
            assert control.calls().pop(READ) == 1

    def test_expired_documents_before_a_page_cost_few_calls(self, documents, control):
        soon = datetime.now(UTC) + timedelta(minutes=1)
        documents.put_many([BulkPut(ref(f"k{number:04}"), {}, expires_at=soon) for number in range(1500)])
        documents.put_many([BulkPut(ref(f"l{number}"), {}) for number in range(3)])
        control.calls()
        with time_machine.travel(soon, tick=False):
            page = documents.scan(COLLECTION, PARTITION, limit=2)
        assert [document.ref.key for document in page.documents] == ["l0", "l1"]
        assert page.cursor == "l1"
        assert control.calls() == {QUERY: 5}


class TestDocuments:
    """A person can read them in the console, and everything that the contract allows fits."""

    def test_a_document_shows_the_fields_and_the_envelope_beside_them(self, documents, native):
        expiry = datetime(2050, 1, 1, tzinfo=UTC)
        documents.put(ref("a/b c"), {"n": 1, "price": 1.5, "at": expiry, "key": "mine"}, expires_at=expiry)
        shown = native(f"{PARENT}/:a.b\x1fc").fields
        fields = shown["fields"].map_value.fields
        assert (fields["n"].integer_value, fields["price"].double_value) == (1, 1.5)
        assert (fields["at"].timestamp_value, fields["key"].string_value) == (expiry, "mine")
        assert shown["key"].string_value == "a/b c"
        envelope = shown["envelope"].map_value.fields
        assert (envelope["epoch"].integer_value, envelope["expires_at"].timestamp_value) == (1, expiry)
        assert shown["reap_at"].timestamp_value == expiry + timedelta(hours=1)

    @pytest.mark.parametrize(
        "value",
        [
            [1] * 100_000,
            [[]] * 40_000,
            ["x"] * 80_000,
            {f"{number}": number for number in range(25_000)},
            "x" * (DOCUMENT_BYTES - 100),
            [[[[[[[[[[1]]]]]]]]]],
        ],
        ids=["numbers", "lists", "texts", "names", "text", "deep"],
    )
    def test_what_is_large_or_deep_is_stored_and_can_be_added_to(self, documents, value):
        documents.put(ref("k"), {"value": value, "n": 1})
        assert documents.increment(ref("k"), {"n": 1}).values == {"n": 2}
        assert stored(documents, "k").fields == {"value": value, "n": 2}

    def test_what_firestore_could_not_hold_is_one_value_of_bytes(self, documents, native):
        fields = {"list": [1] * 170_000}
        documents.put(ref("k"), fields)
        assert native(f"{PARENT}/:k").fields["fields"].bytes_value == encode(fields)
        assert stored(documents, "k").fields == fields

    @pytest.mark.line(56)
    def test_increments_in_documents_too_large_for_one_request_are_refused_as_that(self, documents):
        large = {"text": "x" * (DOCUMENT_BYTES - 100), "n": 0}
        assert all_written(documents.put_many([BulkPut(ref(f"k{number}"), large) for number in range(30)]))
        with pytest.raises(ValueTooLarge, match="too large for one request"):
            documents.write(COLLECTION, PARTITION, [Increment(f"k{number}", {"n": 1}) for number in range(30)])
        assert stored(documents, "k0").fields == large

    @pytest.mark.line(56)
    def test_fifty_operations_on_the_longest_keys_are_written_at_once(self, documents):
        keys = [f"{number:03}" + "\U0001f600" * 224 for number in range(50)]
        documents.write(COLLECTION, PARTITION, [Put(key, {"n": 1, "t": "x" * 20_000}) for key in keys])
        steps = [*[Increment(key, {"n": 1}) for key in keys[:-1]], Delete(keys[-1])]
        outcomes = documents.write(COLLECTION, PARTITION, steps, operation_id="a")
        assert documents.write(COLLECTION, PARTITION, steps, operation_id="a") == outcomes
        assert documents.scan(COLLECTION, PARTITION, limit=1000).documents[48].fields["n"] == 2

    @pytest.mark.line(40)
    @pytest.mark.parametrize("version", [2**53, 2**62, 2**63, 10**30])
    def test_a_version_beyond_all_time_is_a_stale_one(self, documents, version):
        documents.put(ref("k"), {"n": 1})
        with pytest.raises(VersionConflict):
            documents.put(ref("k"), {}, expect=version)
        assert isinstance(documents.put_many([BulkPut(ref("k"), {}, expect=version)])[0], VersionConflict)

    def test_each_write_tells_the_version_that_is_read_whether_it_expires_or_not(self, documents):
        expiry = datetime.now(UTC) + timedelta(minutes=1)
        documents.put(ref("c"), {"n": 1}, expires_at=expiry)
        steps = [Put("a", {}), Put("b", {}, expires_at=expiry), Increment("c", {"n": 1})]
        outcomes = documents.write(COLLECTION, PARTITION, steps, operation_id="a")
        assert [outcome.version for outcome in outcomes] == [stored(documents, key).version for key in "abc"]
        assert [outcome.version % 2 for outcome in outcomes] == [0, 1, 1]
        assert documents.write(COLLECTION, PARTITION, steps, operation_id="a") == outcomes

    @pytest.mark.line(135)
    def test_an_operation_id_may_be_used_again_after_its_day(self, documents):
        documents.increment(ref("k"), {"n": 1}, operation_id="a")
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
            assert documents.increment(ref("k"), {"n": 1}, operation_id="a").values == {"n": 2}
            assert documents.increment(ref("k"), {"n": 1}, operation_id="a").values == {"n": 2}

    def test_what_is_deleted_is_gone_and_memories_are_no_documents(self, documents):
        documents.put(ref("k"), {"n": 1}, operation_id="a")
        documents.delete(ref("k"), operation_id="b")
        for reverse in (False, True):
            assert documents.scan(COLLECTION, PARTITION, reverse=reverse).documents == ()


class TestLife:
    """A connection per process, opened at first use, that nothing but the route's config directs."""

    def test_the_environment_redirects_nothing(self, firestore_project, settings, monkeypatch):
        for name in ("FIRESTORE_EMULATOR_HOST", "http_proxy", "https_proxy", "grpc_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"):
            monkeypatch.setenv(name, "elsewhere")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")
        allow(settings, firestore_project.address)
        driver = driver_at(firestore_project)
        assert guarded(driver).put(ref("k"), {"n": 1}).version
        assert Control(firestore_project).calls() == {COMMIT: 1}
        driver.close()

    def test_nothing_is_opened_before_the_first_call_nor_after_the_last(self, firestore_project, settings):
        allow(settings, "127.0.0.1:9")
        driver = driver_at(firestore_project, "127.0.0.1:9")
        driver.close()
        driver.close()
        for call in (driver.ping, driver.prepare, driver.native, lambda: driver.get(ref("k"))):
            with pytest.raises(BackendUnavailable, match="closed"):
                call()

    def test_a_forked_process_opens_a_connection_of_its_own(self, documents):
        documents.put(ref("k"), {"n": 1})
        child = os.fork()
        if not child:
            try:
                documents.increment(ref("k"), {"n": 1})
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert stored(documents, "k").fields == {"n": 2}

    @pytest.mark.line(147)
    def test_the_sdk_and_its_error_are_at_hand(self, driver, control):
        assert type(driver.native()).__module__.startswith("google.cloud.firestore_v1")
        control.fault(READ, "PERMISSION_DENIED")
        with pytest.raises(BackendRejected) as refusal:
            driver.ping()
        assert refusal.value.__cause__.code().name == "PERMISSION_DENIED"
