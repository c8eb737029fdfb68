"""The document contract, for any backend: bulk operations and atomic writes (lines 48 to 59)."""

from dataclasses import fields, replace

import pytest

from northstar.errors import AlreadyExists, InvalidRequest, VersionConflict
from storage.documents import (
    ABSENT,
    ATOMIC_BYTES,
    ATOMIC_OPERATIONS,
    BulkPut,
    Delete,
    Increment,
    Limits,
    Put,
    Totals,
    Written,
)
from storage.errors import CeilingReached, InvalidKey, InvalidValue, ValueTooLarge
from tests.contract.document_contract import COLLECTION, PARTITION, all_keys, all_written, ref, stored


class DocumentBulkContract:
    """A bulk has an outcome for each of its items, in the order asked."""

    throttles = False
    """Whether the service may answer a bulk write in part; a driver's test module then shows that the rest is sent again."""

    @pytest.mark.line(48)
    def test_a_bulk_is_written_and_read_in_the_order_asked(self, documents):
        keys = [f"k{number}" for number in range(10)]
        assert all_written(documents.put_many([BulkPut(ref(key), {"key": key}) for key in keys]))
        asked = [keys[7], "missing", keys[0], keys[7]]
        found = documents.get_many([ref(key) for key in asked])
        assert [document and document.fields["key"] for document in found] == ["k7", None, "k0", "k7"]

    @pytest.mark.line(48)
    def test_an_empty_bulk_is_nothing(self, documents):
        assert documents.put_many([]) == []
        assert documents.get_many([]) == []

    @pytest.mark.line(49)
    def test_one_refused_document_of_a_bulk_stops_no_other(self, documents):
        documents.put(ref("old"), {"n": 1})
        outcomes = documents.put_many(
            [
                BulkPut(ref("a"), {"n": 2}),
                BulkPut(ref("old"), {"n": 2}, expect=7),
                BulkPut(ref("old"), {"n": 2}, expect=ABSENT),
                BulkPut(ref("b"), {"n": float("nan")}),
                BulkPut(ref(""), {"n": 2}),
                BulkPut(ref("c"), {"n": 2}),
            ]
        )
        assert [type(outcome) for outcome in outcomes] == [
            *(Written, VersionConflict, AlreadyExists, InvalidValue, InvalidKey, Written),
        ]
        assert "'old'" in outcomes[1].detail
        assert all_keys(documents) == ["a", "c", "old"]

    @pytest.mark.line(50)
    def test_a_key_twice_in_a_bulk_is_written_twice_in_order(self, documents):
        first, second = documents.put_many([BulkPut(ref("k"), {"n": 1}), BulkPut(ref("k"), {"n": 2})])
        assert first.version < second.version == stored(documents, "k").version
        assert stored(documents, "k").fields == {"n": 2}

    @pytest.mark.line(51, 72)
    def test_a_bulk_over_every_services_batch_is_written_whole(self, documents):
        keys = [f"k{number:04}" for number in range(1100)]
        outcomes = documents.put_many([BulkPut(ref(key), {}) for key in keys])
        assert len(outcomes) == 1100
        assert all_written(outcomes)
        assert all(documents.get_many([ref(key) for key in keys]))
        assert all_keys(documents, limit=1000) == keys

    @pytest.mark.line(49, 50)
    def test_conditions_beyond_one_commit_hold_each_for_itself(self, documents):
        """More documents, and more bytes, than are written together; one key stands twice, in order."""
        documents.put(ref("k30"), {"n": "old"})
        keys = [f"k{number:02}" for number in range(60)]
        puts = [BulkPut(ref(key), {"n": "x" * 25_000}, ABSENT) for key in [*keys, "k07"]]
        *outcomes, twice = documents.put_many(puts)
        refused = [key for key, outcome in zip(keys, outcomes, strict=True) if isinstance(outcome, AlreadyExists)]
        assert (refused, type(twice)) == (["k30"], AlreadyExists)
        assert all(isinstance(one, Written) for key, one in zip(keys, outcomes, strict=True) if key != "k30")
        assert all_keys(documents) == keys
        assert stored(documents, "k30").fields == {"n": "old"}

    @pytest.mark.line(48, 51)
    def test_a_bulk_may_go_to_several_partitions(self, documents):
        refs = [ref("k", f"table{number % 3}") for number in range(3)] + [ref("l", "table0")]
        assert all_written(documents.put_many([BulkPut(one, {"table": one.partition[0]}) for one in refs]))
        assert [document.fields["table"] for document in documents.get_many(refs)] == [one.partition[0] for one in refs]

    @pytest.mark.line(52)
    def test_what_a_throttled_service_left_over_is_sent_again(self):
        if not self.throttles:
            pytest.skip("capability: this service never answers a bulk write in part")


