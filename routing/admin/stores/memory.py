"""Sessions and blackboards of a user, or of a project as a whole, and of whom there is anything at all."""

from typing import Any, ClassVar

from django.http import HttpResponse

from northstar.errors import InvalidRequest, NotFound
from routing.admin.stores.pages import StorePage, store_page
from routing.admin.stores.visits import PAGE_SIZE, Pager, Visit
from routing.admin_site import STORES
from storage.kinds.memory_people import Person
from storage.kinds.memory_store import MemoryStore
from storage.kinds.sessions import Session


@store_page
class SessionsPage(StorePage):
    """Read-only: what was said is the user's and their application's."""

    slug = "sessions"
    title = "Sessions"
    section = STORES
    lead = "Conversations of a user, message by message, and which users have any."
    kind = "memory_store"
    by_user = True
    views: ClassVar[dict[str, str]] = {"people": "people", "session": "session"}

    def show(self, visit: Visit) -> HttpResponse:
        """List the sessions of the place's user, or those that belong to no user."""
        memory: MemoryStore = visit.open()
        after = visit.after("sessions")
        found = memory.sessions.page(limit=PAGE_SIZE, after=after)
        return visit.answer(
            "stores/sessions",
            rows=[(one, visit.address("session", session=one.place.session_id)) for one in found.sessions],
            pager=_pager(visit, after, found.next_after, "sessions"),
            people=visit.address("people"),
        )

    def people(self, visit: Visit) -> HttpResponse:
        """List of whom the environment keeps anything."""
        memory: MemoryStore = visit.open()
        after = visit.after("people")
        found = memory.people(limit=PAGE_SIZE, after=after)
        rows = [_somebody(visit, memory, person) for person in found.people]
        pager = _pager(visit, after, found.next_after, "people", "people")
        return visit.answer("stores/people", "Users with memory", rows=rows, pager=pager)

    def session(self, visit: Visit) -> HttpResponse:
        """Show a session's last messages, or those before a position."""
        memory: MemoryStore = visit.open()
        session_id, before = visit.asked("session"), _position(visit.asked("before"))
        session = memory.sessions.get(session_id, limit=PAGE_SIZE, before=before)
        if session is None:
            raise NotFound(
                f"There is no session {session_id!a} here.", fix="It may have ended, or be another user's or project's."
            )
        return visit.answer(
            "stores/session",
            session_id,
            session=session,
            header=session.header,
            pager=_windows(visit, session, before),
            back=visit.address(),
        )


@store_page
class BlackboardsPage(StorePage):
    """Read-only: a blackboard is changed by the applications that share it."""

    slug = "blackboards"
    title = "Blackboards"
    section = STORES
    lead = "Shared state by key: a user's, or without a user the project's."
    kind = "memory_store"
    by_user = True
    views: ClassVar[dict[str, str]] = {"blackboard": "blackboard"}

    def show(self, visit: Visit) -> HttpResponse:
        """List blackboards by the prefix of their keys."""
        memory: MemoryStore = visit.open()
        query = {"prefix": visit.asked("prefix")}
        after = visit.after(*query.values())
        found = memory.blackboards().page(query["prefix"], limit=PAGE_SIZE, after=after)
        rows = [(board, visit.address("blackboard", key=board.key)) for board in found.blackboards]
        pager = visit.pager(after, found.next_after, query)
        return visit.answer("stores/blackboards", query=query, rows=rows, pager=pager)

    def blackboard(self, visit: Visit) -> HttpResponse:
        """Show one blackboard whole."""
        memory: MemoryStore = visit.open()
        key = visit.asked("key")
        board = memory.blackboards().get(key)
        if board is None:
            raise NotFound(f"There is no blackboard {key!a} here.", fix="It may have expired or been removed.")
        return visit.answer("stores/blackboard", key, board=board, back=visit.address())


def _pager(visit: Visit, after: Any | None, following: Any | None, what: str, view: str = "") -> Pager:
    return visit.pager(after, following, {"list": what}, view)


def _windows(visit: Visit, session: Session, before: int | None) -> dict[str, str | None]:
    session_id, older = session.place.session_id, session.next_before
    return {
        "newest": visit.address("session", session=session_id) if before is not None else None,
        "older": visit.address("session", session=session_id, before=older) if older else None,
    }


def _somebody(visit: Visit, memory: MemoryStore, person: Person) -> dict[str, Any]:
    rooms = memory.rooms_of(person.user_id) if person.user_id is not None else [person.room]
    return {
        "user_id": person.user_id,
        "rooms": [
            (
                room,
                visit.address(user=person.user_id or "", project=room.project_id or "")
                if room.mode == visit.context.mode
                else "",
            )
            for room in rooms
            if room is not None
        ],
    }


def _position(given: str) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and int(given[:20]) > 0):
        raise InvalidRequest(f"{given[:40]!a} is no position of a message.", fix="Open it from the session's page.")
    return int(given[:20])
