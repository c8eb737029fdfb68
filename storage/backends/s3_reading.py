"""The bytes of an object on their way out of S3: one request, read as it is consumed."""

from typing import Final

from storage.backends.s3_connections import Incoming
from storage.backends.s3_errors import NotThere
from storage.backends.s3_service import S3Bucket
from storage.backends.service import Unanswered
from storage.blobs import CHUNK_BYTES, ByteRange, RangeRequest
from storage.errors import BackendUnavailable

_CHUNK: Final = CHUNK_BYTES // 2


class Chunks:
    """The rest of an answer's body. A stalled or broken read raises BackendUnavailable; closing frees the connection."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._closed = False

    def __iter__(self) -> "Chunks":
        return self

    def __next__(self) -> bytes:
        try:
            chunk = b"" if self._closed else self._incoming.read(_CHUNK)
        except Unanswered as error:
            raise BackendUnavailable("S3 did not send all of the object in time.") from error.__cause__
        if not chunk:
            raise StopIteration
        return chunk

    def close(self) -> None:
        self._closed = True
        self._incoming.close()


def opened(bucket: S3Bucket, name: str, byte_range: str) -> Incoming | None:
    """Return S3's answer to a reader of an object, or None. Raises as `S3Bucket.get`."""
    try:
        return bucket.get(name, byte_range)
    except NotThere:
        return None


def range_header(wanted: RangeRequest | None) -> str:
    """Return HTTP's form of a range; empty for the whole. Raises InvalidRequest for what is no range."""
    if wanted is None:
        return ""
    wanted.within(0)  # refuses what is no range
    if wanted.suffix is not None:
        return f"bytes=-{wanted.suffix}"
    return f"bytes={wanted.first}-{'' if wanted.last is None else wanted.last}"


def span_of(wanted: RangeRequest | None, size: int) -> ByteRange | None:
    """Return what of an object of this size is asked for."""
    return ByteRange(0, size) if wanted is None else wanted.within(size)
