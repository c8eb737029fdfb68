"""What every networked backend promises when the network breaks: one write happens once, and its caller is told the truth.

A backend's test module gives the fixtures `server_address` (`host:port`) and `open_at(address)`: each call opens acme's documents
of the same place at that address, through a driver of its own as in another process.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, NorthstarError
from storage.backends.bulk_conditions import TOGETHER
from storage.documents import ABSENT, BulkPut, Delete, Increment, Put, Totals, Written
from storage.errors import BackendUnavailable
from storage.guard import GuardedDocuments
from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent
from tests.contract.document_contract import COLLECTION, PARTITION, ref, stored
from tests.stack.fault_proxy import FaultProxy, fault_proxy

OpenAt = Callable[[str], GuardedDocuments]
WRITERS = 8
EVENTS_EACH = 200
MORE_THAN_TOGETHER = TOGETHER + 10
CONTEXT = RequestContext("acme", "dev", "lab")

WRITES: dict[str, Callable[..., Any]] = {
    "put": lambda documents, **named: documents.put(ref("k"), {"n": 2}, **named),
    "replace": lambda documents, **named: documents.put(
        ref("k"), {"n": 2}, expect=stored(documents, "k").version, **named
    ),
    "create": lambda documents, **named: documents.put(ref("new"), {"n": 2}, expect=ABSENT, **named),
    "increment": lambda documents, **named: documents.increment(ref("k"), {"n": 1}, **named),
    "delete": lambda documents, **named: documents.delete(ref("k"), **named),
    "append": lambda documents, **named: documents.write(
        COLLECTION, PARTITION, [Put("e/1", {"n": 2}, ABSENT), Put("i/a", {"n": 2}, ABSENT)], **named
    ),
    "atomic write": lambda documents, **named: documents.write(
        COLLECTION, PARTITION, [Increment("k", {"n": 1}), Put("new", {"n": 2}), Delete("gone")], **named
    ),
}


def truth_of(write: str, direct: GuardedDocuments) -> Any:
    """What the write must have answered, told from what is stored now; it fails where the write did not happen once."""
    if write == "delete":
        assert direct.get(ref("k")) is None
        return True
    if write == "append":
        assert (stored(direct, "e/1").fields, stored(direct, "i/a").fields) == ({"n": 2}, {"n": 2})
        return [_written(direct, "e/1"), _written(direct, "i/a")]
    if write == "atomic write":
        assert (stored(direct, "k").fields, stored(direct, "new").fields) == ({"n": 2}, {"n": 2})
        assert direct.get(ref("gone")) is None
        return [Totals({"n": 2}, stored(direct, "k").version), _written(direct, "new"), True]
    key = "new" if write == "create" else "k"
    assert stored(direct, key).fields == {"n": 2}
    return Totals({"n": 2}, stored(direct, key).version) if write == "increment" else _written(direct, key)


def _written(direct: GuardedDocuments, key: str) -> Written:
    document = stored(direct, key)
    return Written(document.version, document.updated_at)


class DocumentFaultContract:
    """The documents of a place whose network breaks between the SDK, with the settings that it has in service, and the server."""

    @pytest.fixture
    def proxy(self, server_address: str) -> Iterator[FaultProxy]:
        with fault_proxy(server_address) as proxy:
            yield proxy

    @pytest.fixture
    def direct(self, open_at: OpenAt, server_address: str) -> GuardedDocuments:
        """Acme's documents past the proxy, with two documents."""
        documents = open_at(server_address)
        for key in ("k", "gone"):
            documents.put(ref(key), {"n": 1})
        return documents

    @pytest.fixture
    def documents(self, direct: GuardedDocuments, open_at: OpenAt, proxy: FaultProxy) -> GuardedDocuments:
        """The same documents through the proxy, already connected."""
        documents = open_at(proxy.address)
        assert stored(documents, "k").fields == {"n": 1}
        return documents

    @pytest.mark.line(123, 135)
    @pytest.mark.parametrize("skip", [0, 1], ids=["first answer", "second answer"])
    @pytest.mark.parametrize("write", WRITES)
    def test_a_write_whose_answer_is_lost_happens_once_and_says_so(self, documents, direct, proxy, write, skip):
        proxy.drop_response(once=1, skip=skip)
        answer = WRITES[write](documents)
        assert proxy.events == 1 or skip
        assert answer == truth_of(write, direct)

    @pytest.mark.line(123, 135)
    @pytest.mark.parametrize("skip", [0, 1], ids=["first answer", "second answer"])
    @pytest.mark.parametrize("write", WRITES)
    def test_so_does_one_with_an_operation_id(self, documents, direct, proxy, write, skip):
        proxy.drop_response(once=1, skip=skip)
        answer = WRITES[write](documents, operation_id="op-1")
        assert proxy.events == 1 or skip
        assert answer == truth_of(write, direct)
        assert WRITES[write](documents, operation_id="op-1") == answer

    @pytest.mark.line(49, 123)
    @pytest.mark.parametrize("skip", [0, 1], ids=["first answer", "second answer"])
    def test_a_bulk_whose_answer_is_lost_says_of_each_document_what_became_of_it(self, documents, direct, proxy, skip):
        """More conditions than one commit takes. What was refused is told so, or that nobody knows; never that it was written."""
        created = [f"n{number:02}" for number in range(MORE_THAN_TOGETHER)]
        puts = [BulkPut(ref("k"), {"n": 2}, stored(direct, "k").version), BulkPut(ref("gone"), {"n": 2}, ABSENT)]
        puts += [BulkPut(ref(key), {"n": 2}, ABSENT) for key in created]
        proxy.drop_response(once=1, skip=skip)
        replaced, refused, *others = documents.put_many(puts)
        assert isinstance(refused, AlreadyExists | BackendUnavailable)
        for key, outcome in zip(["k", *created], [replaced, *others], strict=True):
            assert (outcome, stored(direct, key).fields) == (_written(direct, key), {"n": 2})
        assert stored(direct, "gone").fields == {"n": 1}

    @pytest.mark.line(123, 135)
    @pytest.mark.parametrize("write", WRITES)
    def test_a_request_that_never_arrives_is_sent_again_when_it_has_an_operation_id(
        self, documents, direct, proxy, write
    ):
        proxy.reset(once=1)
        assert WRITES[write](documents, operation_id="op-1") == truth_of(write, direct)

    @pytest.mark.line(123)
    @pytest.mark.parametrize("write", WRITES)
    def test_without_one_it_happens_once_or_is_told_as_unavailable(self, documents, direct, proxy, write):
        before = {key: direct.get(ref(key)) for key in ("k", "gone", "new", "e/1")}
        proxy.reset(once=1)
        try:
            answer = WRITES[write](documents)
        except BackendUnavailable:
            assert {key: direct.get(ref(key)) for key in before} == before
        else:
            assert answer == truth_of(write, direct)

    @pytest.mark.line(123, 132, 135)
    def test_a_counter_under_lost_answers_counts_each_operation_id_once(self, documents, direct, proxy):
        proxy.lose_responses(0.2, seed=7)
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda number: _until_answered(documents, f"op-{number}"), range(80)))
        proxy.clear()
        assert stored(direct, "k").fields == {"n": 81}
        assert sorted(totals.values["n"] for totals in done) == list(range(2, 82))

    @pytest.mark.line(143, 145)
    def test_a_backend_that_is_down_is_told_and_is_used_again_when_it_is_back(self, documents, direct, proxy):
        proxy.refuse()
        for call in (lambda: documents.get(ref("k")), lambda: WRITES["put"](documents)):
            with pytest.raises(BackendUnavailable):
                call()
        assert stored(direct, "k").fields == {"n": 1}
        proxy.clear()
        assert WRITES["put"](documents) == truth_of("put", direct)

    @pytest.mark.line(143)
    def test_a_backend_that_is_down_at_the_start_is_used_when_it_comes(self, direct, open_at, proxy):
        proxy.refuse()
        documents = open_at(proxy.address)
        with pytest.raises(BackendUnavailable):
            documents.get(ref("k"))
        proxy.clear()
        assert stored(documents, "k").fields == {"n": 1}

    @pytest.mark.line(144, 145)
    def test_a_half_open_connection_ends_in_an_error_and_is_left_behind(self, documents, direct, proxy):
        proxy.black_hole()
        with pytest.raises(BackendUnavailable):
            WRITES["increment"](documents)
        proxy.clear()
        assert stored(documents, "k").fields == stored(direct, "k").fields
        named = documents.increment(ref("k"), {"n": 1}, operation_id="op-1")
        assert named.values == stored(direct, "k").fields


