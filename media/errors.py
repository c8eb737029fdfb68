"""What a media output can answer besides its bytes."""

from storage.errors import ChecksumMismatch


class DamagedMedia(ChecksumMismatch):
    """The stored bytes are not the ones that were taken in, or are gone. A 500: the caller did nothing wrong."""

    status, title = 500, "Damaged media"
    usual_fix = "Store the media output again, and find out who changes or removes objects behind Northstar."
