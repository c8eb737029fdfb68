"""What a session is: its header, its messages, and the rules that both keep before they are stored.

A session is one partition: the document `header`, one document `m/{position}` per message, and `i/{message_id}` for a message
whose id its client chose. Each append is one atomic write of the header and its messages, so the header always tells the truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from uuid_utils import uuid7

from northstar.errors import Conflict, InvalidRequest
from storage.documents import ATOMIC_BYTES, Document
from storage.errors import InvalidValue, ValueTooLarge
from storage.keys import check_text
from storage.kinds.memory_places import SessionPlace
from storage.values import check_fields

MESSAGES_PER_APPEND: Final = 24
"""An atomic write has 50 operations: the header, and two for each message whose id the client chose."""
MESSAGE_ID_BYTES: Final = 256
ROLE_CHARACTERS: Final = 64
METADATA_BYTES: Final = 16 * 1024
"""Of a session, encoded: the header is written with every append."""
LONGEST_TTL_SECONDS: Final = 10 * 365 * 24 * 3600
APPEND_BYTES: Final = ATOMIC_BYTES - METADATA_BYTES - 4 * 1024
"""Of the messages of one append, encoded: what an atomic write has room for beside the header."""
OVERHEAD_BYTES: Final = 100
"""At most what the keys and the pointer of a message take, without its id."""

LIVE: Final = "live"
DELETING: Final = "deleting"
DELETED: Final = "deleted"
"""States of a header. A deleted one stays for an hour, so that nobody who was on the way revives what was listed before."""


class MessageIdReused(Conflict):
    """The message id belongs to a message with another role, content or metadata; nothing was changed."""

    retryable = False


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append. `message_id` makes the append idempotent."""

    role: str
    content: Any
    metadata: Mapping[str, Any] | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message in its session: `position` is dense from 1 and alone is the order; `created_at` never decreases along it."""

    message_id: str
    position: int
    role: str
    content: Any
    metadata: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """A valid message without its position. `named` says that its client gave the id. `size` counts its documents in bytes."""

    message_id: str
    role: str
    content: Any
    metadata: dict[str, Any]
    named: bool
    size: int

    def fields(self, created_at: datetime) -> dict[str, Any]:
        return {
            "message_id": self.message_id,
            "role": self.role,
            "content": self.content,
            "metadata": self.metadata,
            "created_at": created_at,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """What a caller says of a session as a whole. With `ttl_hint` it ends so many seconds after it was last written."""

    metadata: dict[str, Any]
    ttl_hint: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The state of a session. `count` messages have the positions 1 to `count`. `version` 0: nothing is stored."""

    state: str
    count: int
    created_at: datetime
    updated_at: datetime
    settings: Settings
    expires_at: datetime | None = None
    version: int = 0

    @property
    def is_live(self) -> bool:
        return self.state == LIVE and self.version > 0

    def grown(self, more: int, now: datetime, settings: Settings | None) -> "Header":
        """Return the header after a write: its time never goes back, and its end moves on."""
        settings = settings or self.settings
        ttl = settings.ttl_hint
        now = max(now, self.updated_at)
        return replace(
            self,
            count=self.count + more,
            updated_at=now,
            settings=settings,
            expires_at=None if ttl is None else now + timedelta(seconds=ttl),
        )

    def fields(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "count": self.count,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "metadata": self.settings.metadata,
            "ttl_hint": self.settings.ttl_hint,
        }


@dataclass(frozen=True, slots=True)
class Session:
    """A session as a reader sees it: its header and a window of its messages, the oldest first."""

    place: SessionPlace
    header: Header
    messages: tuple[Message, ...] = ()

    @property
    def next_before(self) -> int | None:
        """The position to go on before, towards the beginning; None where nothing is older."""
        first = self.messages[0].position if self.messages else 1
        return first if first > 1 else None


def new_header(now: datetime) -> Header:
    """Return the header of a session that is not stored yet."""
    return Header(LIVE, 0, now, now, Settings({}))


def header_of(document: Document) -> Header:
    fields = document.fields
    return Header(
        fields["state"],
        fields["count"],
        fields["created_at"],
        fields["updated_at"],
        Settings(fields["metadata"], fields["ttl_hint"]),
        document.expires_at,
        document.version,
    )


def message_of(position: int, fields: Mapping[str, Any]) -> Message:
    return Message(
        fields["message_id"], position, fields["role"], fields["content"], fields["metadata"], fields["created_at"]
    )


def settings_of(metadata: Mapping[str, Any], ttl_hint: int | None) -> Settings:
    """Check what is said of a session. Raises InvalidValue, InvalidKey or ValueTooLarge."""
    size = check_fields(dict(metadata))
    if size > METADATA_BYTES:
        raise ValueTooLarge(f"The session's metadata have {size} bytes; {METADATA_BYTES} are allowed.")
    if ttl_hint is not None and not 1 <= ttl_hint <= LONGEST_TTL_SECONDS:
        raise InvalidValue(f"ttl_hint is {ttl_hint}; 1 to {LONGEST_TTL_SECONDS} seconds are allowed.")
    return Settings(dict(metadata), ttl_hint)


def drafts_of(messages: Sequence[NewMessage]) -> list[Draft]:
    """Check the messages of one append. Raises InvalidRequest, InvalidKey, InvalidValue or ValueTooLarge, before any I/O."""
    if not 1 <= len(messages) <= MESSAGES_PER_APPEND:
        raise (ValueTooLarge if messages else InvalidRequest)(
            f"An append has {len(messages)} messages; 1 to {MESSAGES_PER_APPEND} are allowed.",
            fix="Split it into several appends." if messages else "Send a message.",
        )
    drafts = [_draft(message) for message in messages]
    size = sum(draft.size for draft in drafts)
    if size > APPEND_BYTES:
        raise ValueTooLarge(
            f"The messages of one append have {size} bytes; {APPEND_BYTES} are allowed.",
            fix="Split it into several appends, or put large parts into the object store.",
        )
    return drafts


def _draft(message: NewMessage) -> Draft:
    check_text(message.role, what="role", max_bytes=4 * ROLE_CHARACTERS)
    if len(message.role) > ROLE_CHARACTERS:
        raise InvalidValue(f"The role has {len(message.role)} characters; {ROLE_CHARACTERS} are allowed.")
    named = message.message_id is not None
    message_id = str(uuid7()) if message.message_id is None else message.message_id
    check_text(message_id, what="message id", max_bytes=MESSAGE_ID_BYTES)
    probe = Draft(message_id, message.role, message.content, dict(message.metadata or {}), named, 0)
    size = OVERHEAD_BYTES + 2 * len(message_id.encode()) + check_fields(probe.fields(datetime.now(UTC)))
    return replace(probe, size=size)
