"""What a blob's headers say: size, version, type, metadata; and which write made it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from storage.backends.azure_blob_names import Place
from storage.backends.blob_metadata import SHA256, WRITE, decode_metadata
from storage.blobs import BlobInfo

META: Final = "x-ms-meta-"
_MARGIN: Final = timedelta(seconds=1)
"""The service tells its time in whole seconds."""


@dataclass(frozen=True, slots=True)
class Found:
    """A blob as it stood in the container at `seen_at`, by the service's clock. `own` is Northstar's metadata."""

    info: BlobInfo
    own: Mapping[str, str]
    seen_at: datetime

    @property
    def write_id(self) -> str | None:
        """Which write made it, or None: bytes that came past Northstar."""
        return self.own.get(WRITE)

    def is_from_before(self, moment: float) -> bool:
        """Whether it was certainly written before a moment of `time.monotonic`."""
        return self.info.modified_at < self.seen_at - timedelta(seconds=time.monotonic() - moment) - _MARGIN


def found(place: Place, uri: str, headers: Mapping[str, str]) -> Found:
    """Return what the headers of a blob, or of a range of it, say. Raises BackendRejected for damaged metadata.

    Where others write, their metadata is not believed, and none is told.
    """
    stored = {name[len(META) :]: value for name, value in headers.items() if name.lower().startswith(META)}
    metadata, own = decode_metadata(stored) if place.ours else ({}, {WRITE: stored.get(WRITE, "")})
    whole = headers.get("Content-Range", "").rpartition("/")[2] or headers["Content-Length"]
    info = BlobInfo(
        key=place.key,
        size=int(whole),
        sha256=own.get(SHA256),
        etag=bare(headers["ETag"]),
        content_type=headers.get("Content-Type", "application/octet-stream"),
        uri=uri,
        modified_at=parsedate_to_datetime(headers["Last-Modified"]),
        metadata=metadata,
    )
    return Found(info, own, parsedate_to_datetime(headers["Date"]))


def bare(etag: str) -> str:
    return etag.strip('"')
