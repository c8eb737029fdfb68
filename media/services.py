"""What can be done with media outputs, in one place: the verbs that views, commands and other applications use."""

from media.deleting import delete_media
from media.reading import (
    get_media,
    get_media_metadata,
    get_thumbnail,
    list_media,
    list_media_for_session,
    list_media_for_user,
    verify_media,
)
from media.storing import store_media
from media.sweeping import sweep_media
from media.uploading import complete_media, presign_media

__all__ = [
    "complete_media",
    "delete_media",
    "get_media",
    "get_media_metadata",
    "get_thumbnail",
    "list_media",
    "list_media_for_session",
    "list_media_for_user",
    "presign_media",
    "store_media",
    "sweep_media",
    "verify_media",
]
