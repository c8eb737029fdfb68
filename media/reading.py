"""Reading media: what is known by rows alone, the bytes by their reference, each part proven before it is given."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Any, Final, cast

from media.errors import DamagedMedia
from media.parts import PART_BYTES, VerifiedChunks, whole_parts
from media.pictures import SOURCE_BYTES, TYPES, NoThumbnailError, draw_thumbnail
from media.records import DAMAGED, INTACT, MISSING, Integrity, Media, media_key, object_key, session_prefix, user_prefix
from media.rows import MediaPage, MediaRow, MediaRows
from northstar.context import RequestContext
from northstar.errors import NorthstarError, NotFound, VersionConflict
from storage.blobs import ByteRange, RangeRequest
from storage.errors import BackendRejected, ChecksumMismatch
from storage.kinds.object_store import ObjectStore
from storage.reopening import reopen

SCANS: Final = 10
"""Pages that are read at most for one page of a session's media by one user."""
IN_MEMORY: Final = 2 * 1024 * 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a media output. Consume `chunks` once, or close them; the first part has proven good already."""

    media: Media
    span: ByteRange
    chunks: VerifiedChunks


def get_media_metadata(context: RequestContext, media_id: str) -> Media:
    """Return what is known of a media output, without a request to an object store. Raises NotFound."""
    return MediaRows.of(context).row(media_id).media


def list_media(
    rows: MediaRows,
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    limit: int = 100,
    after: str | None = None,
    newest_first: bool = False,
) -> MediaPage:
    """Return a page of the media of a session, of a user, of both, or of the whole scope, without a request to an object store.

    They come in the order of their creation, or the other way round. `after` is the `next_after` of the page before, with
    the same question: what is added or deleted meanwhile neither repeats nor hides another. With both, a page may be short.
    Raises InvalidKey.
    """
    if session_id is None:
        prefix = media_key("") if user_id is None else user_prefix(user_id)
        return rows.page(prefix, limit=limit, after=after, newest_first=newest_first)
    prefix = session_prefix(session_id)
    if user_id is None:
        return rows.page(prefix, limit=limit, after=after, newest_first=newest_first)
    found: list[Media] = []
    for _ in range(SCANS):
        page = rows.page(prefix, limit=limit - len(found), after=after, newest_first=newest_first)
        found += [media for media in page.items if media.user_id == user_id]
        after = page.next_after
        if after is None or len(found) >= limit:
            break
    return MediaPage(tuple(found), after)


def list_media_for_session(context: RequestContext, session_id: str, *, limit: int = 100) -> MediaPage:
    """Return the first media of a session. Raises InvalidKey."""
    return list_media(MediaRows.of(context), session_id=session_id, limit=limit)


def list_media_for_user(context: RequestContext, user_id: str, *, limit: int = 100) -> MediaPage:
    """Return the first media of a user. Raises InvalidKey."""
    return list_media(MediaRows.of(context), user_id=user_id, limit=limit)


def get_media(context: RequestContext, media_id: str) -> Content:
    """Open a media output for reading. Raises NotFound, DamagedMedia (also later, from the chunks) and as `reopen`."""
    rows = MediaRows.of(context)
    row = rows.row(media_id)
    return open_content(rows, bytes_of(context, row.media), row, ByteRange(0, row.media.size_bytes))


def bytes_of(context: RequestContext, media: Media) -> ObjectStore:
    """Open the store that holds the bytes of a media output, by its reference. Raises as `storage.reopening.reopen`."""
    where = media.where
    if where is None:
        raise BackendRejected(f"The reference of the media output {media.media_id} was not written by Northstar.")
    return cast("ObjectStore", reopen("object_store", context, where))


def open_content(rows: MediaRows, objects: ObjectStore, row: MediaRow, span: ByteRange) -> Content:
    """Open a range of a media output, and prove its first part. Raises DamagedMedia and what the store raises."""
    media = row.media
    note = _Damage(rows, row)
    asked = whole_parts(span, media.size_bytes)
    wanted = None if asked == ByteRange(0, media.size_bytes) else RangeRequest(asked.start, asked.end - 1)
    blob = objects.get(object_key(media.media_id), wanted)
    if blob is None:
        raise note(MISSING)
    digests = bytes.fromhex(media.checksum_sha256) if media.size_bytes <= PART_BYTES else rows.parts(media.media_id)
    if blob.info.size != media.size_bytes:
        getattr(blob.chunks, "close", int)()
        raise note()
    chunks = VerifiedChunks(_Translated(blob.chunks, note), digests, span, media.size_bytes, note)
    chunks.look_ahead()
    return Content(media, span, chunks)


def verify_media(context: RequestContext, media_id: str) -> Media:
    """Read all bytes of a media output and note what was found; return it as it is now. Raises NotFound and as `reopen`."""
    rows = MediaRows.of(context)
    row = rows.row(media_id)
    objects = bytes_of(context, row.media)
    try:
        deque(open_content(rows, objects, row, ByteRange(0, row.media.size_bytes)).chunks, maxlen=0)
    except DamagedMedia:
        return rows.row(media_id).media
    try:
        return note_integrity(rows, row, INTACT)
    except VersionConflict:  # its thumbnail was drawn meanwhile
        return note_integrity(rows, rows.row(media_id), INTACT)


def get_thumbnail(context: RequestContext, media_id: str) -> bytes:
    """Return the thumbnail of an image as WebP, made at the first view and kept in a row.

    Raises NotFound: there is no such media output, or no thumbnail of it, and why; DamagedMedia and as `reopen`.
    """
    rows = MediaRows.of(context)
    row = rows.row(media_id)
    kept = rows.thumbnail(media_id) or _make_thumbnail(context, rows, row)
    content = kept.get("content")
    if not isinstance(content, bytes):
        raise NotFound(f"There is no thumbnail of the media output {media_id}. {kept.get('why', '')}".strip())
    return content


def has_thumbnail(media: Media) -> bool:
    """Whether a thumbnail is worth asking for."""
    return media.sniffed_type in TYPES and media.size_bytes <= SOURCE_BYTES


def _make_thumbnail(context: RequestContext, rows: MediaRows, row: MediaRow) -> dict[str, Any]:
    media = row.media
    if not has_thumbnail(media):
        raise NotFound(
            f"There is no thumbnail of the media output {media.media_id}: it is no image, or too large a file."
        )
    with SpooledTemporaryFile(max_size=IN_MEMORY) as source:
        content = open_content(rows, bytes_of(context, media), row, ByteRange(0, media.size_bytes))
        for chunk in content.chunks:
            source.write(chunk)
        source.seek(0)
        try:
            drawn, (width, height) = draw_thumbnail(source)
            media = media.model_copy(update={"width": width, "height": height})
            kept: dict[str, Any] = {"content": drawn, "why": ""}
        except NoThumbnailError as reason:
            kept = {"content": None, "why": str(reason)}
    try:
        rows.replace(row, media, kept)
    except NorthstarError as error:  # it was deleted, or the rows are away: the next view makes it again
        logger.info("The thumbnail of media output %s was not kept: %s", media.media_id, error.code)
    return kept


def note_integrity(rows: MediaRows, row: MediaRow, integrity: Integrity) -> Media:
    """Note what a look at the bytes has found. Raises VersionConflict when it was changed or is gone meanwhile."""
    now = datetime.now(UTC)
    seen = row.media.model_copy(update={"integrity": integrity, "verified_at": now, "updated_at": now})
    rows.replace(row, seen)
    return seen


class _Damage:
    """What is done when the bytes are not the ones stored: it is noted where people look, and it is an error."""

    def __init__(self, rows: MediaRows, row: MediaRow) -> None:
        self._rows, self._row = rows, row

    def __call__(self, found: Integrity = DAMAGED) -> DamagedMedia:
        media = self._row.media
        logger.error("Media output %s of %s is %s: %s", media.media_id, media.tenant_id, found, media.uri)
        try:
            note_integrity(self._rows, self._row, found)
        except NorthstarError as error:
            logger.warning("That media output %s is %s was not noted: %s", media.media_id, found, error.code)
        what = "are gone" if found == MISSING else "are not the ones that were stored"
        return DamagedMedia(f"The bytes of the media output {media.media_id} {what}.")


class _Translated:
    """The chunks of an object, whose own checksum is not the only one that they are held to."""

    def __init__(self, chunks: Any, note: Callable[[], DamagedMedia]) -> None:
        self._chunks, self._note = chunks, note

    def __iter__(self) -> "_Translated":
        return self

    def __next__(self) -> bytes:
        try:
            return cast("bytes", next(self._chunks))
        except ChecksumMismatch:
            raise self._note() from None

    def close(self) -> None:
        getattr(self._chunks, "close", int)()
