"""Deleting a media output: hide it and write down that its bytes go, remove them, then forget it."""

from datetime import UTC, datetime
from typing import Final, cast

from media.records import DELETING, Intent, object_key
from media.rows import IntentRow, MediaRow, MediaRows
from northstar.context import RequestContext
from northstar.errors import Conflict, VersionConflict
from storage.errors import BackendRejected
from storage.kinds.object_store import ObjectStore
from storage.reopening import reopen

ATTEMPTS: Final = 5


def delete_media(context: RequestContext, media_id: str) -> bool:
    """Remove a media output, its bytes and its rows; return whether there was one, or a deletion of it to finish.

    What is being uploaded to a presigned URL is given up. Raises as `reopen`, and then nothing was changed; BackendUnavailable
    when the bytes could not be removed: it is hidden by then, and deleting it again, or a sweep, goes on.
    """
    rows = MediaRows.of(context)
    for _ in range(ATTEMPTS):
        row = rows.find(media_id)
        if row is None:
            return _give_up(context, rows, media_id)
        intent = _deletion(row)
        objects = objects_at(context, intent)
        try:
            begun = rows.withdraw(row, intent)
        except VersionConflict:  # its thumbnail was drawn, its state was noted, or somebody else deletes it
            continue
        finish(rows, objects, begun)
        return True
    raise Conflict(f"The media output {media_id} is being changed all the time.", fix="Delete it again.")


def finish(rows: MediaRows, objects: ObjectStore, begun: IntentRow) -> None:
    """Remove the bytes of a deletion that is written down, and end it."""
    objects.delete(object_key(begun.intent.media_id))
    rows.forget(begun.intent.media_id)


def objects_at(context: RequestContext, intent: Intent) -> ObjectStore:
    """Open the store that an intent is about. Raises as `reopen`."""
    where = intent.where
    if where is None:
        raise BackendRejected(f"The reference of what is pending as {intent.media_id} was not written by Northstar.")
    return cast("ObjectStore", reopen("object_store", context, where))


def to_undo(intent: Intent) -> Intent:
    """Return the intent that undoes another one."""
    return intent.model_copy(update={"state": DELETING, "over_at": datetime.now(UTC)})


def _give_up(context: RequestContext, rows: MediaRows, media_id: str) -> bool:
    begun = rows.intent(media_id)
    if begun is None:
        return False
    objects = objects_at(context, begun.intent)
    finish(rows, objects, rows.claim(begun, to_undo(begun.intent)))
    return True


def _deletion(row: MediaRow) -> Intent:
    media = row.media
    return Intent(
        media_id=media.media_id,
        state=DELETING,
        object_ref=media.object_ref,
        session_id=media.session_id,
        user_id=media.user_id,
        over_at=datetime.now(UTC),
    )
