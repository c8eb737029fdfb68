"""Objects on their way into S3: in one request, in parts straight to the key, or by way of staging.

S3 takes metadata before the bytes, and our SHA-256 is part of it. A body that fits one part is hashed before it is sent; one
whose checksum was announced goes straight to its key, and the last step waits until the bytes have it. Any other goes to
`staging/`, and from there, inside S3, to its key.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from storage.backends.blob_intake import Intake
from storage.backends.s3_copies import Source, SourceChanged, copied
from storage.backends.s3_parts import send_parts, upload
from storage.backends.s3_service import CHECKED, Part, S3Bucket, etag_in
from storage.backends.s3_settling import settled
from storage.backends.s3_write import Write
from storage.blobs import BlobInfo
from storage.errors import BackendRejected, BackendUnavailable

logger = logging.getLogger(__name__)


def put_whole(write: Write, body: Intake, *, size: int | None) -> BlobInfo:
    """Store a body of one part. Raises ChecksumMismatch, AlreadyExists or VersionConflict."""
    data = body.part()
    body.check(sha256=write.sha256, size=size)
    write = replace(write, sha256=body.sha256)
    part, headers = Part(data, bytes.fromhex(body.sha256)), write.headers() | write.conditions()
    with write.refusing():
        sent = settled(lambda: write.bucket.put(write.name, part, headers), write.found)
    return write.info(sent, len(data))


def put_parts(write: Write, body: Intake, *, size: int | None) -> BlobInfo:
    """Store a body whose checksum the write says already. Raises ChecksumMismatch, AlreadyExists or VersionConflict."""
    write.conditions()  # refused before the bytes have gone
    with upload(write.bucket, write.name, write.headers() | CHECKED) as upload_id:
        parts = send_parts(write.bucket, write.name, upload_id, body)
        body.check(sha256=write.sha256, size=size)
        return write.complete(upload_id, parts, body.size)


def put_staged(
    write: Write, staging: str, body: Intake, *, size: int | None, encrypted_as: Mapping[str, str]
) -> BlobInfo:
    """Store a body of unknown checksum by way of the name `staging`. Raises as `put_parts`."""
    write.conditions()
    source = _staged(write.bucket, staging, body, size=size, encrypted_as=encrypted_as)
    with _removed_at_the_end(write.bucket, staging):
        try:
            return copied(replace(write, sha256=body.sha256), source)
        except SourceChanged:
            raise BackendUnavailable(
                f"The bytes of {write.ref.key!a} were swept before they were published.", fix="Send them again."
            ) from None


def _staged(
    bucket: S3Bucket, staging: str, body: Intake, *, size: int | None, encrypted_as: Mapping[str, str]
) -> Source:
    with upload(bucket, staging, {**encrypted_as, **CHECKED}) as upload_id:
        parts = send_parts(bucket, staging, upload_id, body)
        body.check(sha256=None, size=size)
        etag = settled(lambda: bucket.complete(staging, upload_id, parts, {}).etag, lambda: _etag_of(bucket, staging))
        return Source(staging, etag, body.size)


@contextmanager
def _removed_at_the_end(bucket: S3Bucket, staging: str) -> Iterator[None]:
    try:
        yield
    finally:
        try:
            bucket.delete(staging)
        except (BackendUnavailable, BackendRejected) as error:
            logger.warning("Staged bytes in S3 are left to the sweep: %s", error.code)


def _etag_of(bucket: S3Bucket, name: str) -> str | None:
    headers = bucket.head(name)
    return etag_in(headers) if headers else None
