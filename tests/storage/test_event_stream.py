"""What the event stream does when answers get lost, writers race, and a process keeps what it knows too long."""

import threading

import pytest

from storage.backends.filesystem import FilesystemDocuments
from storage.errors import BackendUnavailable, Conflict
from storage.kinds import appending, stream_appender
from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent, events_appended
from tests.storage.stores import FilesystemStores


class Unreliable(FilesystemDocuments):
    """The real driver on a bad line: it drops the next answers, or the next requests."""

    lost_answers = 0
    lost_requests = 0

    def write(self, *arguments, **options):
        if self.lost_requests:
            self.lost_requests -= 1
            raise BackendUnavailable("The request was lost.")
        outcome = super().write(*arguments, **options)
        if self.lost_answers:
            self.lost_answers -= 1
            raise BackendUnavailable("The answer was lost.")
        return outcome


@pytest.fixture
def stores(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    stores = FilesystemStores(tmp_path, Unreliable)
    yield stores
    stores.close()


@pytest.fixture
def streams(stores):
    return stores.open(EventStream, "event_stream")


def numbers(streams):
    return [event.data for event in streams.list_after("orders", limit=1000).events]


@pytest.mark.line(123)
@pytest.mark.parametrize("event_id", [None, "order-1"])
@pytest.mark.parametrize("fault", ["lost_answers", "lost_requests"])
def test_an_append_whose_answer_or_request_was_lost_is_stored_once(streams, event_id, fault):
    setattr(streams._documents._driver, fault, 2)
    [event] = streams.append("orders", [NewEvent("placed", 1, event_id=event_id)])
    assert event.position == 1
    assert numbers(streams) == [1]


def test_a_backend_that_stays_away_is_reported_and_the_next_append_works(streams):
    streams._documents._driver.lost_requests = 3
    with pytest.raises(BackendUnavailable):
        streams.append("orders", [NewEvent("placed", 1)])
    streams.append("orders", [NewEvent("placed", 2)])
    assert numbers(streams) == [2]


def test_a_caller_with_a_bad_event_does_not_fail_the_others_of_its_write(streams):
    streams.append("orders", [NewEvent("placed", 0, event_id="taken")])
    outcomes = {}

    def append(name, event):
        try:
            outcomes[name] = streams.append("orders", [event])[0].position
        except Conflict as error:
            outcomes[name] = error.code

    events = {f"good {n}": NewEvent("placed", n) for n in range(6)} | {"bad": NewEvent("moved", 0, event_id="taken")}
    threads = [threading.Thread(target=append, args=item) for item in events.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.pop("bad") == "CONFLICT"
    assert sorted(outcomes.values()) == [2, 3, 4, 5, 6, 7]


def test_callers_that_wait_together_share_atomic_writes(streams, monkeypatch):
    driver, writes = streams._documents._driver, []
    entered, released = threading.Event(), threading.Event()
    write = driver.write

    def slow_write(collection, partition, operations, **options):
        writes.append(len(operations))
        entered.set()
        released.wait(10)
        return write(collection, partition, operations, **options)

    monkeypatch.setattr(driver, "write", slow_write)
    threads = [threading.Thread(target=streams.append, args=("orders", [NewEvent("n", n)])) for n in range(25)]
    threads[0].start()
    entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    appender = stream_appender.appender_for(streams._documents, streams._stream("orders"))
    while len(appender._commits._queue) < 24:
        pass
    released.set()
    for thread in threads:
        thread.join()
    assert writes == [2, 48]


def test_a_stream_that_is_always_taken_by_others_is_a_conflict(stores, streams, monkeypatch):
    monkeypatch.setattr(appending, "LONGEST_PAUSE_SECONDS", 0)
    rival = stores.open(EventStream, "event_stream")
    driver = streams._documents._driver
    write = driver.write

    def always_late(*arguments, **options):
        rival.append("orders", [NewEvent("rival", {})])
        return write(*arguments, **options)

    monkeypatch.setattr(driver, "write", always_late)
    with pytest.raises(Conflict, match="too busy"):
        streams.append("orders", [NewEvent("placed", {})])
    assert streams.head("orders") == appending.ATTEMPTS


def test_an_append_tells_those_who_listen_which_stream_has_grown(streams):
    heard = []

    def listen(*, scope, stream_id, **_signal):
        heard.append((scope.tenant, stream_id))

    events_appended.connect(listen)
    try:
        streams.append("orders", [NewEvent("placed", {})])
    finally:
        events_appended.disconnect(listen)
    assert heard == [("acme", "orders")]


def test_what_a_process_knows_of_a_stream_goes_with_its_driver(stores, streams):
    streams.append("orders", [NewEvent("placed", 1)])
    other = stores.open(EventStream, "event_stream", folder="elsewhere")
    [event] = other.append("orders", [NewEvent("placed", 2)])
    assert event.position == 1


def test_only_the_streams_used_last_are_remembered(streams, monkeypatch):
    monkeypatch.setattr(appending, "KEPT_PER_DRIVER", 2)
    for stream_id in ("a", "b", "c"):
        streams.append(stream_id, [NewEvent("placed", {})])
    remembered = stream_appender._appenders.names(streams._documents.cache_anchor)
    assert [binding[-1] for binding in remembered] == ["b", "c"]
