"""What the calls on media take and answer."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from media.reading import has_thumbnail
from media.records import Media
from northstar.inputs import PageSize
from storage.kinds.uploads import LONGEST_SECONDS

LIST_LIMIT = 100


class MediaOut(Media):
    """A media output.

    `object_ref` says where its bytes lie; it stays good when the route is switched. `mime_type` is the declared type, else the
    one that the first bytes show (`sniffed_type`). `width` and `height` are an image's, in pixels, null while they are not
    known. `integrity` is what the last look at all bytes has found, at `verified_at`. `thumbnail` is the address of one, null
    for what has none.
    """

    thumbnail: str | None


class MediaPageOut(BaseModel):
    """Media in the order of their creation."""

    items: list[MediaOut]
    next_cursor: str | None


class StoreQuery(BaseModel):
    """Whose output it is: a form may say it in a field of the same name instead."""

    session_id: str | None = None


class MediaQuery(BaseModel):
    """Which media: a session's, a user's, both, or all of the context."""

    session_id: str | None = None
    user_id: str | None = None
    order: Literal["oldest", "newest"] = "oldest"
    limit: PageSize = LIST_LIMIT
    cursor: str | None = None


class PresignMediaIn(BaseModel):
    """An upload to sign: for which session, how it is sent, for how long, and on which terms."""

    session_id: str
    method: Literal["PUT", "POST"] = "PUT"
    ttl_seconds: int = Field(3600, ge=1, le=LONGEST_SECONDS, strict=True)
    content_type: str | None = None
    max_bytes: int | None = Field(None, ge=0, strict=True)
    sha256: str | None = None


class PresignMediaOut(BaseModel):
    """A request that anybody may send until it expires, exactly so; then `POST /media/{media_id}/complete`."""

    media_id: str
    method: str
    url: str
    headers: dict[str, str]
    fields: dict[str, str]
    expires_at: datetime


class CompleteIn(BaseModel):
    """What is known of the bytes that were uploaded; all of it may be left out."""

    size: int | None = Field(None, ge=0, strict=True)
    sha256: str | None = None
    content_type: str | None = None


def media_answer(media: Media) -> dict[str, object]:
    """Return a media output as it is answered."""
    thumbnail = f"/api/v1/media/{media.media_id}/thumbnail" if has_thumbnail(media) else None
    return media.model_dump() | {"thumbnail": thumbnail}
