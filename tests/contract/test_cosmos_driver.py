"""What the Cosmos driver promises beyond the contract: few calls, readable items, a fit container, a life cycle."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosAccessConditionFailedError

from northstar.errors import AlreadyExists, VersionConflict
from northstar.modes import LAB
from storage.backends.cosmos import CosmosDocuments
from storage.backends.cosmos_items import adding, removing
from storage.backends.service import Stored, version_at
from storage.documents import ABSENT, ANY, ATOMIC_BYTES, DOCUMENT_BYTES, BulkPut, Delete, Increment, Put, Ref
from storage.errors import BackendRejected, BackendUnavailable, CeilingReached, ValueTooLarge
from storage.guard import GuardedDocuments
from storage.values import encode
from tests.contract.cosmos_lab import Control, cosmos_config, cosmos_driver, guarded
from tests.contract.document_contract import COLLECTION, PARTITION, all_written, ref, stored
from tests.stack.fault_proxy import fault_proxy

PK = "contract#acme#dev#_#orders"


@pytest.fixture
def driver(cosmos_database) -> Iterator[CosmosDocuments]:
    with cosmos_driver(cosmos_config(cosmos_database)) as driver:
        yield driver


@pytest.fixture
def documents(driver) -> GuardedDocuments:
    return guarded(driver)


@pytest.fixture
def control(cosmos_database) -> Control:
    return Control(cosmos_database.url)


@pytest.fixture
def container(driver, cosmos_database):
    database = driver.native().get_database_client(cosmos_database.database)
    return database.get_container_client("northstar")


class TestRoundTrips:
    """One call of the service per operation, counted by the server."""

    @pytest.mark.line(81)
    @pytest.mark.parametrize(
        ("call", "calls"),
        [
            (lambda documents, _: documents.get(ref("k")), {"read": 1}),
            (lambda documents, _: documents.put(ref("k"), {"n": 2}), {"upsert": 1}),
            (lambda documents, _: documents.put(ref("new"), {"n": 2}, expect=ABSENT), {"create": 1}),
            (lambda documents, version: documents.put(ref("k"), {"n": 2}, expect=version), {"patch": 1}),
            (lambda documents, _: documents.delete(ref("k")), {"patch": 1}),
            (lambda documents, _: documents.delete(ref("new")), {"patch": 1}),
            (lambda documents, _: documents.increment(ref("k"), {"n": 1, "m": 2}, ceilings={"n": 2}), {"patch": 1}),
            (lambda documents, _: documents.scan(COLLECTION, PARTITION, limit=1), {"query": 1}),
            (lambda documents, _: documents.get_many([ref("k"), ref("l")]), {"query": 1}),
            (lambda documents, _: documents.put_many([BulkPut(ref(key), {}) for key in "abc"]), {"batch": 1}),
            (
                lambda documents, _: documents.write(COLLECTION, PARTITION, [Put(key, {}, ABSENT) for key in "abc"]),
                {"batch": 1},
            ),
            (lambda documents, _: documents.put(ref("k"), {}, operation_id="a"), {"query": 1, "batch": 1}),
            (lambda documents, _: documents.increment(ref("k"), {"n": 0.5}), {"read": 1, "batch": 1}),
        ],
    )
    def test_an_operation_is_one_call_and_two_with_an_operation_id(self, documents, control, call, calls):
        version = documents.put(ref("k"), {"n": 1}).version
        documents.put(ref("l"), {"n": 1})
        control.forget_counts()
        call(documents, version)
        assert control.counts() == calls

    @pytest.mark.line(123)
    def test_a_call_that_comes_after_it_was_given_up_is_not_done_any_more(self, documents, container):
        documents.put(ref("k"), {"n": 0})
        now = datetime.now(UTC)
        sent = Stored(version_at(now), {}, now, operation_id="sent")
        late = [adding(Increment("k", {"n": 1}), sent), removing(ANY, sent)]
        documents.increment(ref("k"), {"n": 1}, operation_id="the same, finished by reading first")
        for patch in late:
            with pytest.raises(CosmosAccessConditionFailedError):
                container.patch_item("k", PK, patch.operations, filter_predicate=patch.predicate)
        assert stored(documents, "k").fields == {"n": 1}

    def test_leftovers_in_a_scan_cost_no_calls(self, documents, control):
        soon = datetime.now(UTC) + timedelta(minutes=1)
        documents.put_many([BulkPut(ref(f"k{number:02}"), {}, expires_at=soon) for number in range(40)])
        documents.put_many([BulkPut(ref(f"l{number:02}"), {}) for number in range(40)])
        for number in range(38):
            documents.delete(ref(f"l{number:02}"))
        control.forget_counts()
        with time_machine.travel(soon, tick=False):
            page = documents.scan(COLLECTION, PARTITION, limit=2)
        assert [document.ref.key for document in page.documents] == ["l38", "l39"]
        assert page.cursor is None
        assert control.counts() == {"query": 1}

    def test_a_refused_write_is_told_by_one_read(self, documents, control):
        version = documents.put(ref("k"), {"n": 1}).version
        for call, error in (
            (lambda: documents.put(ref("k"), {}, expect=ABSENT), AlreadyExists),
            (lambda: documents.put(ref("k"), {}, expect=version + 1), VersionConflict),
            (lambda: documents.delete(ref("k"), expect=version + 1), VersionConflict),
            (lambda: documents.increment(ref("k"), {"n": 1}, ceilings={"n": 1}), CeilingReached),
        ):
            control.forget_counts()
            with pytest.raises(error):
                call()
            assert control.counts().pop("read") == 1
            assert sum(control.counts().values()) == 2


class TestItems:
    """A person can read them in the portal, and everything that the contract allows fits."""

    def test_an_item_shows_the_fields_and_the_envelope_beside_them(self, documents, container):
        expiry = datetime(2050, 1, 1, tzinfo=UTC)
        written = documents.put(ref("a/é"), {"n": 1, "price": 1.5, "id": "mine"}, expires_at=expiry)
        item = container.read_item("a~2f~c3~a9", PK)
        assert item["fields"] == {"n": 1, "price": {"$float": "1.5"}, "id": "mine"}
        assert (item["sort"], item["version"], item["written"]["epoch"]) == ("a/~c3~a9", written.version, 1)
        assert item["expires_at"] == "2050-01-01T00:00:00.000000Z"
        assert item["ttl"] == pytest.approx((expiry - datetime.now(UTC)).total_seconds() + 3600, abs=60)

    def test_what_is_deleted_leaves_a_trace_for_a_day_and_memories_stay_as_long(self, documents, container):
        documents.put(ref("k"), {"n": 1}, operation_id="a")
        documents.delete(ref("k"))
        trace = container.read_item("k", PK)
        (memory,) = container.query_items("SELECT * FROM c WHERE IS_DEFINED(c.answers)", partition_key=PK)
        assert not {"fields", "sort"} & trace.keys()
        assert trace["ttl"] == memory["ttl"] == 25 * 3600
        assert documents.scan(COLLECTION, PARTITION).documents == ()

    def test_an_expiry_beyond_what_the_service_can_count_is_kept_by_ourselves(self, documents, container):
        documents.put(ref("k"), {}, expires_at=datetime.max.replace(tzinfo=UTC))
        assert container.read_item("k", PK)["ttl"] == -1

    def test_many_small_numbers_are_one_text_and_can_still_be_added_to(self, documents, container):
        fields = {"list": [0.5] * (DOCUMENT_BYTES // 5), "n": 1}
        documents.put(ref("k"), fields)
        assert isinstance(container.read_item("k", PK)["fields"], str)
        assert documents.increment(ref("k"), {"n": 1}).values == {"n": 2}
        assert stored(documents, "k").fields == fields | {"n": 2}

    @pytest.mark.line(56)
    @pytest.mark.parametrize("value", ["é", "漢", "😀", "\x01", '"', 0.5, 1e-300, 2**60, b"\xff\xff"])
    def test_a_mebibyte_of_anything_is_written_at_once(self, documents, value):
        each = len(_encoded_list([value])) - len(_encoded_list([])) + 1
        some = [value] * ((ATOMIC_BYTES // 4 - 100) // each)
        operations = [Put(f"k{number}", {"list": some}) for number in range(4)]
        assert all_written(documents.write(COLLECTION, PARTITION, operations, operation_id="a"))
        assert documents.get_many([ref("k0"), ref("k3")])[1].fields == {"list": some}

    @pytest.mark.line(56)
    def test_increments_in_documents_too_large_for_one_request_are_refused_as_that(self, documents):
        large = {"text": "x" * (DOCUMENT_BYTES - 100), "n": 0}
        assert all_written(documents.put_many([BulkPut(ref(f"k{number}"), large) for number in range(8)]))
        with pytest.raises(ValueTooLarge, match="too large for one request"):
            documents.write(COLLECTION, PARTITION, [Increment(f"k{number}", {"n": 1}) for number in range(8)])
        assert stored(documents, "k0").fields == large

    def test_fifty_operations_on_the_longest_keys_are_written_at_once(self, documents):
        keys = [f"{number:03}" + "\U0001f600" * 224 for number in range(50)]
        documents.write(COLLECTION, PARTITION, [Put(key, {"n": 1, "t": "x" * 20_000}) for key in keys])
        steps = [*[Increment(key, {"n": 1}) for key in keys[:-1]], Delete(keys[-1])]
        outcomes = documents.write(COLLECTION, PARTITION, steps, operation_id="a")
        assert documents.write(COLLECTION, PARTITION, steps, operation_id="a") == outcomes
        assert documents.scan(COLLECTION, PARTITION, limit=1000).documents[48].fields["n"] == 2

    @pytest.mark.line(135)
    def test_an_operation_id_may_be_used_again_after_its_day(self, documents):
        documents.increment(ref("k"), {"n": 1}, operation_id="a")
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
            assert documents.increment(ref("k"), {"n": 1}, operation_id="a").values == {"n": 2}
            assert documents.increment(ref("k"), {"n": 1}, operation_id="a").values == {"n": 2}

    def test_a_sum_beyond_53_bits_is_exact(self, documents):
        documents.put(ref("k"), {"n": 2**53 - 2})
        assert [documents.increment(ref("k"), {"n": 1}).values["n"] for _ in range(3)] == [2**53 - 1, 2**53, 2**53 + 1]
        assert stored(documents, "k").fields == {"n": 2**53 + 1}


class TestContainer:
    """`prepare` makes what is missing, and a container that cannot hold documents is refused."""

    def test_preparing_twice_is_preparing_once(self, driver, container):
        driver.prepare()
        made = container.read()
        assert (made["partitionKey"]["paths"], made["partitionKey"]["version"], made["defaultTtl"]) == (["/pk"], 2, -1)
        assert {path["path"] for path in made["indexingPolicy"]["includedPaths"]} == {"/pk/?", "/sort/?"}
        driver.ping()

    def test_a_missing_container_is_told_with_the_command_that_makes_it(self, cosmos_database):
        driver = CosmosDocuments(cosmos_config(cosmos_database), mode="lab", epoch=1)
        for call in (driver.ping, lambda: driver.get(Ref("c", ("acme",), "k"))):
            with pytest.raises(BackendRejected, match="does not exist") as refusal:
                call()
            assert "routes prepare" in refusal.value.fix
        driver.prepare()
        assert driver.get(Ref("c", ("acme",), "k")) is None
        driver.close()

    def test_a_container_that_is_dropped_later_is_told_likewise(self, driver, documents, cosmos_database):
        documents.put(ref("k"), {})
        driver.native().get_database_client(cosmos_database.database).delete_container("northstar")
        for call in (lambda: documents.get(ref("k")), lambda: documents.put(ref("k"), {})):
            with pytest.raises(BackendRejected, match="does not exist"):
                call()

    @pytest.mark.parametrize(
        ("path", "ttl", "reason"), [("/tenant", -1, "partition key"), ("/pk", None, "never reaps")]
    )
    def test_a_container_made_for_something_else_is_refused(self, driver, cosmos_database, path, ttl, reason):
        database = driver.native().get_database_client(cosmos_database.database)
        database.create_container("other", PartitionKey(path, version=2), default_ttl=ttl)
        other = CosmosDocuments(cosmos_config(cosmos_database, container="other"), mode="lab", epoch=1)
        for call in (other.prepare, other.ping):
            with pytest.raises(BackendRejected, match=reason):
                call()
        other.close()


class TestLifeCycle:
    """A driver opens at first use, in each process anew, and closes for good."""

    @pytest.mark.line(142)
    def test_a_closed_driver_says_so_and_may_be_closed_again(self, driver, documents):
        documents.put(ref("k"), {})
        driver.close()
        driver.close()
        for call in (lambda: driver.get(Ref("c", ("acme",), "k")), driver.prepare, driver.ping, driver.native):
            with pytest.raises(BackendUnavailable, match="closed"):
                call()

    @pytest.mark.line(123)
    def test_a_write_under_way_when_its_driver_is_closed_is_never_told_as_done(self, documents, cosmos_database):
        address = cosmos_database.url.removeprefix("http://")
        with fault_proxy(address) as proxy, ThreadPoolExecutor(1) as pool:
            closing_soon = CosmosDocuments(cosmos_config(cosmos_database, endpoint=proxy.url), mode=LAB, epoch=1)
            guarded(closing_soon).put(ref("k"), {})
            proxy.black_hole()
            write = pool.submit(guarded(closing_soon).put, ref("k"), {})
            proxy.wait_for_events()
            closing_soon.close()
            proxy.clear()
            # The hole swallows the request: where the SDK knows that it never left, the plain "closed" is the truth.
            with pytest.raises(BackendUnavailable, match=r"may have happened or not|store is closed"):
                write.result()

    @pytest.mark.line(147)
    def test_the_sdks_client_and_error_are_at_hand_for_diagnostics(self, driver, documents, control):
        assert isinstance(driver.native(), CosmosClient)
        control.fault(403, operation="read")
        with pytest.raises(BackendRejected, match="403/0") as refusal:
            documents.get(ref("k"))
        assert refusal.value.__cause__.status_code == 403

    def test_a_child_process_opens_its_own_connections(self, driver, documents):
        documents.put(ref("k"), {"n": 1})
        client = driver.native()
        child = os.fork()
        if child == 0:
            ours = driver.native() is not client and documents.increment(ref("k"), {"n": 1}).values == {"n": 2}
            os._exit(0 if ours else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert driver.native() is client
        assert stored(documents, "k").fields == {"n": 2}


def _encoded_list(values: list) -> bytes:
    return encode({"list": values})
