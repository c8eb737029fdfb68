"""The document contract, for any backend: single writes and optimistic concurrency (lines 27 to 47)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from northstar.errors import AlreadyExists, IdempotencyMismatch, InvalidRequest, VersionConflict
from storage.documents import ABSENT, BulkPut, Put, Totals, Written
from storage.errors import CeilingReached
from tests.contract.document_contract import COLLECTION, PARTITION, all_written, ref, stored


class DocumentWriteContract:
    """Each write says what it expects to find, and changes nothing when it finds something else."""

    @pytest.mark.line(27, 43)
    def test_a_document_is_created_once(self, documents):
        documents.put(ref("k"), {"n": 1}, expect=ABSENT)
        with pytest.raises(AlreadyExists, match="'k'"):
            documents.put(ref("k"), {"n": 2}, expect=ABSENT)
        assert stored(documents, "k").fields == {"n": 1}

    @pytest.mark.line(28, 40)
    @pytest.mark.parametrize("version", [0, -1, 1.0, "1", "", True, None])
    def test_what_is_no_version_is_an_invalid_request_and_no_conflict(self, documents, version):
        documents.put(ref("k"), {"n": 1})
        for call in (
            lambda: documents.put(ref("k"), {}, expect=version),
            lambda: documents.delete(ref("k"), expect=version),
        ):
            with pytest.raises(InvalidRequest):
                call()
        assert stored(documents, "k").fields == {"n": 1}

    @pytest.mark.line(28, 40)
    @pytest.mark.parametrize("invented", [2**53 - 1, 10**30])
    def test_a_version_that_somebody_invents_moves_no_other(self, documents, invented):
        documents.put(ref("k"), {})
        for call in (documents.delete, lambda key, **expected: documents.put(key, {}, **expected)):
            with pytest.raises(VersionConflict):
                call(ref("k"), expect=invented)
        assert stored(documents, "k").version < documents.put(ref("k"), {}).version < 2**53 - 1

    @pytest.mark.line(29, 32, 41)
    def test_a_put_replaces_every_field(self, documents):
        first = documents.put(ref("k"), {"a": 1, "b": 2}).version
        second = documents.put(ref("k"), {"a": 3}).version
        assert stored(documents, "k").fields == {"a": 3}
        third = documents.put(ref("k"), {"c": 4}, expect=second).version
        assert stored(documents, "k").fields == {"c": 4}
        assert first < second < third

    @pytest.mark.line(30, 31, 33, 42)
    def test_a_version_of_a_missing_document_never_matches(self, documents):
        for call in (lambda: documents.put(ref("k"), {}, expect=1), lambda: documents.delete(ref("k"), expect=1)):
            with pytest.raises(VersionConflict, match="'k'"):
                call()
        assert documents.get(ref("k")) is None

    @pytest.mark.line(36, 37, 44)
    def test_every_read_tells_the_version_and_each_write_raises_it(self, documents):
        versions = [
            documents.put(ref("k"), {}).version,
            documents.increment(ref("k"), {"n": 1}).version,
            documents.put(ref("k"), {}).version,
        ]
        assert 0 < versions[0] < versions[1] < versions[2] < 2**53
        (bulk,) = documents.get_many([ref("k")])
        (listed,) = documents.scan(COLLECTION, PARTITION).documents
        assert stored(documents, "k").version == bulk.version == listed.version == versions[2]
        assert documents.put(ref("k"), {}, expect=int(str(bulk.version))).version > bulk.version

    @pytest.mark.line(38, 39, 41)
    def test_a_stale_version_is_refused(self, documents):
        old = documents.put(ref("k"), {"n": 1}).version
        new = documents.put(ref("k"), {"n": 2}, expect=old).version
        for call in (
            lambda: documents.put(ref("k"), {"n": 3}, expect=old),
            lambda: documents.delete(ref("k"), expect=old),
        ):
            with pytest.raises(VersionConflict, match=f"version {new}"):
                call()
        assert stored(documents, "k").fields == {"n": 2}

    @pytest.mark.line(39, 54)
    def test_a_delete_says_whether_there_was_something(self, documents):
        version = documents.put(ref("k"), {}).version
        assert documents.delete(ref("k"), expect=version) is True
        assert documents.delete(ref("k")) is False
        assert documents.get(ref("k")) is None

    @pytest.mark.line(47)
    def test_a_version_is_not_used_again_after_deletion(self, documents):
        old = documents.put(ref("k"), {"n": 1}).version
        documents.delete(ref("k"))
        assert documents.put(ref("k"), {"n": 1}, expect=ABSENT).version > old
        with pytest.raises(VersionConflict):
            documents.put(ref("k"), {"n": 2}, expect=old)
        assert stored(documents, "k").fields == {"n": 1}

    @pytest.mark.line(46)
    def test_five_writers_with_ten_compare_and_sets_end_at_fifty(self, documents):
        documents.put(ref("k"), {"n": 0})

        def add_one() -> None:
            while True:
                document = stored(documents, "k")
                try:
                    documents.put(ref("k"), {"n": document.fields["n"] + 1}, expect=document.version)
                except VersionConflict:
                    continue
                return

        def add_ten() -> None:
            for _ in range(10):
                add_one()

        with ThreadPoolExecutor(5) as pool:
            for writer in [pool.submit(add_ten) for _ in range(5)]:
                writer.result()
        assert stored(documents, "k").fields == {"n": 50}

    @pytest.mark.line(27, 43)
    def test_of_many_creators_one_wins(self, documents):
        def create(number: int) -> bool:
            try:
                documents.put(ref("k"), {"n": number}, expect=ABSENT)
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(create, range(16)))
        assert won.count(True) == 1
        assert stored(documents, "k").fields == {"n": won.index(True)}

    @pytest.mark.line(36)
    def test_the_envelope_tells_when_and_by_which_write(self, documents):
        before = datetime.now(UTC)
        written = documents.put(ref("k"), {}, operation_id="op-1")
        document = stored(documents, "k")
        assert written == Written(document.version, document.updated_at)
        assert before - timedelta(seconds=5) <= document.updated_at <= datetime.now(UTC) + timedelta(seconds=5)
        assert document.updated_at.utcoffset() == timedelta(0)
        assert document.operation_id == "op-1"


class DocumentRepetitionContract:
    """The same operation id again answers as it did the first time, and changes nothing."""

    @pytest.mark.line(135)
    def test_a_repeated_increment_counts_once(self, documents):
        first = documents.increment(ref("k"), {"n": 2}, operation_id="op-1")
        documents.increment(ref("k"), {"n": 5})
        assert documents.increment(ref("k"), {"n": 2}, operation_id="op-1") == first
        assert first.values == {"n": 2}
        assert stored(documents, "k").fields == {"n": 7}

    @pytest.mark.line(135)
    def test_a_repeated_put_delete_or_atomic_write_happens_once(self, documents):
        created = documents.put(ref("k"), {"n": 1}, expect=ABSENT, operation_id="a")
        assert documents.put(ref("k"), {"n": 1}, expect=ABSENT, operation_id="a") == created
        assert documents.delete(ref("k"), operation_id="b") is True
        documents.put(ref("k"), {"n": 2})
        assert documents.delete(ref("k"), operation_id="b") is True
        operations = [Put("k", {"n": 3}), Put("l", {"n": 4}, expect=ABSENT)]
        outcomes = documents.write(COLLECTION, PARTITION, operations, operation_id="c")
        documents.put(ref("k"), {"n": 5})
        assert documents.write(COLLECTION, PARTITION, operations, operation_id="c") == outcomes
        assert stored(documents, "k").fields == {"n": 5}

    @pytest.mark.line(135)
    def test_a_repeated_delete_of_nothing_removes_nothing_that_came_later(self, documents):
        assert documents.delete(ref("k"), operation_id="a") is False
        documents.put(ref("k"), {"n": 1})
        assert documents.delete(ref("k"), operation_id="a") is False
        assert stored(documents, "k").fields == {"n": 1}

    @pytest.mark.line(135)
    def test_a_refused_write_may_be_tried_again_with_its_id(self, documents):
        documents.put(ref("k"), {"n": 10})
        with pytest.raises(CeilingReached):
            documents.increment(ref("k"), {"n": 1}, ceilings={"n": 10}, operation_id="a")
        documents.put(ref("k"), {"n": 0})
        assert documents.increment(ref("k"), {"n": 1}, ceilings={"n": 10}, operation_id="a").values == {"n": 1}

    @pytest.mark.line(135)
    def test_an_operation_id_belongs_to_one_write(self, documents):
        documents.put(ref("k"), {"n": 1}, operation_id="a")
        with pytest.raises(IdempotencyMismatch):
            documents.put(ref("other"), {"n": 1}, operation_id="a")
        with pytest.raises(IdempotencyMismatch):
            documents.increment(ref("k"), {"n": 1}, operation_id="a")
        assert stored(documents, "k").fields == {"n": 1}
        documents.put(ref("k", "another table"), {"n": 2}, operation_id="a")
        assert stored(documents, "k", "another table").fields == {"n": 2}

    @pytest.mark.line(135)
    def test_an_operation_id_that_is_no_unicode_is_refused(self, documents):
        with pytest.raises(InvalidRequest, match="operation id"):
            documents.put(ref("k"), {}, operation_id="\ud800")
        assert documents.get(ref("k")) is None

    @pytest.mark.line(135)
    def test_of_many_repetitions_at_once_one_counts(self, documents):
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: documents.increment(ref("k"), {"n": 1}, operation_id="a"), range(16)))
        assert answers == [Totals({"n": 1}, stored(documents, "k").version)] * 16
        assert stored(documents, "k").fields == {"n": 1}

    @pytest.mark.line(135)
    def test_repetitions_among_other_writes_count_once_each(self, documents):
        def increment(number: int):
            return documents.increment(ref("k"), {"n": 1}, operation_id=f"op-{number // 3}")

        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(increment, range(24)))
        assert sorted(totals.values["n"] for totals in answers) == [count for count in range(1, 9) for _ in range(3)]
        assert stored(documents, "k").fields == {"n": 8}

    @pytest.mark.line(48, 135)
    def test_a_bulk_write_leaves_operation_ids_alone(self, documents):
        first = documents.put(ref("k"), {"n": 1}, operation_id="a")
        assert all_written(documents.put_many([BulkPut(ref("k"), {"n": 2})]))
        assert documents.put(ref("k"), {"n": 1}, operation_id="a") == first
        assert stored(documents, "k").fields == {"n": 2}