class DocumentAtomicContract:
    """An atomic write happens whole or not at all."""

    @pytest.mark.line(54, 58)
    def test_the_outcomes_stand_in_the_order_of_the_operations(self, documents):
        documents.put(ref("gone"), {})
        documents.put(ref("n"), {"used": 1, "kept": "x"})
        outcomes = documents.write(
            COLLECTION,
            PARTITION,
            [Delete("gone"), Put("new", {"a": 1}, expect=ABSENT), Increment("n", {"used": 2}), Delete("never was")],
        )
        new, counted = stored(documents, "new"), stored(documents, "n")
        assert outcomes == [
            *(True, Written(new.version, new.updated_at), Totals({"used": 3}, counted.version), False),
        ]
        assert documents.get(ref("gone")) is None
        assert stored(documents, "n").fields == {"used": 3, "kept": "x"}

    @pytest.mark.line(45, 55, 58)
    @pytest.mark.parametrize(
        ("failing", "error"),
        [
            (Put("old", {}, expect=ABSENT), AlreadyExists),
            (Put("old", {}, expect=9), VersionConflict),
            (Put("missing", {}, expect=1), VersionConflict),
            (Delete("old", expect=9), VersionConflict),
            (Increment("old", {"n": 1}, ceilings={"n": 1}), CeilingReached),
            (Increment("old", {"text": 1}), InvalidValue),
        ],
    )
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_one_failing_operation_undoes_all(self, documents, failing, error, place):
        old = documents.put(ref("old"), {"n": 1, "text": "x"})
        other = documents.put(ref("other"), {"n": 1})
        failing = failing if getattr(failing, "expect", None) != 9 else replace(failing, expect=old.version + 9)
        operations = [Put("new", {"n": 1}), Increment("other", {"n": 1})]
        operations.insert(place, failing)
        with pytest.raises(error):
            documents.write(COLLECTION, PARTITION, operations)
        assert all_keys(documents) == ["old", "other"]
        assert (stored(documents, "other").fields, stored(documents, "other").version) == ({"n": 1}, other.version)
        assert stored(documents, "old").version == old.version

    @pytest.mark.line(53)
    def test_a_key_twice_in_one_atomic_write_is_refused(self, documents):
        with pytest.raises(InvalidRequest, match="'k'"):
            documents.write(COLLECTION, PARTITION, [Put("k", {}), Delete("k")])
        assert all_keys(documents) == []

    @pytest.mark.line(56)
    def test_fifty_operations_are_written_and_one_more_is_refused(self, documents):
        operations = [Put(f"k{number:02}", {}) for number in range(ATOMIC_OPERATIONS + 1)]
        with pytest.raises(ValueTooLarge, match="51 operations"):
            documents.write(COLLECTION, PARTITION, operations)
        assert all_keys(documents) == []
        assert all_written(documents.write(COLLECTION, PARTITION, operations[:-1]))
        assert len(all_keys(documents)) == ATOMIC_OPERATIONS

    @pytest.mark.line(56)
    def test_a_mebibyte_is_written_and_more_is_refused(self, documents):
        operations = [Put(f"k{number}", {"a": "x" * (ATOMIC_BYTES // 4 - 20)}) for number in range(4)]
        assert all_written(documents.write(COLLECTION, PARTITION, operations))
        with pytest.raises(ValueTooLarge):
            documents.write(COLLECTION, PARTITION, [*operations, Put("k5", {"a": "x" * 100})])
        assert len(all_keys(documents)) == 4

    @pytest.mark.line(56)
    def test_the_deltas_of_increments_are_among_a_mebibyte(self, documents):
        deltas = {f"field {number}": number for number in range(12_000)}
        with pytest.raises(ValueTooLarge, match="atomic write"):
            documents.write(COLLECTION, PARTITION, [Increment(f"k{number}", deltas) for number in range(5)])
        assert all_keys(documents) == []

    @pytest.mark.line(57)
    def test_an_atomic_write_can_only_name_one_partition(self):
        for operation in (Put, Delete, Increment):
            assert "partition" not in {field.name for field in fields(operation)}

    @pytest.mark.line(59)
    def test_what_the_service_holds_is_declared_in_numbers(self, documents):
        declared = documents._driver.limits
        portable = Limits()
        assert declared.key_bytes >= portable.key_bytes
        assert declared.document_bytes >= portable.document_bytes
        assert declared.atomic_operations >= portable.atomic_operations
        assert declared.atomic_bytes >= portable.atomic_bytes
