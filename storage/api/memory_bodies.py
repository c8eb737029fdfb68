"""What the calls of sessions and blackboards take and give."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from northstar.inputs import PageSize, PlainInt, Timestamp
from storage.kinds.blackboards import Blackboard, BoardScope
from storage.kinds.sessions import (
    LONGEST_TTL_SECONDS,
    MESSAGES_PER_APPEND,
    Header,
    Message,
    NewMessage,
    Session,
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class MessageIn(_Strict):
    """A message to append."""

    role: str = Field(description="Who says it, such as user, assistant, system or tool: 1 to 64 characters.")
    content: Any = Field(description="Any JSON value; with its envelope at most 350 KiB.")
    metadata: dict[str, Any] = Field(default_factory=dict)
    message_id: str | None = Field(
        None, description="Makes the append idempotent: the same id again answers with the stored message."
    )

    def message(self, default_id: str | None = None) -> NewMessage:
        message_id = default_id if self.message_id is None else self.message_id
        return NewMessage(self.role, self.content, self.metadata, message_id)


class MessagesIn(_Strict):
    """Messages to append atomically: all of them or none."""

    messages: list[MessageIn] = Field(min_length=1, max_length=MESSAGES_PER_APPEND)


class AppendMessagesIn(RootModel[MessageIn | MessagesIn]):
    """One message, or several in one atomic append."""


class SessionIn(_Strict):
    """What a session is as a whole; its messages stay. What is left out becomes empty."""

    metadata: dict[str, Any] = Field(default_factory=dict, description="At most 16 KiB.")
    ttl_hint: int | None = Field(
        None, ge=1, le=LONGEST_TTL_SECONDS, description="Seconds after its last write at which the session ends."
    )


class WindowQuery(BaseModel):
    """Which messages of a session: the last ones, or the last ones before a position."""

    limit: PageSize = 100
    before: PlainInt | None = Field(None, ge=1)


class SessionsQuery(BaseModel):
    """Which page of the sessions."""

    limit: PageSize = 100
    cursor: str | None = None


class BlackboardIn(_Strict):
    """A blackboard's data and expiry: they replace what was there."""

    data: dict[str, Any]
    expires_at: Timestamp | None = None


class BoardQuery(BaseModel):
    """Whose blackboard."""

    scope: BoardScope | None = None


class BoardsQuery(BoardQuery):
    """Which blackboards."""

    prefix: str = ""
    limit: PageSize = 100
    cursor: str | None = None


class MessageOut(BaseModel):
    """A stored message. `position` is its place in the order, dense from 1."""

    message_id: str
    position: int
    role: str
    content: Any
    metadata: dict[str, Any]
    created_at: datetime


class MessagesOut(BaseModel):
    """The messages of one append, in the order given."""

    messages: list[MessageOut]


class AppendedMessagesOut(RootModel[MessageOut | MessagesOut]):
    """What an append has stored, in the form in which it was sent."""


class SessionItem(BaseModel):
    """A session without its messages. `version` is its ETag, and grows with every write."""

    id: str
    tenant_id: str
    mode: str
    project_id: str | None
    user_id: str | None
    session_id: str
    metadata: dict[str, Any]
    ttl_hint: int | None
    message_count: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    version: int


class SessionOut(SessionItem):
    """A session with a window of its messages, the oldest first. `next_before` asks for those before; null at the beginning."""

    messages: list[MessageOut]
    next_before: int | None


class SessionPageOut(BaseModel):
    """The user's sessions in the byte order of their ids. A page may be short of `limit`; only a null cursor ends the list."""

    items: list[SessionItem]
    next_cursor: str | None


class BlackboardOut(BaseModel):
    """A stored blackboard. `scope` says whose: one user's, or the project's."""

    id: str
    tenant_id: str
    mode: str
    project_id: str | None
    user_id: str | None
    key: str
    scope: BoardScope
    data: dict[str, Any]
    expires_at: datetime | None
    version: int
    updated_at: datetime


class BlackboardPageOut(BaseModel):
    """Blackboards in the byte order of their keys."""

    items: list[BlackboardOut]
    next_cursor: str | None


def message_answer(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in MessageOut.model_fields}


def session_item(session: Session) -> dict[str, Any]:
    """Return a session without its messages."""
    place, header = session.place.place, session.header
    return {
        "id": place.identity(session.place.session_id),
        "tenant_id": place.scope.tenant,
        "mode": place.room.mode,
        "project_id": place.room.project_id,
        "user_id": place.user_id,
        "session_id": session.place.session_id,
        **_header_answer(header),
    }


def session_answer(session: Session) -> dict[str, Any]:
    """Return a session with its window of messages."""
    messages = [message_answer(message) for message in session.messages]
    return {**session_item(session), "messages": messages, "next_before": session.next_before}


def board_answer(board: Blackboard) -> dict[str, Any]:
    """Return a blackboard."""
    place = board.place
    return {
        "id": place.identity(board.key),
        "tenant_id": place.scope.tenant,
        "mode": place.room.mode,
        "project_id": place.room.project_id,
        "user_id": place.user_id,
        "key": board.key,
        "scope": board.scope,
        "data": board.data,
        "expires_at": board.expires_at,
        "version": board.version,
        "updated_at": board.updated_at,
    }


def _header_answer(header: Header) -> dict[str, Any]:
    return {
        "metadata": header.settings.metadata,
        "ttl_hint": header.settings.ttl_hint,
        "message_count": header.count,
        "created_at": header.created_at,
        "updated_at": header.updated_at,
        "expires_at": header.expires_at,
        "version": header.version,
    }
