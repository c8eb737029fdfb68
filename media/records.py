"""What is known of a media output, and the names of the rows and the object that hold it."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.guard import ServedBy
from storage.keys import check_text, escape
from storage.reopening import read_whereabouts, whereabouts

TABLE: Final = "media_outputs"
SESSION_BYTES: Final = 250
"""Of a session id in UTF-8: escaped, and with its output's id behind it, it still fits a key."""

INTACT: Final = "intact"
DAMAGED: Final = "damaged"
MISSING: Final = "missing"
Integrity = Literal["intact", "damaged", "missing"]

STORING: Final = "storing"
UPLOADING: Final = "uploading"
DELETING: Final = "deleting"


class _Row(BaseModel):
    """Fields of a row. A row that somebody else has written into the table does not pass for one of ours."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Media(_Row):
    """A media output. `object_ref` says where its bytes lie, and stays good when the route is switched.

    `mime_type` is what its sender declared, else what its first bytes show (`sniffed_type`). `width` and `height` are those of
    an image, in pixels, None while they are not known. `integrity` is what the last look at all of its bytes has found, at
    `verified_at`; the first look was the upload.
    """

    media_id: str
    tenant_id: str
    session_id: str
    user_id: str | None
    object_ref: str
    uri: str
    mime_type: str
    declared_type: str | None
    sniffed_type: str
    size_bytes: int = Field(ge=0)
    checksum_sha256: str
    created_at: datetime
    updated_at: datetime
    width: int | None
    height: int | None
    integrity: Integrity
    verified_at: datetime

    @property
    def where(self) -> ServedBy | None:
        """The place of its bytes; None for a reference that we did not write."""
        return place_in(self.object_ref, self.media_id)


class Intent(_Row):
    """What somebody is about to do, written before it begins: no step of it is forgotten, wherever the process dies.

    `over_at` is when whoever began has certainly given up, or will fail.
    """

    media_id: str
    state: Literal["storing", "uploading", "deleting"]
    object_ref: str
    session_id: str
    user_id: str | None
    over_at: datetime
    upload_id: str | None = None
    declared_type: str | None = None

    @property
    def where(self) -> ServedBy | None:
        """The place of the bytes that it is about."""
        return place_in(self.object_ref, self.media_id)


def object_key(media_id: str) -> str:
    """Return the key of the object that holds the bytes."""
    return f"media/{media_id}"


def mark_of(media_id: str) -> dict[str, str]:
    """Return the metadata by which an object is known to be a media output's: anybody may name an object `media/…`."""
    return {"media-id": media_id}


def object_ref(served_by: ServedBy, media_id: str) -> str:
    """Return the reference to a media output's bytes in a store."""
    return f"{whereabouts(served_by)}/{object_key(media_id)}"


def place_in(reference: str, media_id: str) -> ServedBy | None:
    """Return the place that a reference names, if it is one to this media output."""
    where, _, key = reference.partition("/")
    return read_whereabouts(where) if key == object_key(media_id) else None


def media_key(media_id: str) -> str:
    """Return the key of the main row."""
    return f"media:{media_id}"


def intent_key(media_id: str) -> str:
    """Return the key of what is under way."""
    return f"pending:{media_id}"


def parts_key(media_id: str) -> str:
    """Return the key of the checksums of the parts."""
    return f"parts:{media_id}"


def thumbnail_key(media_id: str) -> str:
    """Return the key of the thumbnail."""
    return f"thumbnail:{media_id}"


def session_prefix(session_id: str) -> str:
    """Return what the keys of a session's rows begin with, and no other session's. Raises InvalidKey."""
    check_text(session_id, what="session_id", max_bytes=SESSION_BYTES)
    return f"session:{escape(session_id)}:"


def user_prefix(user_id: str) -> str:
    """Return what the keys of a user's rows begin with, and no other user's. Raises InvalidKey."""
    check_text(user_id, what="user_id", max_bytes=SESSION_BYTES)
    return f"user:{escape(user_id)}:"


def keys_of(media: Media) -> list[str]:
    """Return the keys of the rows that each hold all that is known: the main one, the session's and the user's."""
    keys = [media_key(media.media_id), session_prefix(media.session_id) + media.media_id]
    return keys if media.user_id is None else [*keys, user_prefix(media.user_id) + media.media_id]


def read_media(key: str, data: dict[str, Any]) -> Media | None:
    """Return the media output that a row holds, None for a row that is none of ours or stands at another's key."""
    try:
        media = Media.model_validate(data)
    except ValidationError:
        return None
    return media if key.endswith(f":{media.media_id}") else None


def read_intent(data: dict[str, Any]) -> Intent | None:
    """Return what is under way by a row, None for a row that is none of ours."""
    try:
        return Intent.model_validate(data)
    except ValidationError:
        return None
