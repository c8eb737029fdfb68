"""What the DynamoDB driver promises beyond the contract: few calls, readable items, documents of any shape, a life cycle."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from northstar.errors import AlreadyExists, VersionConflict
from storage.backends.dynamodb import DynamoDBDocuments
from storage.documents import ABSENT, ANY, DOCUMENT_BYTES, BulkPut, Delete, Increment, Put, Ref
from storage.errors import BackendUnavailable, CeilingReached, InvalidValue, ValueTooLarge
from storage.guard import GuardedDocuments
from storage.values import encode
from tests.contract.document_contract import COLLECTION, PARTITION, all_keys, all_written, ref, stored
from tests.contract.document_contract_values import VALUES, exact
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.stack.aws_faults import AwsFaults
from tests.stack.fixtures import AwsAccount

backend = "dynamodb (MiniStack)"
PK = "contract#acme#dev#_#orders"
NUMBERS = {"list": [1] * 100_000}
"""Two bytes each as JSON, three as DynamoDB counts."""


@pytest.fixture
def dynamodb(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def driver(dynamodb: DynamoDBLab) -> DynamoDBDocuments:
    return dynamodb.prepared()


@pytest.fixture
def documents(driver: DynamoDBDocuments) -> GuardedDocuments:
    return guarded(driver)


@pytest.fixture
def faults(driver: DynamoDBDocuments) -> AwsFaults:
    return AwsFaults(driver.native().meta.events)


def item_at(driver: DynamoDBDocuments, key: str):
    return driver.native().get_item(TableName="northstar", Key={"pk": {"S": PK}, "sk": {"S": key}})["Item"]


class TestRoundTrips:
    """One call of the service per operation, counted where the SDK sends."""

    @pytest.mark.line(81)
    @pytest.mark.parametrize(
        ("call", "calls"),
        [
            (lambda documents, _: documents.get(ref("k")), {"GetItem": 1}),
            (lambda documents, _: documents.put(ref("k"), {"n": 2}), {"PutItem": 1}),
            (lambda documents, _: documents.put(ref("new"), {"n": 2}, expect=ABSENT), {"PutItem": 1}),
            (lambda documents, version: documents.put(ref("k"), {"n": 2}, expect=version), {"PutItem": 1}),
            (lambda documents, _: documents.delete(ref("k")), {"PutItem": 1}),
            (lambda documents, version: documents.delete(ref("k"), expect=version), {"PutItem": 1}),
            (lambda documents, _: documents.delete(ref("new")), {"PutItem": 1}),
            (lambda documents, _: documents.increment(ref("k"), {"n": 1}, ceilings={"n": 2}), {"UpdateItem": 1}),
            (lambda documents, _: documents.increment(ref("k"), {"money": Decimal("0.1")}), {"UpdateItem": 1}),
            (lambda documents, _: documents.increment(ref("k"), {"money": 1}), {"UpdateItem": 2}),
            (lambda documents, _: documents.increment(ref("k"), {"another": 1}), {"UpdateItem": 2}),
            (lambda documents, _: documents.increment(ref("new"), {"n": 1}), {"UpdateItem": 1, "PutItem": 1}),
            (lambda documents, _: documents.scan(COLLECTION, PARTITION, limit=1), {"Query": 1}),
            (lambda documents, _: documents.scan(COLLECTION, PARTITION, prefix="k", before="l"), {"Query": 1}),
            (lambda documents, _: documents.get_many([ref("k"), ref("l"), ref("k")]), {"BatchGetItem": 1}),
            (
                lambda documents, _: documents.put_many([BulkPut(ref(key), {}) for key in "abcde"]),
                {"BatchWriteItem": 1},
            ),
            (
                lambda documents, _: documents.write(COLLECTION, PARTITION, [Put(key, {}, ABSENT) for key in "abcde"]),
                {"TransactWriteItems": 1},
            ),
            (
                lambda documents, _: documents.write(COLLECTION, PARTITION, [Delete("l"), Increment("k", {"n": 1})]),
                {"BatchGetItem": 1, "TransactWriteItems": 1},
            ),
            (
                lambda documents, _: documents.put(ref("k"), {}, operation_id="a"),
                {"TransactGetItems": 1, "TransactWriteItems": 1},
            ),
            (
                lambda documents, _: documents.increment(ref("k"), {"n": 1}, operation_id="a"),
                {"TransactGetItems": 1, "TransactWriteItems": 1},
            ),
        ],
    )
    def test_an_operation_takes_so_many_calls(self, documents, faults, call, calls):
        version = documents.put(ref("k"), {"n": 1, "money": Decimal("0.1")}).version
        documents.put(ref("l"), {})
        faults.attempts.clear()
        call(documents, version)
        assert faults.attempts == calls

    def test_a_refusal_takes_no_second_call(self, documents, faults):
        version = documents.put(ref("k"), {"n": 1, "text": "x"}).version
        refusals = [
            (lambda: documents.put(ref("k"), {}, expect=ABSENT), AlreadyExists),
            (lambda: documents.put(ref("k"), {}, expect=version + 1), VersionConflict),
            (lambda: documents.delete(ref("k"), expect=version + 1), VersionConflict),
            (lambda: documents.increment(ref("k"), {"n": 1}, ceilings={"n": 1}), CeilingReached),
            (lambda: documents.increment(ref("k"), {"text": 1}), InvalidValue),
        ]
        for number, (call, error) in enumerate(refusals, start=2):
            with pytest.raises(error):
                call()
            assert faults.attempts.total() == number

    @pytest.mark.line(81)
    def test_a_page_is_one_call_however_many_deleted_documents_lie_before_it(self, documents, faults):
        keys = [f"k{number:03}" for number in range(300)]
        documents.put_many([BulkPut(ref(key), {}) for key in keys])
        for key in keys[:250]:
            documents.delete(ref(key))
        faults.attempts.clear()
        assert [document.ref.key for document in documents.scan(COLLECTION, PARTITION, limit=10).documents] == keys[
            250:260
        ]
        assert faults.attempts["Query"] <= 4

    @pytest.mark.line(72, 81)
    def test_a_page_over_a_megabyte_is_read_whole(self, documents, faults):
        documents.put_many([BulkPut(ref(f"k{number}"), {"a": "x" * 300_000}) for number in range(8)])
        page = documents.scan(COLLECTION, PARTITION, limit=8)
        assert ([len(document.fields["a"]) for document in page.documents], page.cursor) == ([300_000] * 8, None)
        assert faults.attempts["Query"] > 1


class TestItems:
    """Items can be read in the console, and hold every document that the contract allows."""

    def test_a_document_is_an_item_of_native_values_beside_its_envelope(self, documents, driver):
        expiry = datetime(2100, 1, 1, 12, tzinfo=UTC)
        fields = {"n": 1, "price": Decimal("1.5"), "f": 0.5, "list": ["a", None, True, b"x"], "$a": {"$b": {"$c": 1}}}
        written = documents.put(ref("a/b"), fields, expires_at=expiry, operation_id="op-1")
        assert item_at(driver, "a/b") == {
            "pk": {"S": PK},
            "sk": {"S": "a/b"},
            "doc": {
                "M": {
                    "n": {"N": "1"},
                    "price": {"M": {"$decimal": {"N": "1.5"}}},
                    "f": {"M": {"$float": {"S": "0.5"}}},
                    "list": {"L": [{"S": "a"}, {"NULL": True}, {"BOOL": True}, {"B": b"x"}]},
                    "$a": {"M": {"$$b": {"M": {"$$c": {"N": "1"}}}}},
                }
            },
            "version": {"N": str(written.version)},
            "expires": {"N": "4102488000000000"},
            "reap": {"N": str(4102488000 + 3600)},
            "epoch": {"N": "1"},
            "operation": {"S": "op-1"},
        }
        assert exact(stored(documents, "a/b").fields) == exact(fields)

    @pytest.mark.parametrize("tag", ["$decimal", "$float", "$datetime", "$$decimal"])
    def test_a_value_that_looks_like_a_tag_is_neither_read_nor_added_to_as_one(self, documents, tag):
        fields = {"a": {tag: 5, "b": 1}, "c": {tag: 5}, tag: 5}
        documents.put(ref("k"), fields)
        for name in "ac":
            with pytest.raises(InvalidValue):
                documents.increment(ref("k"), {name: Decimal(1)})
        assert exact(stored(documents, "k").fields) == exact(fields)

    @pytest.mark.line(22)
    @pytest.mark.parametrize("item", [1, -1, 0.5, [], {}, True, None, "", b"", Decimal(1), {"$a": 1}], ids=repr)
    def test_any_document_of_the_largest_size_is_stored(self, documents, item):
        fields = {"list": [item] * ((DOCUMENT_BYTES - 20) // (len(encode({"a": item})) - 5))}
        documents.put(ref("k"), fields)
        assert exact(stored(documents, "k").fields) == exact(fields)

    @pytest.mark.line(24, 34)
    @pytest.mark.parametrize("number", ["1E+125", "-9.9E+125", "1E-130", "12E+38"])
    def test_a_decimal_that_dynamodb_writes_out_with_all_its_zeros_can_be_written_again(self, documents, number):
        documents.put(ref("k"), {"far": Decimal(number), "f": 0.5})
        found = stored(documents, "k").fields
        assert found == {"far": Decimal(number), "f": 0.5}
        documents.put(ref("l"), found)
        documents.increment(ref("k"), {"f": 1.0})
        assert stored(documents, "k").fields == {"far": Decimal(number), "f": 1.5}

    @pytest.mark.line(24, 34)
    def test_a_packed_document_can_be_counted_in_and_deleted(self, documents, driver):
        documents.put(ref("k"), NUMBERS)
        assert "json" in item_at(driver, "k")
        assert documents.increment(ref("k"), {"n": 1}).values == {"n": 1}
        assert stored(documents, "k").fields == {**NUMBERS, "n": 1}
        assert [document.ref.key for document in documents.scan(COLLECTION, PARTITION).documents] == ["k"]
        assert documents.delete(ref("k")) is True

    @pytest.mark.line(56)
    def test_an_atomic_write_that_touches_too_much_is_refused_whole(self, documents):
        keys = [f"k{number}" for number in range(14)]
        documents.put_many([BulkPut(ref(key), {"n": 1, "a": "x" * 340_000}) for key in keys])
        with pytest.raises(ValueTooLarge, match="4000000"):
            documents.write(COLLECTION, PARTITION, [Increment(key, {"n": 1}) for key in keys])
        assert {document.fields["n"] for document in documents.get_many([ref(key) for key in keys])} == {1}

    @pytest.mark.line(47)
    def test_a_deleted_document_leaves_a_trace_that_dynamodb_may_remove_after_a_day(self, documents, driver):
        documents.put(ref("k"), {"a": 1})
        before = datetime.now(UTC)
        documents.delete(ref("k"))
        trace = item_at(driver, "k")
        assert trace.keys() == {"pk", "sk", "gone", "version", "epoch", "operation", "reap"}
        assert int(trace["reap"]["N"]) >= (before + timedelta(days=1)).timestamp()

    @pytest.mark.line(10)
    def test_answers_to_operation_ids_are_in_no_listing(self, documents, driver):
        documents.put(ref("k"), {}, operation_id="a")
        assert all_keys(documents) == ["k"]
        items = driver.native().scan(TableName="northstar")["Items"]
        assert sorted(item["pk"]["S"] for item in items) == [PK, f"{PK}#%o"]

    @pytest.mark.line(135)
    def test_an_operation_id_is_forgotten_after_a_day(self, documents):
        first = documents.increment(ref("k"), {"n": 1}, operation_id="a")
        with time_machine.travel(datetime.now(UTC) + timedelta(days=1, seconds=1), tick=False):
            second = documents.increment(ref("k"), {"n": 1}, operation_id="a")
        assert (first.values, second.values) == ({"n": 1}, {"n": 2})

    @pytest.mark.line(135)
    def test_an_operation_id_of_a_large_atomic_write_is_remembered(self, documents):
        operations = [Increment(f"k{number:02}", {"n": 1}) for number in range(30)]
        first = documents.write(COLLECTION, PARTITION, operations, operation_id="a")
        assert documents.write(COLLECTION, PARTITION, operations, operation_id="a") == first
        assert stored(documents, "k07").fields == {"n": 1}


class TestScans:
    """Bounds are computed, because DynamoDB takes one condition per key."""

    @pytest.mark.line(9, 79)
    @pytest.mark.parametrize("prefix", ["\U0010ffff", "a\U0010ffff", "\ud7ff", "a\ud7ff", "~", "a" * 900])
    def test_a_prefix_may_end_where_text_has_no_next_character(self, documents, prefix):
        keys = [prefix, "a", "\ue000", "a\ue000", "b", "\U0010ffff" * 2, prefix[:200] + "\U0010ffff"]
        documents.put_many([BulkPut(ref(key), {}) for key in dict.fromkeys(keys)])
        expected = sorted({key for key in keys if key.startswith(prefix)}, key=str.encode)
        assert all_keys(documents, prefix=prefix, limit=1) == expected
        assert all_keys(documents, prefix=prefix, reverse=True) == expected[::-1]
        assert all_keys(documents, prefix=prefix, after=prefix) == expected[1:]


class TestVersions:
    """Versions are moments, and grow even where clocks do not."""

    def test_a_clock_that_stands_still_or_goes_back_cannot_stop_versions(self, documents):
        with time_machine.travel(datetime.now(UTC), tick=False) as clock:
            versions = [documents.put(ref("k"), {"n": 1}).version for _ in range(2)]
            versions.append(documents.increment(ref("k"), {"n": 1}).version)
            clock.shift(-60)
            versions.append(documents.put(ref("k"), {"n": 1}, expect=versions[-1]).version)
            versions.append(documents.put(ref("k"), {"n": 1}).version)
            assert documents.delete(ref("k")) is True
            versions.append(documents.put(ref("k"), {}, expect=ABSENT).version)
        assert versions == sorted(set(versions))

    def test_every_value_may_be_counted_beside(self, documents):
        documents.put(ref("k"), VALUES)
        documents.increment(ref("k"), {"zero": 1, "money": Decimal("0.01"), "float": 1.0})
        assert exact(stored(documents, "k").fields) == exact(
            {**VALUES, "zero": 1, "money": Decimal("20.00"), "float": 1.1}
        )


class TestBusyCounters:
    """Native increments are quick, and give way to what has to read first."""

    @pytest.mark.line(132, 135)
    def test_what_reads_before_it_writes_gets_its_turn_on_a_busy_counter(self, documents):
        done = threading.Event()

        def count(_: int) -> int:
            counted = 0
            while not done.is_set():
                documents.increment(ref("k"), {"n": 1})
                counted += 1
            return counted

        with ThreadPoolExecutor(8) as pool:
            counts = [pool.submit(count, number) for number in range(8)]
            try:
                for number in range(5):
                    documents.increment(ref("k"), {"n": 1}, operation_id=f"op-{number}")
                    documents.write(COLLECTION, PARTITION, [Increment("k", {"n": 1}), Put("other", {})])
                    documents.increment(ref("k"), {"cost": 0.5})
            finally:
                done.set()
            total = sum(count.result() for count in counts)
        assert stored(documents, "k").fields == {"n": total + 10, "cost": 2.5}


class TestLife:
    """Nothing is opened before it is needed, and nothing answers once it is closed."""

    @pytest.mark.line(142)
    def test_a_closed_driver_refuses_everything(self, driver):
        driver.get(Ref(COLLECTION, PARTITION, "k"))
        driver.close()
        driver.close()
        for call in (
            lambda: driver.get(Ref(COLLECTION, PARTITION, "k")),
            lambda: driver.put(Ref(COLLECTION, PARTITION, "k"), {}),
            lambda: driver.scan(COLLECTION, PARTITION),
            driver.prepare,
            driver.ping,
            driver.native,
        ):
            with pytest.raises(BackendUnavailable, match="closed"):
                call()

    def test_a_driver_that_was_never_used_closes(self, dynamodb):
        dynamodb.driver().close()

    def test_a_child_process_opens_connections_of_its_own(self, documents):
        documents.put(ref("k"), {"n": 1})
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            answer = b"wrong"
            try:
                documents.increment(ref("k"), {"n": 1})
                answer = b"done"
            finally:
                os.write(writing, answer)
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == b"done"
        os.waitpid(child, 0)
        assert documents.increment(ref("k"), {"n": 1}).values == {"n": 3}

    def test_the_epoch_is_that_of_the_route_which_wrote(self, dynamodb):
        for epoch in (3, 4):
            driver = dynamodb.driver(epoch=epoch)
            driver.prepare()
            driver.put(Ref(COLLECTION, PARTITION, "k"), {"n": 1})
            assert driver.get(Ref(COLLECTION, PARTITION, "k")).epoch == epoch
        assert all_written(driver.put_many([BulkPut(Ref(COLLECTION, PARTITION, "k"), {}, ANY)]))
