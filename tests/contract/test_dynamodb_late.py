"""A request may arrive when its client has given it up and gone on: still it counts once, and its caller hears the truth."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from storage.backends import compare_and_set
from storage.backends.service import Unanswered
from storage.documents import ABSENT, BulkPut, Delete, Increment, Put, Ref
from storage.errors import BackendUnavailable
from storage.guard import GuardedDocuments
from tests.contract.document_contract import COLLECTION, PARTITION, ref, stored
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.stack.aws_faults import AwsFaults
from tests.stack.fixtures import AwsAccount

backend = "dynamodb (MiniStack)"
LONG_AGO = timedelta(minutes=1)
"""More than the clocks of two writers may differ by."""


@pytest.fixture
def dynamodb(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    lab.prepared()
    yield lab
    lab.close()


@pytest.fixture
def others(dynamodb: DynamoDBLab) -> GuardedDocuments:
    """Acme's documents through another driver, with a counter that has stood still for a while."""
    documents = guarded(dynamodb.driver())
    with time_machine.travel(datetime.now(UTC) - LONG_AGO):
        documents.put(ref("k"), {"n": 1})
    return documents


@pytest.fixture
def opened(dynamodb: DynamoDBLab, others: GuardedDocuments) -> tuple[GuardedDocuments, AwsFaults]:
    driver = dynamodb.driver()
    return guarded(driver), AwsFaults(driver.native().meta.events)


class TestLateArrival:
    """A call is sent, given up, looked for and not found; then it arrives."""

    @pytest.mark.line(123, 132, 135)
    @pytest.mark.parametrize("write", ["increment", "put", "delete", "atomic write"])
    def test_a_write_that_arrives_while_it_is_made_again_is_done_once(self, opened, write):
        documents, faults = opened
        calls: dict[str, Any] = {
            "increment": (lambda: documents.increment(ref("k"), {"n": 1}).values, {"n": 2}, "UpdateItem", "PutItem"),
            "put": (lambda: documents.put(ref("new"), {}, expect=ABSENT).version > 0, True, "PutItem", "PutItem"),
            "delete": (lambda: documents.delete(ref("k")), True, "PutItem", "PutItem"),
            "atomic write": (
                lambda: documents.write(COLLECTION, PARTITION, [Increment("k", {"n": 1}), Put("new", {})])[0].values,
                {"n": 2},
                *["TransactWriteItems"] * 2,
            ),
        }
        call, expected, held, before = calls[write]
        faults.arrive_late(held, before)
        assert call() == expected
        assert faults.late_statuses == [200]
        if write in {"increment", "atomic write"}:
            assert stored(documents, "k").fields == {"n": 2}

    @pytest.mark.line(132, 135)
    def test_an_increment_that_arrives_after_it_was_made_again_and_others_counted_is_refused(self, opened, others):
        documents, faults = opened
        faults.arrive_late("UpdateItem", before="GetItem")
        documents.increment(ref("k"), {"n": 1})
        others.increment(ref("k"), {"n": 1})
        assert stored(documents, "k").fields == {"n": 3}
        assert faults.late_statuses == [400]
        assert stored(others, "k").fields == {"n": 3}

    @pytest.mark.line(123)
    def test_where_others_have_written_over_it_nobody_guesses(self, opened, others):
        documents, faults = opened
        faults.internal_error("TransactWriteItems")
        faults.cancel_transaction("TransactionConflict", "None")
        faults.events.register("before-send.dynamodb.TransactWriteItems", _once(others))
        with pytest.raises(BackendUnavailable, match="may have happened or not"):
            documents.write(COLLECTION, PARTITION, [Increment("k", {"n": 1}), Put("new", {})])

    @pytest.mark.line(132, 135)
    def test_increments_with_and_without_operation_ids_count_once_when_answers_are_lost(self, opened):
        documents, faults = opened
        faults.lose_answers("TransactWriteItems", every=3)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: documents.increment(ref("k"), {"f": 1.0}, operation_id=_name(n)), range(120)))
        assert stored(documents, "k").fields == {"n": 1, "f": 120.0}


