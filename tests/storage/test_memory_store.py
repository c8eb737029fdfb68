"""What memory does when answers get lost, processes die half-way, and sessions grow long."""

import os
import threading
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import time_machine

from northstar.context import RequestContext
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.documents import Ref
from storage.errors import BackendUnavailable
from storage.keys import Scope
from storage.kinds import session_appender
from storage.kinds.memory_places import COLLECTION, PEOPLE, Place, Room
from storage.kinds.sessions import NewMessage
from storage.opening import open_store
from tests.conftest import filesystem_routes
from tests.contract.memory_lab import opened_memory

MANY = int(os.environ.get("NORTHSTAR_MANY_MESSAGES", "600"))
"""How long the long session is; 10000 to see it all."""


class Died(BaseException):
    """The process is gone: nothing of it runs on."""


class Unreliable(FilesystemDocuments):
    """The real driver on a bad line: it drops answers or requests, dies at a call, and counts the calls that it gets."""

    lost_answers = 0
    lost_requests = 0
    dies_at = 0

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.calls: list[str] = []

    def write(self, *arguments, **options):
        self._called("write")
        if self.lost_requests:
            self.lost_requests -= 1
            raise BackendUnavailable("The request was lost.")
        outcome = super().write(*arguments, **options)
        if self.lost_answers:
            self.lost_answers -= 1
            raise BackendUnavailable("The answer was lost.")
        return outcome

    def put(self, *arguments, **options):
        self._called("put")
        return super().put(*arguments, **options)

    def put_many(self, *arguments, **options):
        self._called("put_many")
        return super().put_many(*arguments, **options)

    def delete(self, *arguments, **options):
        self._called("delete")
        return super().delete(*arguments, **options)

    def get(self, *arguments, **options):
        self.calls.append("get")
        return super().get(*arguments, **options)

    def get_many(self, *arguments, **options):
        self.calls.append("get_many")
        return super().get_many(*arguments, **options)

    def scan(self, *arguments, **options):
        self.calls.append("scan")
        return super().scan(*arguments, **options)

    def _called(self, name):
        self.calls.append(name)
        if self.dies_at:
            self.dies_at -= 1
            if not self.dies_at:
                raise Died


