"""Everything that a store keeps of one user, as lines of JSON that say of themselves whether they are whole.

A line is one JSON object; its last member, `sha256`, is the SHA-256 of the line as it was without that member. Values that JSON
has no type for are tagged as `storage.values` tags them, so that nothing loses its type.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from northstar.instants import instant_text
from storage.kinds.blackboards import Blackboard
from storage.kinds.memory_places import Room
from storage.kinds.memory_store import MemoryStore
from storage.kinds.sessions import Message, Session
from storage.values import encode


def records_of(memory: MemoryStore, user_id: str) -> Iterator[dict[str, Any]]:
    """Yield every session of a user with its messages after it, and every blackboard, room by room, as they stand when read."""
    for room in memory.rooms_of(user_id):
        sessions = memory.sessions_at(room, user_id)
        for session in sessions.every():
            yield _session(room, session)
            for message in sessions.messages(session.place.session_id):
                yield _message(room, session, message)
        for board in memory.blackboards_at(room, user_id).every():
            yield _blackboard(room, board)


def sealed_line(record: dict[str, Any]) -> bytes:
    """Return the record as one line that ends in its own hash."""
    body = encode(record)
    return body[:-1] + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def _session(room: Room, session: Session) -> dict[str, Any]:
    header = session.header
    return {
        **_head("session", room),
        "session_id": session.place.session_id,
        "metadata": header.settings.metadata,
        "ttl_hint": header.settings.ttl_hint,
        "message_count": header.count,
        "created_at": instant_text(header.created_at),
        "updated_at": instant_text(header.updated_at),
        "expires_at": _text(header.expires_at),
    }


def _message(room: Room, session: Session, message: Message) -> dict[str, Any]:
    return {
        **_head("message", room),
        "session_id": session.place.session_id,
        "position": message.position,
        "message_id": message.message_id,
        "role": message.role,
        "content": message.content,
        "metadata": message.metadata,
        "created_at": instant_text(message.created_at),
    }


def _blackboard(room: Room, board: Blackboard) -> dict[str, Any]:
    return {
        **_head("blackboard", room),
        "key": board.key,
        "data": board.data,
        "version": board.version,
        "updated_at": instant_text(board.updated_at),
        "expires_at": _text(board.expires_at),
    }


def _head(record: str, room: Room) -> dict[str, Any]:
    return {"record": record, "mode": room.mode, "project_id": room.project_id}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else instant_text(moment)
