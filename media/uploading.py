"""Media that a stranger uploads: a presigned request, then what has come is verified, and only then it is a media output."""

from dataclasses import dataclass
from typing import Literal, cast

from uuid_utils.compat import uuid7

from media.deleting import objects_at
from media.parts import MOST_BYTES, Intake, read_through
from media.records import UPLOADING, Intent, Media, mark_of, object_key, object_ref
from media.rows import IntentRow, MediaRows
from media.storing import check_names, show, take_back
from northstar.context import RequestContext
from northstar.errors import NotFound
from storage.blobs import BlobInfo, Presigned
from storage.errors import ChecksumMismatch, InvalidValue, ValueTooLarge
from storage.kinds.media_types import sniffed
from storage.kinds.object_store import ObjectStore
from storage.kinds.registration import SNIFFED_BYTES
from storage.kinds.uploads import ALLOWANCE
from storage.opening import open_store


@dataclass(frozen=True, slots=True)
class Upload:
    """A request to hand out, and the id of the media output that it may become."""

    media_id: str
    request: Presigned


def presign_media(
    context: RequestContext,
    *,
    session_id: str,
    method: Literal["PUT", "POST"] = "PUT",
    ttl_seconds: int = 3600,
    content_type: str | None = None,
    max_bytes: int | None = None,
    sha256: str | None = None,
    served_at: str = "",
) -> Upload:
    """Sign an upload of a media output of a session, and of the context's user where there is one.

    Nothing is visible before `complete_media`. `served_at` is as in `ObjectStore.presign`. Raises InvalidKey, InvalidValue,
    InvalidRequest and as `storage.opening.open_store`.
    """
    check_names(context, session_id)
    if max_bytes is not None and max_bytes > MOST_BYTES:
        raise InvalidValue(f"max_bytes is {max_bytes}; a media output has at most {MOST_BYTES}.")
    rows = MediaRows.of(context)
    objects = cast("ObjectStore", open_store("object_store", context))
    media_id = str(uuid7())
    made = objects.presign(
        object_key(media_id),
        method,
        ttl_seconds=ttl_seconds,
        content_type=content_type,
        max_bytes=max_bytes,
        sha256=sha256,
        served_at=served_at,
    )
    intent = Intent(
        media_id=media_id,
        state=UPLOADING,
        object_ref=object_ref(objects.served_by, media_id),
        session_id=session_id,
        user_id=context.user_id,
        over_at=made.request.expires_at + ALLOWANCE,
        upload_id=made.upload_id,
        declared_type=content_type,
    )
    rows.begin(intent)
    return Upload(media_id, made.request)


def complete_media(
    context: RequestContext,
    media_id: str,
    *,
    size: int | None = None,
    sha256: str | None = None,
    content_type: str | None = None,
) -> Media:
    """Verify what was uploaded against its terms and what is given here, and make it a media output. Again, it answers the same.

    All bytes are read and hashed here, where they were uploaded to, also after a switch of the route. Raises NotFound (nothing
    was uploaded, or it was given up), ChecksumMismatch, ValueTooLarge or InvalidValue (the upload is removed, and its URL may
    be used again until it expires), and as `storage.reopening.reopen`.
    """
    rows = MediaRows.of(context)
    begun = rows.intent(media_id)
    if begun is None or begun.intent.state != UPLOADING:
        return _completed_before(rows, media_id, size, sha256)
    objects = objects_at(context, begun.intent)
    try:
        info = objects.register(
            object_key(media_id),
            upload_id=begun.intent.upload_id,
            size=size,
            sha256=sha256,
            content_type=content_type,
            metadata=mark_of(media_id),
        )
        taken = _verified(rows, objects, begun, info)
    except NotFound:
        if rows.find(media_id):
            return _completed_before(rows, media_id, size, sha256)
        raise
    is_told = info.content_type != sniffed(taken.head[:SNIFFED_BYTES], info.key)
    told = begun.intent.model_copy(update={"declared_type": info.content_type if is_told else None})
    return show(rows, objects, IntentRow(told, begun.version), taken, info)


def _verified(rows: MediaRows, objects: ObjectStore, begun: IntentRow, info: BlobInfo) -> Intake:
    """Read what was registered, and return what it is."""
    blob = objects.get(info.key)
    if blob is None:
        raise NotFound(f"The upload of the media output {begun.intent.media_id} is gone.")
    try:
        taken = read_through(blob.chunks)
    except ValueTooLarge:
        getattr(blob.chunks, "close", int)()
        take_back(rows, objects, begun)
        raise
    if info.sha256 not in {None, taken.checksum}:
        take_back(rows, objects, begun)
        raise ChecksumMismatch(
            f"The bytes of {begun.intent.media_id} changed while they were verified.", fix="Send it again."
        )
    return taken


def _completed_before(rows: MediaRows, media_id: str, size: int | None, sha256: str | None) -> Media:
    """Return what an earlier completion, whose answer was lost, has made. Raises NotFound or ChecksumMismatch."""
    row = rows.find(media_id)
    if row is None:
        raise NotFound(
            f"No upload of a media output {media_id} is expected.",
            fix="Ask for one with POST /api/v1/media/presign. One that was not completed in time was given up.",
        )
    media = row.media
    if size not in {None, media.size_bytes} or (sha256 is not None and sha256.lower() != media.checksum_sha256):
        raise ChecksumMismatch(f"The media output {media_id} was completed before, with other bytes.")
    return media