def _until_answered(documents: GuardedDocuments, operation_id: str) -> Totals:
    """Count as a client does: the same id again until it is answered."""
    while True:
        try:
            return documents.increment(ref("k"), {"n": 1}, operation_id=operation_id)
        except NorthstarError as error:
            if not error.retryable:
                raise


class StreamFaultContract:
    """An event stream stays dense and whole while answers are lost."""

    @pytest.mark.line(121, 122, 123)
    def test_eight_writers_who_lose_a_fifth_of_the_answers_make_one_dense_stream(self, open_at, server_address):
        expected = {f"w{writer}-{number}" for writer in range(WRITERS) for number in range(EVENTS_EACH)}
        with fault_proxy(server_address) as proxy:
            streams = [EventStream(open_at(proxy.address), CONTEXT) for _ in range(2)]
            reader = EventStream(open_at(server_address), CONTEXT)
            proxy.lose_responses(0.2, seed=11)
            with ThreadPoolExecutor(WRITERS + 1) as pool:
                tail = pool.submit(_follow, reader, len(expected))
                list(pool.map(lambda writer: _append_all(streams[writer % 2], writer), range(WRITERS)))
                seen = tail.result()
        assert [event.position for event in seen] == list(range(1, len(expected) + 1))
        assert {event.event_id for event in seen} == expected


def _append_all(streams: EventStream, writer: int) -> None:
    for number in range(EVENTS_EACH):
        event = NewEvent("counted", {"n": number}, event_id=f"w{writer}-{number}")
        while not _appended(streams, event):
            pass


def _appended(streams: EventStream, event: NewEvent) -> bool:
    try:
        streams.append("orders", [event])
    except NorthstarError as error:
        if not error.retryable:
            raise
        return False
    return True


def _follow(reader: EventStream, count: int) -> list[Any]:
    seen: list[Any] = []
    while len(seen) < count:
        seen += reader.list_after("orders", len(seen), 100).events
    return seen
