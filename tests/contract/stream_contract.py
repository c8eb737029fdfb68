"""What every event stream promises, whatever backend is behind it.

A backend's test module gives the fixture `open_streams(tenant="acme")`: each call opens the same data through another driver,
as another process would.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from northstar.errors import InvalidRequest
from storage.documents import Put
from storage.errors import CursorGone, InvalidCursor, InvalidKey, InvalidValue, ValueTooLarge
from storage.kinds.event_stream import EventStream
from storage.kinds.events import EventIdReused, NewEvent

OpenStreams = Callable[..., EventStream]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def numbered(count, start=1):
    return [NewEvent("counted", {"n": n}) for n in range(start, start + count)]


def append_all(streams, stream_id, count, start=1):
    for first in range(start, start + count, 20):
        streams.append(stream_id, numbered(min(20, start + count - first), first))


def read_all(streams, stream_id, limit=1000):
    events, position = [], 0
    while True:
        page = streams.list_after(stream_id, position, limit)
        events += page.events
        if page.up_to_date:
            return events
        position = page.events[-1].position


def counted(events):
    return [event.data["n"] for event in events]


class StreamContract:
    @pytest.fixture
    def streams(self, open_streams: OpenStreams) -> EventStream:
        return open_streams()

    # order ---------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(121)
    def test_positions_are_dense_and_start_at_one(self, streams):
        stored = [streams.append("orders", [NewEvent("placed", {})])[0] for _ in range(3)]
        stored += streams.append("orders", numbered(24))
        assert [event.position for event in stored] == list(range(1, 28))
        assert streams.head("orders") == 27

    def test_a_thousand_events_under_a_frozen_clock_keep_their_order(self, streams):
        with time_machine.travel(NOON, tick=False):
            append_all(streams, "orders", 1000)
        events = read_all(streams, "orders")
        assert counted(events) == list(range(1, 1001))
        assert {event.recorded_at for event in events} == {NOON}

    def test_a_thousand_events_under_a_clock_going_backwards_keep_their_order(self, streams):
        with time_machine.travel(NOON, tick=False) as clock:
            for first in range(1, 1001, 10):
                streams.append("orders", numbered(10, first))
                clock.shift(timedelta(minutes=-1))
        events = read_all(streams, "orders")
        assert counted(events) == list(range(1, 1001))
        assert [event.recorded_at for event in events] == sorted(event.recorded_at for event in events)
        assert events[-1].ts < events[0].ts

    def test_the_time_that_a_client_gives_is_data_and_never_the_order(self, streams):
        times = [NOON, datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), NOON]
        for time in times:
            streams.append("orders", [NewEvent("placed", {}, ts=time)])
        assert [event.ts for event in read_all(streams, "orders")] == times

    @pytest.mark.line(121)
    def test_many_writers_of_two_drivers_make_one_dense_stream(self, open_streams):
        drivers = [open_streams(), open_streams()]
        seen: list[int] = []

        def write(writer):
            streams = drivers[writer % 2]
            seen.extend(streams.append("orders", [NewEvent("placed", {"n": writer})])[0].position for _ in range(15))

        run_together(write, 8)
        assert sorted(seen) == list(range(1, 121))
        assert [event.position for event in read_all(drivers[0], "orders")] == list(range(1, 121))

    @pytest.mark.line(82, 122)
    def test_a_reader_that_follows_two_writers_sees_each_event_once_and_in_order(self, open_streams):
        reader, seen = open_streams(), list[int]()
        writers = [threading.Thread(target=append_all, args=(open_streams(), "orders", 200)) for _ in range(2)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers) or len(seen) < 400:
            seen += [event.position for event in reader.list_after("orders", len(seen), 7).events]
        for writer in writers:
            writer.join()
        assert seen == list(range(1, 401))

    # reading -------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(122)
    def test_reading_after_a_position_never_returns_it(self, streams):
        append_all(streams, "orders", 5)
        assert counted(streams.list_after("orders", 3).events) == [4, 5]
        assert streams.list_after("orders", 5).events == ()
        assert streams.list_after("orders", 10**30).events == ()

    @pytest.mark.line(122)
    @pytest.mark.parametrize("limit", [1, 2, 3, 10, 11, 30])
    def test_pages_of_any_size_make_the_same_stream(self, streams, limit):
        append_all(streams, "orders", 30)
        assert counted(read_all(streams, "orders", limit)) == list(range(1, 31))

    def test_the_last_page_says_that_it_is_the_last(self, streams):
        append_all(streams, "orders", 4)
        first, last = streams.list_after("orders", 0, 2), streams.list_after("orders", 2, 2)
        assert (first.up_to_date, last.up_to_date, last.next_cursor) == (False, True, None)
        assert streams.resolve_after("orders", first.next_cursor or "") == 2

    def test_a_reader_stops_at_a_hole_until_it_closes(self, streams):
        append_all(streams, "orders", 2)
        [third] = open_hole(streams, "orders", 4)
        page = streams.list_after("orders", 0)
        assert (counted(page.events), page.up_to_date) == ([1, 2], False)
        assert streams.resolve_after("orders", page.next_cursor or "") == 2
        third()
        assert [event.position for event in read_all(streams, "orders")] == [1, 2, 3, 4]

    @pytest.mark.line(126)
    def test_a_stream_never_written_is_empty(self, streams):
        page = streams.list_after("nothing")
        assert (page.events, page.up_to_date, page.next_cursor, streams.head("nothing")) == ((), True, None, 0)

    # cursors -------------------------------------------------------------------------------------------------------------

    def test_an_event_id_a_position_and_a_cursor_stand_for_the_same_place(self, streams):
        append_all(streams, "orders", 3)
        second = streams.list_after("orders").events[1]
        for token in (second.event_id, "2", "0002", second.cursor):
            assert streams.resolve_after("orders", token) == 2

    def test_a_position_beyond_the_end_stands_for_the_end(self, streams):
        append_all(streams, "orders", 3)
        assert streams.resolve_after("orders", "9" * 30) == 3

    def test_an_unknown_event_id_is_gone_and_says_where_to_resume(self, streams):
        append_all(streams, "orders", 3)
        with pytest.raises(CursorGone) as gone:
            streams.resolve_after("orders", "never-seen")
        assert (gone.value.reason, gone.value.earliest, gone.value.tail) == ("unknown_event", 0, 3)

    @pytest.mark.line(77)
    def test_a_cursor_of_another_stream_or_tenant_or_a_changed_one_is_refused(self, open_streams):
        acme, globex = open_streams("acme"), open_streams("globex")
        [event] = acme.append("orders", [NewEvent("placed", {})])
        for streams, stream_id, token in (
            (acme, "returns", event.cursor),
            (globex, "orders", event.cursor),
            (acme, "orders", event.cursor[:-1]),
            (acme, "orders", "x" * 5000),
            (acme, "orders", "bad\nid"),
        ):
            with pytest.raises(InvalidCursor):
                streams.resolve_after(stream_id, token)

    def test_the_start_of_an_empty_stream_stays_its_start(self, streams):
        token = streams.start_cursor("orders", streams.state("orders"), 0)
        append_all(streams, "orders", 2)
        assert streams.resolve_after("orders", token) == 0

    # identity ------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(123)
    def test_an_event_sent_again_is_answered_as_it_was_stored(self, open_streams):
        event = NewEvent("placed", {"total": 5, "lines": [1, 2]}, event_id="order-7")
        [first] = open_streams().append("orders", [event])
        [again] = open_streams().append(
            "orders", [NewEvent("placed", {"lines": [1, 2], "total": 5}, event_id="order-7")]
        )
        assert again == first
        assert open_streams().head("orders") == 1

    def test_an_id_twice_in_one_batch_is_stored_once(self, streams):
        stored = streams.append(
            "orders", [NewEvent("a", 1, event_id="x"), NewEvent("b", 2), NewEvent("a", 1, event_id="x")]
        )
        assert [event.position for event in stored] == [1, 2, 1]

    @pytest.mark.parametrize("other", [NewEvent("placed", True, event_id="x"), NewEvent("moved", 1, event_id="x")])
    def test_an_id_with_another_type_or_other_data_is_refused_with_its_whole_batch(self, streams, other):
        streams.append("orders", [NewEvent("placed", 1, event_id="x")])
        with pytest.raises(EventIdReused, match="'x'"):
            streams.append("orders", [NewEvent("new", {}), other])
        assert streams.head("orders") == 1

    @pytest.mark.line(121)
    def test_writers_with_the_same_id_make_one_event(self, open_streams):
        drivers = [open_streams(), open_streams()]
        positions: list[int] = []

        def write(writer):
            events = [NewEvent("placed", {"n": n}, event_id=f"order-{n}") for n in range(5)]
            positions.append(drivers[writer % 2].append("orders", events)[0].position)

        run_together(write, 8)
        assert len(set(positions)) == 1
        assert counted(read_all(drivers[0], "orders")) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("event_id", ["", "17", "٣", "cur_x", "a\nb", "\ud800", "x" * 300])
    def test_an_id_that_would_be_read_as_something_else_is_refused(self, streams, event_id):
        with pytest.raises(InvalidKey):
            streams.append("orders", [NewEvent("placed", {}, event_id=event_id)])
        assert streams.head("orders") == 0

    def test_ids_are_made_for_events_without_one(self, streams):
        stored = streams.append("orders", numbered(3))
        assert len({event.event_id for event in stored}) == 3
        assert all(event.event_id[14] == "7" for event in stored)  # the version digit of a UUIDv7

    # values and limits ---------------------------------------------------------------------------------------------------

    @pytest.mark.line(125)
    @pytest.mark.parametrize(
        "data",
        [
            None,
            True,
            0,
            2**70,
            1.0,
            "",
            "line\r\nline",
            [],
            {},
            Decimal("1.10"),
            b"\xff\x00",
            {"a": [{"b": None}]},
            {"$int": "1"},
        ],
        ids=repr,
    )
    def test_data_come_back_with_their_type(self, streams, data):
        streams.append("orders", [NewEvent("kept", data)])
        [event] = streams.list_after("orders").events
        assert (type(event.data), event.data) == (type(data), data)

    @pytest.mark.line(128)
    def test_an_event_over_the_limit_is_refused_whole(self, streams):
        with pytest.raises(ValueTooLarge):
            streams.append("orders", [NewEvent("small", {}), NewEvent("big", "x" * 360_000)])
        assert streams.head("orders") == 0
        streams.append("orders", [NewEvent("big", "x" * 350_000)])
        assert len(streams.list_after("orders").events[0].data) == 350_000

    @pytest.mark.line(129)
    def test_more_than_an_atomic_write_holds_is_refused_before_anything_is_written(self, streams):
        for events in ([], numbered(25), [NewEvent("big", "x" * 300_000)] * 4):
            with pytest.raises((ValueTooLarge, InvalidRequest)):
                streams.append("orders", events)
        assert streams.head("orders") == 0

    @pytest.mark.parametrize("name", ["", "x" * 129, "two\nlines", "two\rlines"])
    def test_an_event_type_is_one_short_line(self, streams, name):
        with pytest.raises((InvalidKey, InvalidValue)):
            streams.append("orders", [NewEvent(name, {})])

    def test_a_time_without_a_zone_is_refused(self, streams):
        with pytest.raises(InvalidValue):
            streams.append("orders", [NewEvent("placed", {}, ts=datetime(2026, 1, 1))])  # noqa: DTZ001

    @pytest.mark.parametrize("stream_id", ["a", "A", "a/b", "a#b", "a b", "ä", "..", "a/events", "events", "%2F"])
    def test_streams_with_odd_names_stay_apart(self, streams, stream_id):
        streams.append("a/b/c", numbered(2))
        streams.append(stream_id, [NewEvent("mine", stream_id)])
        assert [event.data for event in read_all(streams, stream_id)] == [stream_id]

    # tenants -------------------------------------------------------------------------------------------------------------

    def test_another_tenant_sees_nothing(self, open_streams):
        open_streams("acme").append("orders", [NewEvent("secret", {}, event_id="mine")])
        globex = open_streams("globex")
        assert globex.list_after("orders").events == ()
        with pytest.raises(CursorGone):
            globex.resolve_after("orders", "mine")
        [event] = globex.append("orders", [NewEvent("other", {}, event_id="mine")])
        assert event.position == 1


def run_together(work, count):
    """Run `work(0)` … `work(count - 1)` in threads that start at once; an error of one is the caller's."""
    ready, errors = threading.Barrier(count), []

    def run(number):
        try:
            ready.wait()
            work(number)
        except Exception as error:  # noqa: BLE001 - carried to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def open_hole(streams, stream_id, position):
    """Write the event at `position` although the one before is missing; return a function that writes that one."""
    documents = streams._documents
    [stored] = documents.scan("event_stream", (stream_id, "events"), prefix="e/", limit=1).documents
    partition = (stream_id, "events")
    documents.write("event_stream", partition, [Put(f"e/{position:020d}", stored.fields)])
    return [lambda: documents.write("event_stream", partition, [Put(f"e/{position - 1:020d}", stored.fields)])]