@pytest.fixture
def open_memory(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    config = FilesystemConfig(base_dir=str(tmp_path / "var"), durability="none")
    with opened_memory(lambda: Unreliable(config, mode="lab", epoch=1), "filesystem") as open_it:
        yield open_it


@pytest.fixture
def memory(open_memory):
    return open_memory(user_id="ada")


def driver_of(memory):
    return memory._documents._driver


def said(*texts):
    return [NewMessage("user", text) for text in texts]


def contents(memory, session_id="s"):
    return [message.content for message in memory.sessions.get(session_id, limit=1000).messages]


@pytest.mark.line(148)
@pytest.mark.parametrize("message_id", [None, "m-1"])
@pytest.mark.parametrize("fault", ["lost_answers", "lost_requests"])
@pytest.mark.parametrize("first", [True, False])
def test_an_append_whose_answer_or_request_was_lost_is_stored_once(memory, message_id, fault, first):
    if not first:
        memory.sessions.append("s", said("before"))
    setattr(driver_of(memory), fault, 2)
    [message] = memory.sessions.append("s", [NewMessage("user", "hello", message_id=message_id)]).messages
    assert message.position == 2 - first
    assert contents(memory) == ["before", "hello"][first:]


def test_a_backend_that_stays_away_is_reported_and_the_next_append_works(memory):
    driver_of(memory).lost_requests = 3
    with pytest.raises(BackendUnavailable):
        memory.sessions.append("s", said("lost"))
    memory.sessions.append("s", said("hello"))
    assert contents(memory) == ["hello"]


@pytest.mark.line(148)
def test_a_long_session_costs_the_same_at_its_end_as_at_its_beginning(memory, tmp_path):
    driver, costs, sizes = driver_of(memory), [], []
    log = tmp_path / "var/memory_store/acme/dev/_/sessions/@ada/lab/s.jsonl"
    for number in range(MANY):
        driver.calls.clear()
        memory.sessions.append("s", said(f"message {number:06}"))
        costs.append(len(driver.calls))
        sizes.append(log.stat().st_size)
    assert sum(costs) <= MANY + 4 + MANY // 20  # the header is read again after a second
    assert sizes[-1] - sizes[-2] < 1.1 * (sizes[2] - sizes[1])
    driver.calls.clear()
    session = memory.sessions.get("s", limit=20)
    assert (session.header.count, len(session.messages), session.messages[-1].position) == (MANY, 20, MANY)
    assert sorted(driver.calls) == ["get", "scan"]


def test_callers_that_come_at_once_share_writes(memory, monkeypatch):
    driver = driver_of(memory)
    memory.sessions.append("s", said("first"))
    entered, released, write = threading.Event(), threading.Event(), driver.write

    def slow_write(*arguments, **options):
        entered.set()
        released.wait(10)
        return write(*arguments, **options)

    monkeypatch.setattr(driver, "write", slow_write)
    threads = [threading.Thread(target=memory.sessions.append, args=("s", said(number))) for number in range(25)]
    threads[0].start()
    entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    appender = session_appender.appender_for(memory._documents, memory.sessions._at("s"))
    while len(appender._commits._queue) < 24:
        pass
    driver.calls.clear()
    released.set()
    for thread in threads:
        thread.join()
    assert driver.calls.count("write") == 2
    assert len(contents(memory)) == 26


@pytest.mark.line(148)
def test_whoever_dies_at_any_step_of_beginning_a_session_loses_nothing_that_was_told(open_memory):
    for step in count(1):
        dying, other = open_memory(user_id="ada", driver=2 * step), open_memory(user_id="ada", driver=2 * step + 1)
        session_id = f"s{step}"
        driver_of(dying).dies_at = step
        try:
            dying.sessions.append(session_id, said("told"))
        except Died:
            assert session_id not in listed(other)
            other.sessions.append(session_id, said("told"))
        assert (contents(other, session_id), session_id in listed(other)) == (["told"], True)
        if driver_of(dying).dies_at:
            return


@pytest.mark.line(148)
def test_whoever_dies_at_any_step_of_ending_a_session_leaves_it_whole_or_gone(open_memory):
    for step in count(1):
        dying, other = open_memory(user_id="ada", driver=2 * step), open_memory(user_id="ada", driver=2 * step + 1)
        session_id = f"s{step}"
        for first in range(0, 72, 24):
            dying.sessions.append(session_id, said(*range(first, first + 24)))
        driver_of(dying).dies_at = step
        try:
            dying.sessions.delete(session_id)
        except Died:
            whole = other.sessions.get(session_id) is not None
            assert whole is (step == 1)
            assert (session_id in listed(other)) is whole
            assert (
                whole or other.sessions.delete(session_id) is not None or not list(other.sessions.messages(session_id))
            )
            assert other.sessions.sweep(listed_before=datetime.now(UTC)) == 0
        [message] = other.sessions.append(session_id, said("again")).messages
        assert message.position == 1 + 72 * (step == 1)
        assert [one.position for one in other.sessions.messages(session_id)] == list(range(1, message.position + 1))
        assert session_id in listed(other)
        if driver_of(dying).dies_at:
            return


def listed(memory):
    return [session.place.session_id for session in memory.sessions.page(limit=1000).sessions]


@pytest.mark.line(148)
def test_an_end_that_was_cut_short_is_swept_when_nobody_meets_it(open_memory):
    dying, other = open_memory(user_id="ada"), open_memory(user_id="ada", driver=1)
    dying.sessions.append("s", said(*range(24)))
    driver_of(dying).dies_at = 2
    with pytest.raises(Died):
        dying.sessions.delete("s")
    assert len(list(other.sessions.messages("s"))) == 24
    assert other.sweep(listed_before=datetime.now(UTC)) == 1
    assert list(other.sessions.messages("s")) == []


def test_a_slow_deletion_never_touches_the_session_that_was_begun_after_it(open_memory, monkeypatch):
    slow, other = open_memory(user_id="ada"), open_memory(user_id="ada", driver=1)
    slow.sessions.append("s", said(*range(24)))
    driver = driver_of(slow)
    write = driver.write

    def late(*arguments, **options):
        monkeypatch.setattr(driver, "write", write)
        other.sessions.append("s", said("new"))  # ends what it meets half ended, and begins anew
        return write(*arguments, **options)

    monkeypatch.setattr(driver, "write", late)
    assert slow.sessions.delete("s", expect=other.sessions.get("s").header.version) == 24
    assert (contents(other), listed(other)) == (["new"], ["s"])


def test_erasing_leaves_no_document_of_the_user_and_no_line_of_theirs_in_any_file(open_memory, tmp_path):
    memory, canary = open_memory(user_id="ada", project_id="atlas"), "only-ada-said-so"
    memory.sessions.save("told", {"topic": canary})
    memory.sessions.append("told", said(canary))
    memory.blackboards().put("told", {"what": canary})
    memory.sessions.delete("told")
    memory.sessions.append("told", said(canary, "again"))
    open_memory(user_id="bob").sessions.append("s", said("bob's"))
    assert canary.encode() in everything_below(tmp_path)
    assert [one.sessions for one in open_memory().erase("ada")] == [{"told": 2}]
    assert canary.encode() not in everything_below(tmp_path)
    assert contents(open_memory(user_id="bob")) == ["bob's"]


def everything_below(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_erasing_leaves_no_document_that_names_the_user(open_memory):
    memory = open_memory(user_id="ada", project_id="atlas")
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        memory.sessions.save("expired", {}, ttl_hint=1)
        memory.sessions.append("expired", said("one"))
        memory.sessions.append("s", said("two"))
        memory.blackboards().put("b", {})
        clock.shift(timedelta(seconds=2))
        [erased] = open_memory(user_id="bob").erase("ada")
    assert (erased.sessions, erased.blackboards) == ({"expired": 1, "s": 1}, ["b"])
    documents = memory._documents
    place = Place(Scope("acme", "dev"), Room("lab", "atlas"), "ada")
    partitions = [place.sessions, place.blackboards, PEOPLE]
    partitions += [("sessions", "@ada", "lab@atlas", session_id) for session_id in ("expired", "s")]
    assert [documents.scan(COLLECTION, partition).documents for partition in partitions] == [()] * 5


def test_a_room_and_its_name_are_one_thing():
    for room in (Room("lab"), Room("lab", "a"), Room("lab", "a/b%2fc@d"), Room("lab", "%")):
        assert Room.named(room.name) == room
    assert Room("lab", "a/b").name != Room("lab", "a%2fb").name


def test_memory_is_the_tenants_whatever_the_surface(acme):
    filesystem_routes(acme)
    for surface in ("_", "squared2"):
        store = open_store("memory_store", RequestContext("acme", "dev", "lab", surface_id=surface, user_id="ada"))
        store.sessions.append("s", said(surface))
    assert contents(store) == ["_", "squared2"]
    assert store._documents.get(Ref(COLLECTION, PEOPLE, "@ada")) is not None
