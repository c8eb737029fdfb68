"""How the Firestore driver prepares a database, tells what it refuses, and writes in bulk."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from storage.backends.firestore import FirestoreDocuments
from storage.documents import ABSENT, DOCUMENT_BYTES, BulkPut
from storage.errors import BackendRejected, BackendUnavailable, Throttled
from storage.guard import GuardedDocuments
from tests.contract.document_contract import all_keys, all_written, ref, stored
from tests.contract.firestore_lab import BACKEND, Control, closing_driver, guarded
from tests.stack.fixtures import FirestoreProject

backend = BACKEND

READ, COMMIT, BULK = "BatchGetDocuments", "Commit", "BatchWrite"


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


class TestDatabase:
    """`prepare` sets up what our documents need and nothing of anybody else's."""

    def test_preparing_again_changes_nothing(self, driver, control):
        control.calls()
        driver.prepare()
        assert control.calls() == {"GetField": 4}
        driver.ping()

    def test_what_has_expired_is_reaped_an_hour_later_and_nothing_before(self, documents, driver, control):
        now = datetime.now(UTC)
        with time_machine.travel(now - timedelta(hours=3)):
            documents.put(ref("old"), {}, expires_at=now - timedelta(hours=2))
            documents.put(ref("recent"), {}, expires_at=now - timedelta(minutes=30))
            documents.put(ref("kept"), {})
        documents.put(ref("far"), {}, expires_at=datetime.max.replace(tzinfo=UTC))
        assert control.reap() == 1
        assert all_keys(documents) == ["far", "kept"]
        with time_machine.travel(now - timedelta(hours=3)):
            assert documents.get(ref("old")) is None
            assert stored(documents, "recent").fields == {}

    def test_without_leave_to_change_indexes_the_role_is_named(self, driver, control):
        control.fault("GetField", "PERMISSION_DENIED")
        with pytest.raises(BackendRejected, match="PERMISSION_DENIED") as refusal:
            driver.prepare()
        assert "Index Admin" in refusal.value.fix

    @pytest.mark.parametrize(
        ("code", "error", "fix"),
        [
            ("NOT_FOUND", BackendRejected, "gcloud firestore databases create"),
            ("PERMISSION_DENIED", BackendRejected, "Cloud Datastore User"),
            ("UNAUTHENTICATED", BackendRejected, "key"),
            ("INVALID_ARGUMENT", BackendRejected, "routes prepare"),
            ("RESOURCE_EXHAUSTED", Throttled, "quota"),
            ("INTERNAL", BackendUnavailable, ""),
            ("ABORTED", BackendUnavailable, ""),
        ],
    )
    def test_a_refusal_says_what_to_do(self, driver, control, code, error, fix):
        for call in (driver.ping, lambda: driver.put(ref("k"), {}), lambda: driver.delete(ref("k"))):
            for method in (READ, COMMIT):
                control.fault(method, code, count=20)
            with pytest.raises(error, match=r"Firestore|may have happened or not") as refusal:
                call()
            assert fix in refusal.value.fix
            control.clear()


class TestBulk:
    """What Firestore did not take is sent again; the outcome of each document is its own."""

    @pytest.mark.line(52)
    @pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "ABORTED"])
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_a_bulk_that_fails_once_is_written_all_the_same(self, documents, control, code, after):
        keys = [f"k{number:02}" for number in range(20)]
        control.fault(BULK, code, after=after)
        outcomes = documents.put_many([BulkPut(ref(key), {"key": key}, expect=ABSENT) for key in keys])
        found = documents.get_many([ref(key) for key in keys])
        if code == "UNAVAILABLE" or not after:
            assert all_written(outcomes)
            assert [outcome.version for outcome in outcomes] == [document.version for document in found]
        assert [document.fields["key"] for document in found] == keys

    def test_a_bulk_that_is_refused_for_good_has_that_for_each(self, documents, control):
        control.fault(BULK, "PERMISSION_DENIED")
        outcomes = documents.put_many([BulkPut(ref(key), {}) for key in "abc"])
        assert [type(outcome) for outcome in outcomes] == [BackendRejected] * 3

    def test_large_documents_go_in_several_calls(self, documents, control):
        text = "x" * (DOCUMENT_BYTES - 100)
        control.calls()
        assert all_written(documents.put_many([BulkPut(ref(f"k{number:02}"), {"t": text}) for number in range(60)]))
        assert control.calls() == {BULK: 3}
