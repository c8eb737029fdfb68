"""Storing a media output: write down what begins, take the bytes in, then show everything at once.

Killed between any two steps, it leaves an intent that names the place of its bytes: a sweep finds both and removes them.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from uuid_utils.compat import uuid7

from media.parts import Intake
from media.pictures import size_of
from media.records import (
    INTACT,
    STORING,
    Intent,
    Media,
    mark_of,
    object_key,
    object_ref,
    session_prefix,
    user_prefix,
)
from media.rows import IntentRow, MediaRows
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Conflict, NorthstarError, VersionConflict
from storage.blobs import BlobInfo
from storage.kinds.media_types import check_media_type, sniffed
from storage.kinds.object_store import ObjectStore
from storage.kinds.registration import SNIFFED_BYTES
from storage.opening import open_store

STORED_WITHIN: Final = timedelta(hours=24)
"""An upload that takes longer is taken for abandoned: a sweep may undo it, and then it fails at its end."""

logger = logging.getLogger(__name__)


def store_media(
    context: RequestContext,
    chunks: Iterable[bytes],
    *,
    session_id: str,
    mime_type: str | None = None,
    sha256: str | None = None,
    operation_id: str = "",
) -> Media:
    """Store the bytes of a media output of a session, and of the context's user where there is one, in constant memory.

    `sha256` (hex) is what must arrive. The same `operation_id` again, within a day, answers what it has stored. Raises
    InvalidKey, InvalidValue, ValueTooLarge, ChecksumMismatch and as `storage.opening.open_store`; then, and when `chunks`
    raises, there is no media output.
    """
    check_names(context, session_id)
    if mime_type is not None:
        check_media_type(mime_type)
    rows = MediaRows.of(context)
    objects = cast("ObjectStore", open_store("object_store", context))
    begun = rows.begin(_intent(context, objects, session_id, mime_type), operation_id)
    if isinstance(begun, Media):
        return begun
    taken = Intake(chunks)
    try:
        info = objects.put(
            object_key(begun.intent.media_id),
            taken,
            content_type=mime_type,
            metadata=mark_of(begun.intent.media_id),
            sha256=sha256,
        )
    except NorthstarError:
        take_back(rows, objects, begun)
        raise
    return show(rows, objects, begun, taken, info)


def check_names(context: RequestContext, session_id: str) -> None:
    """Refuse a session or a user that no key can name, before anything is written. Raises InvalidKey."""
    session_prefix(session_id)
    if context.user_id is not None:
        user_prefix(context.user_id)


def show(rows: MediaRows, objects: ObjectStore, begun: IntentRow, taken: Intake, info: BlobInfo) -> Media:
    """Make what has arrived a media output, and end its intent; or return it, when somebody else has done so meanwhile.

    Raises Conflict when a sweep has taken the intent.
    """
    media = _media(rows, begun.intent, taken, info)
    try:
        rows.publish(begun, media, taken.parts)
    except (AlreadyExists, VersionConflict):
        if there := rows.find(media.media_id):
            return there.media
        take_back(rows, objects, begun)
        raise Conflict(
            f"The media output {media.media_id} took too long and was given up.", fix="Send it again."
        ) from None
    return media


def take_back(rows: MediaRows, objects: ObjectStore, begun: IntentRow) -> None:
    """Remove what was begun. What cannot be removed now is left to a sweep: its intent stays."""
    media_id = begun.intent.media_id
    try:
        objects.delete(object_key(media_id))
        rows.forget(media_id)
    except NorthstarError as error:
        logger.info("Media output %s is left to a sweep: %s", media_id, error.code)


def _intent(context: RequestContext, objects: ObjectStore, session_id: str, mime_type: str | None) -> Intent:
    media_id = str(uuid7())
    return Intent(
        media_id=media_id,
        state=STORING,
        object_ref=object_ref(objects.served_by, media_id),
        session_id=session_id,
        user_id=context.user_id,
        over_at=datetime.now(UTC) + STORED_WITHIN,
        declared_type=mime_type,
    )


def _media(rows: MediaRows, intent: Intent, taken: Intake, info: BlobInfo) -> Media:
    now = datetime.now(UTC)
    sniffed_type = sniffed(taken.head[:SNIFFED_BYTES], info.key)
    width, height = size_of(taken.head, sniffed_type) or (None, None)
    return Media(
        media_id=intent.media_id,
        tenant_id=rows.scope.tenant,
        session_id=intent.session_id,
        user_id=intent.user_id,
        object_ref=intent.object_ref,
        uri=info.uri,
        mime_type=intent.declared_type or sniffed_type,
        declared_type=intent.declared_type,
        sniffed_type=sniffed_type,
        size_bytes=taken.size,
        checksum_sha256=taken.checksum,
        created_at=now,
        updated_at=now,
        width=width,
        height=height,
        integrity=INTACT,
        verified_at=now,
    )