class TestSilence:
    """Nobody answers: the callers hear so soon, however many they are."""

    @pytest.mark.line(144)
    def test_who_waits_too_long_behind_others_on_a_counter_is_told_and_not_sent(self, dynamodb, opened, monkeypatch):
        driver, key = dynamodb.driver(), Ref(COLLECTION, PARTITION, "busy")
        sending, go_on = threading.Event(), threading.Event()

        def hold(**_) -> None:
            sending.set()
            go_on.wait()

        driver.native().meta.events.register("before-send.dynamodb.TransactWriteItems", hold)
        monkeypatch.setattr(compare_and_set, "WRITE_SECONDS", 0.2)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(driver.increment, key, {"n": 1}, operation_id="a")
            sending.wait()
            second = pool.submit(driver.increment, key, {"n": 1}, operation_id="b")
            threading.Event().wait(1)  # what it is about
            go_on.set()
            assert first.result().values == {"n": 1}
            with pytest.raises(BackendUnavailable, match="not sent"):
                second.result()
        assert driver.get(key).fields == {"n": 1}

    @pytest.mark.line(144)
    def test_a_bulk_with_conditions_is_given_up_when_nobody_answers(self, opened):
        documents, faults = opened
        faults.internal_error("TransactWriteItems", times=200)
        for reading in ("BatchGetItem", "GetItem", "TransactGetItems"):
            faults.unavailable(reading, times=200)
        outcomes = documents.put_many([BulkPut(ref(f"b{number}"), {}, ABSENT) for number in range(100)])
        assert {type(outcome) for outcome in outcomes} <= {Unanswered, BackendUnavailable}
        assert faults.attempts["TransactWriteItems"] <= 4


def _once(others: GuardedDocuments):
    """Let others write before the second try is sent."""
    tries = []

    def write(**_) -> None:
        tries.append(1)
        if len(tries) == 2:
            others.put(ref("k"), {"n": 5})

    return write


def _name(number: int) -> str:
    return f"op-{number}" if number % 2 else ""


class TestSideBySide:
    """Several writers at the same moment."""

    @pytest.mark.line(55)
    def test_atomic_writes_that_each_remove_what_the_other_creates_leave_one_of_both(self, opened, others):
        documents, _ = opened
        both = threading.Barrier(2)

        def swap(writer: GuardedDocuments, removed: str, created: str) -> None:
            both.wait()
            writer.write(COLLECTION, PARTITION, [Delete(removed), Put(created, {})])

        for number in range(20):
            pair = f"a{number}", f"b{number}"
            with ThreadPoolExecutor(2) as pool:
                for done in [pool.submit(swap, documents, *pair), pool.submit(swap, others, *pair[::-1])]:
                    done.result()
            assert len([document for document in others.get_many([ref(key) for key in pair]) if document]) == 1

    def test_a_put_that_a_later_version_has_overtaken_is_sent_again_and_needs_no_read(self, opened, others):
        documents, faults = opened
        with time_machine.travel(datetime.now(UTC) - LONG_AGO):
            others.put(ref("new"), {"n": 1})
        with time_machine.travel(datetime.now(UTC) - 2 * LONG_AGO):
            versions = [documents.put(ref(key), {"n": 2}).version for key in ("new", "k", "new")]
        assert faults.attempts == {"PutItem": 4}
        assert (versions, stored(others, "new").fields) == (sorted(set(versions)), {"n": 2})

    @pytest.mark.line(132)
    def test_a_child_does_not_wait_for_the_commits_of_its_parents_threads(self, opened):
        documents, faults = opened
        sending, forked = threading.Event(), threading.Event()

        def hold(**_) -> None:
            sending.set()
            forked.wait()

        faults.events.register("before-send.dynamodb.PutItem", hold)
        with ThreadPoolExecutor(1) as pool:
            counted = pool.submit(documents.increment, ref("k"), {"f": 1.0})
            sending.wait()
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # a child that waits for ever dies of it
                try:
                    documents.increment(ref("k"), {"f": 1.0})
                finally:
                    os._exit(0)
            forked.set()
            counted.result()
        assert os.waitpid(child, 0)[1] == 0
        assert stored(documents, "k").fields == {"n": 1, "f": 2.0}
