"""The Firestore test server under transactions, injected faults, lost answers, expiry and a token."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import firestore

from tests.servers.firestore_lab import Lab, firestore_lab
from tests.stack.fixtures import unique
from tests.stack.processes import http_answers, running

THREADS = 8


def begin(lab: Lab, **options: Any) -> bytes:
    return lab.api.begin_transaction({"database": lab.database, "options": options}).transaction


def read(lab: Lab, path: str, transaction: bytes) -> dict[str, Any]:
    request = {"database": lab.database, "documents": [lab.name(path)], "transaction": transaction}
    [answer] = lab.api.batch_get_documents(request, retry=None)
    return {name: value.integer_value for name, value in answer.found.fields.items()}


def setting(lab: Lab, path: str, n: int) -> dict[str, Any]:
    return {"update": {"name": lab.name(path), "fields": {"n": {"integer_value": n}}}}


def test_a_transaction_reads_one_moment(lab: Lab):
    lab.commit(setting(lab, "things/a", 1), setting(lab, "things/b", 1))
    transaction = begin(lab, read_only={})
    assert read(lab, "things/a", transaction) == {"n": 1}
    lab.commit(setting(lab, "things/a", 2), setting(lab, "things/b", 2))
    lab.commit({"delete": lab.name("things/b")})
    assert read(lab, "things/b", transaction) == {"n": 1}
    assert read(lab, "things/a", begin(lab)) == {"n": 2}


def test_a_transaction_is_aborted_when_what_it_read_was_changed(lab: Lab):
    lab.commit(setting(lab, "things/a", 1))
    transaction = begin(lab)
    read(lab, "things/a", transaction)
    lab.commit(setting(lab, "things/a", 2))
    with pytest.raises(exceptions.Aborted, match="contention"):
        lab.commit(setting(lab, "things/a", 3), transaction=transaction)
    assert lab.client.document("things/a").get().get("n") == 2
    again = begin(lab, read_write={"retry_transaction": transaction})
    assert read(lab, "things/a", again) == {"n": 2}
    lab.commit(setting(lab, "things/a", 3), transaction=again)


def test_a_transaction_is_aborted_when_its_query_would_find_more(lab: Lab):
    transaction = begin(lab)
    query = {"parent": lab.name(""), "structured_query": {"from_": [{"collection_id": "things"}]}}
    list(lab.api.run_query({**query, "transaction": transaction}))
    lab.commit(setting(lab, "things/new", 1))
    with pytest.raises(exceptions.Aborted):
        lab.commit(setting(lab, "others/a", 1), transaction=transaction)


def test_a_read_may_begin_its_transaction(lab: Lab):
    request = {"database": lab.database, "documents": [lab.name("things/a")], "new_transaction": {"read_write": {}}}
    began, answer = lab.api.batch_get_documents(request)
    assert answer.missing
    lab.commit(setting(lab, "things/a", 1))
    with pytest.raises(exceptions.Aborted):
        lab.commit(setting(lab, "things/a", 2), transaction=began.transaction)


def test_a_read_only_transaction_writes_nothing(lab: Lab):
    with pytest.raises(exceptions.InvalidArgument, match="read-only"):
        lab.commit(setting(lab, "things/a", 1), transaction=begin(lab, read_only={}))


def test_a_transaction_that_is_over_or_unknown_is_refused(lab: Lab):
    transaction = begin(lab)
    lab.commit(transaction=transaction)
    lab.api.rollback({"database": lab.database, "transaction": transaction})
    for name in (transaction, b"unknown"):
        with pytest.raises(exceptions.InvalidArgument):
            read(lab, "things/a", name)


def test_an_idle_transaction_expires(firestore_alone: Lab):
    lab = firestore_alone
    transaction = lab.client.transaction()
    transaction._begin()
    lab.control("POST", "clock", advance_seconds=61)
    with pytest.raises(exceptions.InvalidArgument, match="closed"):
        lab.client.document("things/a").get(transaction=transaction)


def in_threads(work: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [each.result() for each in [pool.submit(work) for _ in range(THREADS)]]


def test_contending_transactions_all_come_through_and_keep_a_limit(lab: Lab):
    thing = lab.client.document("things/a")
    thing.set({"n": 0})

    @firestore.transactional
    def spend(transaction: firestore.Transaction) -> bool:
        spent = thing.get(transaction=transaction).get("n")
        if spent < 20:
            transaction.update(thing, {"n": spent + 1})
        return bool(spent < 20)

    outcomes = in_threads(lambda: [spend(lab.client.transaction(max_attempts=50)) for _ in range(5)])
    assert sum(map(sum, outcomes)) == 20
    assert thing.get().get("n") == 20


def test_racing_creations_have_one_winner_and_increments_lose_none(lab: Lab):
    def race() -> bool:
        try:
            lab.commit({**setting(lab, "things/won", 1), "current_document": {"exists": False}})
        except exceptions.AlreadyExists:
            return False
        return True

    assert sum(in_threads(race)) == 1
    in_threads(lambda: [lab.client.document("things/won").update({"n": firestore.Increment(1)}) for _ in range(10)])
    assert lab.client.document("things/won").get().get("n") == 1 + THREADS * 10


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("RESOURCE_EXHAUSTED", exceptions.ResourceExhausted),
        ("UNAVAILABLE", exceptions.ServiceUnavailable),
        ("ABORTED", exceptions.Aborted),
    ],
)
def test_an_injected_fault_comes_before_the_call_as_often_as_asked(lab: Lab, code: str, error: type[Exception]):
    lab.fault("Commit", code, count=2)
    for _ in range(2):
        with pytest.raises(error, match="injected"):
            lab.commit(setting(lab, "things/a", 1))
    assert lab.query() == []
    lab.commit(setting(lab, "things/a", 1))


def test_a_fault_hits_the_named_method_and_project_alone(lab: Lab):
    lab.control("POST", "faults", method="RunQuery", code="UNAVAILABLE", project="somebody-else")
    lab.fault("BatchGetDocuments", "UNAVAILABLE")
    assert lab.query() == []
    with pytest.raises(exceptions.ServiceUnavailable):
        read(lab, "things/a", b"")


def test_a_fault_for_no_method_is_refused(lab: Lab):
    with pytest.raises(AssertionError, match="Comit"):
        lab.fault("Comit", "UNAVAILABLE")


def test_a_lost_answer_makes_the_sdk_count_twice(lab: Lab):
    lab.client.document("things/a").set({"n": 0})
    lab.fault("Commit", "UNAVAILABLE", after=True)
    lab.client.document("things/a").update({"n": firestore.Increment(1)})
    assert lab.client.document("things/a").get().get("n") == 2


def test_a_call_that_is_slow_beyond_its_deadline_is_not_applied(lab: Lab):
    lab.fault("Commit", delay_seconds=0.5)
    writes = {"database": lab.database, "writes": [setting(lab, "things/a", 1)]}
    with pytest.raises(exceptions.DeadlineExceeded):
        lab.api.commit(writes, retry=None, timeout=0.1)
    lab.fault("Commit", delay_seconds=0.5)
    lab.commit(setting(lab, "things/b", 1))  # is applied half a second after the first would have been
    assert lab.query() == ["things/b"]


def test_an_answer_that_is_slow_beyond_the_deadline_is_of_a_call_that_is_applied(lab: Lab):
    lab.fault("Commit", delay_seconds=5, after=True)
    with pytest.raises(exceptions.DeadlineExceeded):
        lab.api.commit({"database": lab.database, "writes": [setting(lab, "things/a", 1)]}, retry=None, timeout=1)
    assert lab.query() == ["things/a"]


def calls(lab: Lab) -> dict[str, int]:
    found: dict[str, int] = lab.control("GET", f"calls?project={lab.project}")
    return found


def test_calls_are_counted_by_method_and_project(lab: Lab):
    lab.commit(setting(lab, "things/a", 1))
    lab.commit(setting(lab, "things/a", 2))
    lab.query()
    assert calls(lab) == {"Commit": 2, "RunQuery": 1}


def test_expired_documents_are_reaped_when_a_test_asks(lab: Lab):
    now = datetime.now(UTC)
    for name, seconds in {"gone": -1, "stays": 60}.items():
        lab.client.document(f"things/{name}").set({"until": now + timedelta(seconds=seconds)})
    lab.client.document("things/a/things/never").set({"until": "text"})
    assert lab.control("POST", "reap", database=lab.database) == {"reaped": 0}
    lab.set_field("things", "until", expires=True)
    assert lab.control("POST", "reap", database=lab.database) == {"reaped": 1}
    assert lab.query() == ["things/stays"]


def test_a_database_is_emptied_as_on_googles_emulator(lab: Lab):
    lab.commit(setting(lab, "things/a", 1))
    lab.control("DELETE", f"/emulator/v1/{lab.database}/documents")
    assert lab.query() == []


@pytest.fixture(scope="module")
def firestore_alone() -> Iterator[Lab]:
    """A project at a server of this module's own, whose clock may be moved, and which asks for a token."""

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "tests.servers.firestore", "--port", str(port), "--token", "owner"]

    with (
        running("our Firestore server with a token", command, http_answers()) as server,
        firestore_lab(server.address, unique("test")) as lab,
    ):
        yield lab


def test_a_call_without_the_right_token_is_refused(firestore_alone: Lab):
    lab = firestore_alone
    lab.client.document("things/a").set({})  # the SDK calls itself owner when it speaks to an emulator
    with grpc.insecure_channel(lab.address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/google.firestore.v1.Firestore/Commit")(b"", metadata=[("authorization", "Bearer wrong")])
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
