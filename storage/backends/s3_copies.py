"""Copies inside S3: in one request, or in parts where the copy is large or held to a condition.

`CompleteMultipartUpload` weighs conditions on the target wherever S3's own rules are followed. For `CopyObject` AWS's guide
still tells of 501, and services that speak S3 ignore them: a create-only copy would replace.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from storage.backends.s3_errors import ConditionFailed, NotThere
from storage.backends.s3_parts import MIB, MOST_PARTS, upload
from storage.backends.s3_service import Part, SentPart
from storage.backends.s3_settling import repeated, settled
from storage.backends.s3_write import Write
from storage.blobs import ANY, BlobInfo

COPY_BYTES: Final = 64 * MIB
"""Of a copy in one request, and of a part at least: S3 copies about 100 MB in a second."""
AT_ONCE: Final = 4


class SourceChanged(Exception):
    """The source is not there any more, or not the version that was to be copied."""


@dataclass(frozen=True, slots=True)
class Source:
    """The version of an object that is to be copied."""

    name: str
    etag: str
    size: int


def copied(write: Write, source: Source) -> BlobInfo:
    """Store the source's bytes by the write. Raises SourceChanged, AlreadyExists or VersionConflict."""
    if source.size == 0:
        return _empty(write)
    if write.expect is ANY and source.size <= COPY_BYTES:
        copy = partial(write.bucket.copy, source.name, write.name, write.headers(), etag=source.etag)
        with _about_the_source():
            return write.info(settled(copy, write.found), source.size)
    with upload(write.bucket, write.name, write.headers()) as upload_id:
        return write.complete(upload_id, _copied_parts(write, source, upload_id), source.size)


def _empty(write: Write) -> BlobInfo:
    """Store nothing: no part can be made of no bytes."""
    headers = write.headers() | write.conditions()
    with write.refusing():
        sent = settled(lambda: write.bucket.put(write.name, Part.of(b""), headers), write.found)
    return write.info(sent, 0)


def _copied_parts(write: Write, source: Source, upload_id: str) -> list[SentPart]:
    size = max(COPY_BYTES, -(-source.size // MOST_PARTS))
    starts = range(0, source.size, size)
    ranges = [f"bytes={start}-{min(start + size, source.size) - 1}" for start in starts] if len(starts) > 1 else [""]

    def copy(number: int, byte_range: str) -> SentPart:
        return repeated(
            lambda: write.bucket.copy_part(
                source.name, write.name, upload_id, number, etag=source.etag, byte_range=byte_range
            )
        )

    with _about_the_source(), ThreadPoolExecutor(AT_ONCE, thread_name_prefix="northstar-s3") as threads:
        return list(threads.map(copy, range(1, len(ranges) + 1), ranges))


@contextmanager
def _about_the_source() -> Iterator[None]:
    try:
        yield
    except (ConditionFailed, NotThere):
        raise SourceChanged from None
