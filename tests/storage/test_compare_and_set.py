"""Compare-and-set: one write happens once, and its caller is told the truth, whatever is lost on the way."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from northstar.errors import AlreadyExists, IdempotencyMismatch
from storage.backends.compare_and_set import REMEMBERED_BYTES, CompareAndSet
from storage.backends.plans import Request
from storage.backends.service import Place, Stored, Unanswered, version_at
from storage.documents import ABSENT, Delete, Increment, Put, Totals, Written
from storage.errors import BackendUnavailable, CeilingReached
from tests.storage.scripted_service import ScriptedService, lose_answer, refuse_connection

PLACE = Place("contract", ("acme", "dev", "_", "orders"))
ONE = Increment("k", {"n": 1})


@pytest.fixture(params=[False, True], ids=["we count versions", "the service counts versions"])
def service(request) -> ScriptedService:
    return ScriptedService(commit_time_is_version=request.param)


@pytest.fixture
def writes(service) -> CompareAndSet:
    return CompareAndSet(service, epoch=7)


def another_writer(service: ScriptedService, **fields) -> None:
    """Somebody else replaces the document."""
    version = version_at(datetime.now(UTC), above=service.documents["k"].version) if "k" in service.documents else 1
    service.documents["k"] = Stored(version, fields, datetime.now(UTC), operation_id="another")


def overwritten(service: ScriptedService, **fields) -> Callable[[], None]:
    """The answer is lost, and before anybody looks somebody else has replaced the document."""

    def happen() -> None:
        another_writer(service, **fields)
        lose_answer()

    return happen


def test_a_write_of_new_documents_reads_nothing_first(service, writes):
    written = writes.write(PLACE, [Put("a", {"n": 1}, ABSENT), Put("b", {}, ABSENT)])
    assert (service.loads, service.commits) == (0, 1)
    stored = service.documents["a"]
    assert written[0] == Written(stored.version, written[0].updated_at)
    assert (stored.fields, stored.epoch) == ({"n": 1}, 7)


def test_what_exists_is_refused_after_a_look(service, writes):
    writes.write(PLACE, [Put("k", {"n": 1})])
    with pytest.raises(AlreadyExists):
        writes.write(PLACE, [Put("new", {}, ABSENT), Put("k", {}, ABSENT)])
    assert list(service.documents) == ["k"]


@pytest.mark.parametrize("named", ["", "op-1"])
@pytest.mark.parametrize("steps", [[Put("k", {"n": 1}, ABSENT)], [Put("k", {"n": 1})], [ONE], [Put("a", {}), ONE]])
def test_a_write_whose_answer_was_lost_happens_once_and_is_told_so(service, writes, steps, named):
    service.after_commit = [lose_answer]
    outcomes = writes.write(PLACE, steps, named)
    assert service.commits == 1
    stored = service.documents["k"]
    assert stored.fields == {"n": 1}
    expected = {Put: Written(stored.version, stored.updated_at), Increment: Totals({"n": 1}, stored.version)}
    assert outcomes[-1] == expected[type(steps[-1])] or outcomes[-1].version == stored.version


def test_a_delete_whose_answer_was_lost_says_that_it_deleted(service, writes):
    writes.write(PLACE, [Put("k", {})])
    service.after_commit = [lose_answer]
    assert writes.write(PLACE, [Delete("k")]) == [True]
    assert service.documents["k"].gone


def test_a_commit_that_never_arrived_is_sent_again(service, writes):
    service.before_commit = [lose_answer, refuse_connection]
    assert writes.increment(PLACE, ONE).values == {"n": 1}
    assert service.documents["k"].fields == {"n": 1}


def test_a_lost_answer_under_a_later_write_of_another_is_told_as_unknown(service, writes):
    writes.write(PLACE, [Put("k", {"n": 0})])
    service.after_commit = [overwritten(service, n=9)]
    with pytest.raises(Unanswered, match="may have happened or not"):
        writes.write(PLACE, [ONE])
    assert service.documents["k"].fields == {"n": 9}


def test_with_an_operation_id_even_that_is_known(service, writes):
    writes.write(PLACE, [Put("k", {"n": 0})])
    service.after_commit = [overwritten(service, n=9)]
    assert writes.write(PLACE, [ONE], "op-1")[0].values == {"n": 1}
    service.before_commit = [overwritten(service, n=20)]
    assert writes.write(PLACE, [ONE], "op-2")[0].values == {"n": 21}


def test_a_look_that_fails_leaves_the_write_unknown_and_unrepeated(service, writes):
    service.after_commit = [lose_answer]
    service.load_fails = [BackendUnavailable("The backend is down.")]
    with pytest.raises(Unanswered):
        writes.write(PLACE, [Put("k", {"n": 1}, ABSENT)])
    assert service.commits == 1


def test_a_service_that_stays_away_is_told_after_three_tries(service, writes):
    service.before_commit = [refuse_connection] * 3
    with pytest.raises(BackendUnavailable):
        writes.write(PLACE, [ONE])
    assert service.commits == 3
    assert service.documents == {}


def test_a_race_that_is_lost_is_run_again_on_what_the_winner_left(service, writes):
    service.before_commit = [lambda: another_writer(service, n=5)]
    assert writes.write(PLACE, [ONE])[0].values == {"n": 6}


def test_a_repetition_answers_as_the_first_time_and_changes_nothing(service, writes):
    steps = [Put("a", {"n": 1}), ONE, Delete("never was")]
    first = writes.write(PLACE, steps, "op-1")
    before = dict(service.documents)
    assert writes.write(PLACE, steps, "op-1") == first
    assert service.documents == before
    with pytest.raises(IdempotencyMismatch):
        writes.write(PLACE, [ONE], "op-1")


def test_an_operation_id_that_comes_twice_in_one_commit_counts_once(service, writes):
    (first, again, other), stored = writes.run(PLACE, [Request((ONE,), name, named=True) for name in "aab"], None)
    assert first == again == [Totals({"n": 1}, first[0].version)]
    assert other[0].values == {"n": 2}
    assert (service.commits, stored["k"].fields) == (1, {"n": 2})
    assert writes.increment(PLACE, ONE, "a") == first[0]


def test_increments_at_once_share_commits_and_lose_nothing(service, writes):
    all_asked, asked = threading.Event(), count(1)
    service.before_commit = [lambda: all_asked.wait() and None]

    def increment(_: int):
        if next(asked) == 16:
            all_asked.set()
        return writes.increment(PLACE, ONE).values["n"]

    with ThreadPoolExecutor(16) as pool:
        totals = list(pool.map(increment, range(400)))
    assert sorted(totals) == list(range(1, 401))
    assert service.commits < 400


def test_a_remembered_counter_is_not_read_again(service, writes):
    writes.increment(PLACE, ONE)
    loads = service.loads
    assert writes.increment(PLACE, ONE).values == {"n": 2}
    assert service.loads == loads


def test_a_counter_in_a_large_document_is_read_again_and_not_kept_in_memory(service, writes):
    writes.write(PLACE, [Put("k", {"text": "x" * REMEMBERED_BYTES})])
    writes.increment(PLACE, ONE)
    loads = service.loads
    assert writes.increment(PLACE, ONE).values == {"n": 2}
    assert service.loads == loads + 1


def test_a_refusal_rests_on_what_is_stored_and_not_on_what_is_remembered(service, writes):
    capped = replace(ONE, ceilings={"n": 1})
    writes.increment(PLACE, capped)
    with pytest.raises(CeilingReached):
        writes.increment(PLACE, capped)
    another_writer(service, n=0)
    assert writes.increment(PLACE, capped).values == {"n": 1}


class TestFinishing:
    """A native call that was not answered is finished by compare-and-set."""

    @pytest.fixture
    def started(self) -> datetime:
        return datetime.now(UTC)

    def test_what_has_happened_is_told(self, service, writes, started):
        service.documents["k"] = Stored(5, {"n": 3}, started, operation_id="mine")
        assert writes.finish(PLACE, Put("k", {"n": 3}), "mine", started) == Written(5, started)
        assert writes.finish(PLACE, ONE, "mine", started) == Totals({"n": 3}, 5)
        assert service.commits == 0

    def test_what_has_not_happened_is_done(self, service, writes, started):
        assert writes.finish(PLACE, Put("k", {"n": 3}, ABSENT), "mine", started).version
        assert service.documents["k"].operation_id == "mine"

    def test_an_older_document_shows_that_it_has_not_happened(self, service, writes, started):
        service.documents["k"] = Stored(5, {"n": 3}, started - timedelta(minutes=1), operation_id="old")
        assert writes.finish(PLACE, ONE, "mine", started).values == {"n": 4}

    def test_the_version_that_was_expected_shows_it_too(self, service, writes, started):
        service.documents["k"] = Stored(5, {"n": 3}, started, operation_id="old")
        assert writes.finish(PLACE, Put("k", {}, expect=5), "mine", started).version > 5

    def test_what_others_have_written_since_makes_it_unknown(self, service, writes, started):
        service.documents["k"] = Stored(5, {"n": 3}, started + timedelta(seconds=1), operation_id="another")
        for step in (ONE, Put("k", {}), Delete("k")):
            with pytest.raises(Unanswered, match="may have happened or not"):
                writes.finish(PLACE, step, "mine", started)
        assert service.commits == 0

    def test_when_nobody_answers_any_more_it_may_have_happened(self, service, writes, started):
        for failure in ("load_fails", "before_commit"):
            away = BackendUnavailable("The backend is down.")
            setattr(service, failure, [away] if failure == "load_fails" else [refuse_connection] * 3)
            with pytest.raises(Unanswered, match="may have happened or not"):
                writes.finish(PLACE, ONE, "mine", started)
