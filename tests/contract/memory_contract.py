"""What sessions and blackboards promise, whatever backend is behind them.

A backend's test module gives the fixture `open_memory(tenant="acme", driver=0, **context)`: drivers of two numbers open the same
data, as two processes would.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
import time_machine

from northstar.errors import AlreadyExists, InvalidContext, InvalidRequest, VersionConflict
from storage.documents import ABSENT
from storage.errors import CeilingReached, InvalidKey, InvalidValue, ValueTooLarge
from storage.kinds.memory_store import MemoryStore
from storage.kinds.sessions import MessageIdReused, NewMessage
from tests.contract.stream_contract import run_together

OpenMemory = Callable[..., MemoryStore]


def said(*contents, role="user", **more):
    return [NewMessage(role, content, **more) for content in contents]


def stopped_clock():
    """The process's clock stands still, and may be moved on; the service's goes on."""
    return time_machine.travel(datetime.now(UTC), tick=False)


def contents(session):
    return [message.content for message in session.messages]


class SessionContract:
    @pytest.fixture
    def memory(self, open_memory: OpenMemory) -> MemoryStore:
        return open_memory(user_id="ada")

    @pytest.fixture
    def sessions(self, memory):
        return memory.sessions

    @pytest.mark.line(148)
    def test_messages_come_back_in_the_order_in_which_they_were_appended(self, sessions):
        for text in ("one", "two", "three"):
            sessions.append("s", said(text))
        sessions.append("s", said({"parts": [1, 2.0, None]}, "", role="tool", metadata={"tokens": 3}))
        session = sessions.get("s")
        assert contents(session) == ["one", "two", "three", {"parts": [1, 2.0, None]}, ""]
        assert [message.position for message in session.messages] == [1, 2, 3, 4, 5]
        assert (session.messages[3].role, session.messages[3].metadata) == ("tool", {"tokens": 3})
        assert session.header.updated_at == session.messages[-1].created_at >= session.header.created_at

    @pytest.mark.line(148)
    def test_messages_sent_together_are_stored_together_or_not_at_all(self, sessions):
        with pytest.raises(InvalidValue):
            sessions.append("s", said("good", float("nan")))
        with pytest.raises(ValueTooLarge):
            sessions.append("s", said(*["x" * 340_000] * 4))
        with pytest.raises(ValueTooLarge):
            sessions.append("s", said(*["x"] * 25))
        with pytest.raises(InvalidRequest):
            sessions.append("s", [])
        assert sessions.get("s") is None
        applied = sessions.append("s", said(*range(24)))
        assert [message.position for message in applied.messages] == list(range(1, 25))

    @pytest.mark.line(148)
    def test_fifty_writers_of_two_drivers_lose_no_message(self, open_memory):
        drivers = [open_memory(user_id="ada", driver=number).sessions for number in range(2)]

        def write(writer):
            drivers[writer % 2].append("s", said(f"{writer} begins", f"{writer} ends"))

        run_together(write, 50)
        session = drivers[0].get("s")
        assert sorted(contents(session)[::2]) == sorted(f"{writer} begins" for writer in range(50))
        pairs = zip(contents(session)[::2], contents(session)[1::2], strict=True)
        assert all(first.replace("begins", "ends") == second for first, second in pairs)
        assert session.header.count == 100

    @pytest.mark.line(148)
    def test_windows_read_backwards_make_the_whole_session(self, sessions):
        sessions.append("s", said(*range(1, 21)))
        sessions.append("s", said(*range(21, 31)))
        assert contents(sessions.get("s", limit=3)) == [28, 29, 30]
        assert contents(sessions.get("s", limit=3, before=29)) == [26, 27, 28]
        read: list[int] = []
        before = None
        while True:
            session = sessions.get("s", limit=7, before=before)
            read = contents(session) + read
            before = session.next_before
            if before is None:
                break
        assert read == list(range(1, 31))
        assert contents(sessions.get("s", before=1)) == []
        assert contents(sessions.get("s", limit=2, before=10**9)) == [29, 30]

    def test_an_append_on_condition_of_a_version_is_refused_after_others_have_written(self, sessions):
        first = sessions.append("s", said("hello"), expect=ABSENT).header.version
        second = sessions.append("s", said("how are you"), expect=first).header.version
        for expect, refusal in ((ABSENT, AlreadyExists), (first, VersionConflict)):
            with pytest.raises(refusal):
                sessions.append("s", said("too late"), expect=expect)
        with pytest.raises(VersionConflict):
            sessions.append("other", said("nothing here"), expect=second)
        assert contents(sessions.get("s")) == ["hello", "how are you"]
        assert sessions.get("other") is None

    def test_a_message_whose_id_is_stored_is_answered_again_and_added_once(self, open_memory):
        sessions, again = (open_memory(user_id="ada", driver=number).sessions for number in range(2))
        sent = [NewMessage("user", "hi", message_id="m-1"), NewMessage("user", "ho", message_id="m-2")]
        [first, second] = sessions.append("s", sent).messages
        assert again.append("s", [sent[1], sent[0]]).messages == (second, first)
        with pytest.raises(MessageIdReused):
            again.append("s", [NewMessage("user", "new"), NewMessage("user", "other", message_id="m-1")])
        assert contents(sessions.get("s")) == ["hi", "ho"]

    @pytest.mark.line(148)
    def test_metadata_are_kept_beside_the_messages_and_replaced_on_condition(self, sessions):
        sessions.append("s", said("hello"))
        saved = sessions.save("s", {"topic": "travel", "nested": {"n": 2**60}}, ttl_hint=60)
        session = sessions.get("s")
        assert (session.header.settings.metadata, contents(session)) == (
            {"topic": "travel", "nested": {"n": 2**60}},
            ["hello"],
        )
        assert session.header.version == saved.header.version
        with pytest.raises(VersionConflict):
            sessions.save("s", {}, expect=saved.header.version - 1)
        with pytest.raises(AlreadyExists):
            sessions.save("s", {}, expect=ABSENT)
        with pytest.raises(ValueTooLarge):
            sessions.save("s", {"much": "x" * 20_000})
        assert sessions.save("begun", {"first": True}, expect=ABSENT).header.count == 0

    @pytest.mark.line(148)
    def test_a_session_ends_its_ttl_after_it_was_last_written_and_is_begun_anew(self, sessions, memory):
        with stopped_clock() as clock:
            sessions.save("s", {"of": "the first"}, ttl_hint=60)
            clock.shift(timedelta(seconds=50))
            sessions.append("s", said("one", "two"))
            clock.shift(timedelta(seconds=59))
            assert contents(sessions.get("s")) == ["one", "two"]
            clock.shift(timedelta(seconds=1))
            assert sessions.get("s") is None
            assert sessions.page().sessions == ()
            [message] = sessions.append("s", said("three")).messages
            assert (message.position, contents(sessions.get("s"))) == (1, ["three"])
            assert sessions.get("s").header.settings.metadata == {}

    @pytest.mark.line(148)
    def test_what_an_expired_session_has_left_is_swept(self, sessions, memory):
        with stopped_clock() as clock:
            sessions.save("s", {}, ttl_hint=60)
            sessions.append("s", said("one", "two"))
            sessions.append("lives", said("three"))
            clock.shift(timedelta(hours=2))
            now = datetime.now(UTC)
            assert [memory.sweep(listed_before=now, dry_run=True), memory.sweep(listed_before=now)] == [1, 1]
            assert memory.sweep(listed_before=now) == 0
            assert list(sessions.messages("s")) == []
            assert contents(sessions.get("lives")) == ["three"]

    @pytest.mark.line(148)
    def test_deleting_a_session_leaves_nothing_and_a_new_one_begins_at_one(self, sessions):
        for first in range(0, 72, 24):
            sessions.append("s", said(*range(first, first + 24)))
        assert sessions.delete("s") == 72
        assert (sessions.delete("s"), sessions.get("s"), sessions.page().sessions) == (None, None, ())
        assert list(sessions.messages("s")) == []
        [message] = sessions.append("s", said("again")).messages
        assert (message.position, [one.place.session_id for one in sessions.page().sessions]) == (1, ["s"])

    def test_appends_and_deletions_at_once_leave_whole_sessions(self, open_memory):
        drivers = [open_memory(user_id="ada", driver=number).sessions for number in range(2)]
        positions: list[int] = []

        def act(number):
            for _ in range(4):
                if number == 0:
                    drivers[1].delete("s")
                else:
                    positions.extend(one.position for one in drivers[number % 2].append("s", said("a", "b")).messages)

        run_together(act, 4)
        session = drivers[0].get("s")
        kept = [message.position for message in drivers[0].messages("s")]
        assert kept == list(range(1, (session.header.count if session else 0) + 1))
        assert len(positions) == 24
        assert [one.place.session_id for one in drivers[1].page().sessions] == (["s"] if session else [])

    @pytest.mark.line(148)
    def test_sessions_whose_ids_begin_alike_never_mix(self, sessions):
        ids = ["s", "s_", "s_1", "s_10", "s_10/messages", "s/1", "s#1", "s%2F1", "S_1"]
        for session_id in ids:
            sessions.append(session_id, said(session_id))
        assert [contents(sessions.get(session_id)) for session_id in ids] == [[session_id] for session_id in ids]
        sessions.delete("s_1")
        listed, after = [], None
        while True:
            page = sessions.page(limit=2, after=after)
            listed += [session.place.session_id for session in page.sessions]
            after = page.next_after
            if after is None:
                break
        assert listed == sorted(set(ids) - {"s_1"}, key=str.encode)
        assert contents(sessions.get("s_10")) == ["s_10"]

    def test_an_id_that_no_store_can_hold_is_refused(self, sessions):
        for session_id in ("", "a\nb", "x" * 257, "\ud800"):
            with pytest.raises(InvalidKey):
                sessions.append(session_id, said("hello"))
        for role in ("", "x" * 65):
            with pytest.raises(InvalidRequest):
                sessions.append("s", said("hello", role=role))


class BlackboardContract:
    @pytest.fixture
    def boards(self, open_memory):
        return open_memory(user_id="ada").blackboards()

    @pytest.mark.line(149)
    def test_a_blackboard_is_written_read_replaced_and_removed(self, boards):
        put = boards.put("plan", {"step": 1, "notes": ["a", None, 1.5]})
        assert boards.get("plan") == put
        assert boards.put("plan", {"step": 2}).version > put.version
        assert boards.get("plan").data == {"step": 2}
        assert [boards.delete("plan"), boards.delete("plan"), boards.get("plan")] == [True, False, None]

    @pytest.mark.line(149)
    def test_a_write_on_condition_meets_only_what_it_expects(self, boards):
        version = boards.put("plan", {"n": 1}, expect=ABSENT).version
        with pytest.raises(AlreadyExists):
            boards.put("plan", {"n": 2}, expect=ABSENT)
        boards.put("plan", {"n": 2}, expect=version)
        with pytest.raises(VersionConflict):
            boards.put("plan", {"n": 3}, expect=version)
        with pytest.raises(VersionConflict):
            boards.delete("plan", expect=version)
        assert boards.get("plan").data == {"n": 2}

    @pytest.mark.line(149)
    def test_many_writers_on_condition_never_lose_an_update(self, open_memory):
        drivers = [open_memory(user_id="ada", driver=number).blackboards() for number in range(2)]
        drivers[0].put("list", {"seen": []})

        def add(writer):
            boards = drivers[writer % 2]
            while True:
                board = boards.get("list")
                try:
                    boards.put("list", {"seen": [*board.data["seen"], writer]}, expect=board.version)
                except VersionConflict:
                    continue
                return

        run_together(add, 8)
        assert sorted(drivers[0].get("list").data["seen"]) == list(range(8))

    @pytest.mark.line(149)
    def test_counters_of_a_blackboard_are_exact_and_stop_at_their_ceiling(self, open_memory):
        drivers = [open_memory(user_id="ada", driver=number).blackboards() for number in range(2)]
        refused = []

        def count(writer):
            try:
                drivers[writer % 2].increment("used", {"n": 2}, ceilings={"n": 25})
            except CeilingReached:
                refused.append(writer)

        run_together(count, 16)
        assert (drivers[0].get("used").data, len(refused)) == ({"n": 24}, 4)

    @pytest.mark.line(149)
    def test_an_expired_blackboard_is_absent_at_once_everywhere(self, boards):
        with stopped_clock() as clock:
            now = datetime.now(UTC)
            ends = now + timedelta(seconds=30)
            put = boards.put("short", {"n": 1}, expires_at=ends)
            boards.put("long", {"n": 1}, expires_at=ends + timedelta(hours=1))
            boards.put("kept", {"n": 1}, expires_at=ends)
            boards.put("kept", {"n": 2})
            boards.increment("short", {"n": 1})
            assert (boards.get("short").expires_at, put.expires_at) == (ends, ends)
            clock.shift(timedelta(seconds=30))
            assert boards.get("short") is None
            assert [board.key for board in boards.page().blackboards] == ["kept", "long"]
            assert [board.key for board in boards.every()] == ["kept", "long"]
            assert boards.delete("short") is False
            assert boards.increment("short", {"n": 5}).values == {"n": 5}
            assert boards.put("again", {}, expect=ABSENT).expires_at is None
            with pytest.raises(InvalidValue):
                boards.put("past", {}, expires_at=now)

    @pytest.mark.line(149)
    def test_a_users_blackboards_and_the_projects_are_two_scopes(self, open_memory):
        ada, bob, nobody = open_memory(user_id="ada"), open_memory(user_id="bob"), open_memory()
        ada.blackboards().put("plan", {"of": "ada"})
        bob.blackboards("project").put("plan", {"of": "all"})
        assert ada.blackboards("user").get("plan").data == {"of": "ada"}
        assert bob.blackboards("user").get("plan") is None
        assert [one.blackboards("project").get("plan").data for one in (ada, bob, nobody)] == [{"of": "all"}] * 3
        assert (nobody.blackboards().get("plan").scope, ada.blackboards().get("plan").scope) == ("project", "user")
        with pytest.raises(InvalidContext):
            nobody.blackboards("user")

    @pytest.mark.line(149)
    def test_blackboards_are_listed_by_prefix_a_page_at_a_time(self, boards):
        keys = ["a", "a/b", "a/c", "a#", "b", "ä"]
        for key in keys:
            boards.put(key, {})
        first = boards.page("a", limit=2)
        rest = boards.page("a", limit=10, after=first.next_after)
        assert [board.key for board in (*first.blackboards, *rest.blackboards)] == ["a", "a#", "a/b", "a/c"]
        assert rest.next_after is None
        for key in ("", "x" * 701, "a\x00"):
            with pytest.raises(InvalidKey):
                boards.put(key, {})


class MemoryIsolationContract:
    USERS = ("a", "a#b")
    PROJECTS = ("p/q", "p")
    TENANTS = ("acme", "acme%2Fp")
    MODES = ("lab", "saas")
    CELLS = tuple(product(TENANTS, MODES, PROJECTS, USERS))
    IDS = ("s_1", "b#s_1")
    """User `a` with the session `b#s_1` and user `a#b` with `s_1` would meet wherever parts are joined by `#`."""

    @pytest.fixture
    def cells(self, open_memory):
        return {cell: open_memory(cell[0], mode=cell[1], project_id=cell[2], user_id=cell[3]) for cell in self.CELLS}

    @pytest.mark.line(148, 149)
    def test_each_tenant_mode_project_and_user_sees_its_own_memory_only(self, cells):
        for cell, memory in cells.items():
            for name in self.IDS:
                memory.sessions.append(name, said([*cell, name]))
                memory.blackboards().put(name, {"of": [*cell, name]})
        for cell, memory in cells.items():
            for name in self.IDS:
                assert contents(memory.sessions.get(name)) == [[*cell, name]]
                assert memory.blackboards().get(name).data == {"of": [*cell, name]}
            assert [one.place.session_id for one in memory.sessions.page().sessions] == sorted(self.IDS)
            assert [one.key for one in memory.blackboards().page().blackboards] == sorted(self.IDS)
            assert memory.blackboards("project").page().blackboards == ()
        places = [session.place for memory in cells.values() for session in memory.sessions.page().sessions]
        assert len({place.place.identity(place.session_id) for place in places}) == len(places) == 32

    @pytest.mark.line(148, 149)
    def test_erasing_a_user_removes_all_of_theirs_and_nothing_else(self, cells):
        for cell, memory in cells.items():
            memory.sessions.append("s", said(*range(3)))
            memory.blackboards().put("b", {"of": list(cell)})
            memory.blackboards("project").put("b", {"of": list(cell[:3])})
        gone = list(cells["acme", "lab", "p", "a"].erase("a"))
        assert {(one.room.mode, one.room.project_id) for one in gone} == set(product(self.MODES, self.PROJECTS))
        assert [(one.sessions, one.blackboards) for one in gone] == [({"s": 3}, ["b"])] * 4
        for (tenant, _, _, user), memory in cells.items():
            stays = (tenant, user) != ("acme", "a")
            assert (memory.sessions.get("s") is not None, memory.blackboards().get("b") is not None) == (stays, stays)
            assert (len(memory.sessions.page().sessions), len(list(memory.sessions.messages("s")))) == (
                stays,
                3 * stays,
            )
            assert memory.blackboards("project").get("b") is not None
        people = cells["acme", "lab", "p", "a"].people(limit=100).people
        assert {person.user_id for person in people} == {"a#b", None}
        assert list(cells["acme", "saas", "p", "a"].erase("a")) == []
