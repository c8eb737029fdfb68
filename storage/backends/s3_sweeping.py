"""What writes and uploads that nobody ended leave in S3: found by a walk that never enters the objects, and removed."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial

from storage.backends.blob_names import Layout, upload_homes
from storage.backends.s3_errors import ConditionFailed, NotThere
from storage.backends.s3_listed import Listed, Upload
from storage.backends.s3_service import S3Bucket
from storage.blobs import Swept


def swept(bucket: S3Bucket, layout: Layout, tenant: str, env: str, *, before: datetime, dry_run: bool) -> Swept:
    """Remove uploads and staged bytes that were begun before, and give up uploads in parts; or only count them."""
    above = layout.above(tenant, env)
    uploads = parts = 0
    for home in upload_homes(above, partial(_folders, bucket)):
        uploads += sum(dry_run or _removed(bucket, listed) for listed in _objects(bucket, home, before))
    for listed in _objects(bucket, layout.staging(tenant, env), before):
        parts += dry_run or _removed(bucket, listed)
    for upload in _unended(bucket, above, before):
        if not dry_run:
            bucket.abort(upload.name, upload.id)
        parts += 1
    return Swept(uploads, parts)


def _folders(bucket: S3Bucket, above: str) -> Iterator[str]:
    after = ""
    while True:
        listing = bucket.names(above, delimiter="/", after=after)
        found = [
            folder for folder in listing.prefixes if folder > after
        ]  # S3 folds what comes after the last one into it again
        yield from found
        last = max([*found, *(listed.name for listed in listing.objects)], default="")
        if not listing.more or not last:
            return
        after = last


def _objects(bucket: S3Bucket, home: str, before: datetime) -> Iterator[Listed]:
    after = ""
    while True:
        listing = bucket.names(home, after=after)
        yield from (listed for listed in listing.objects if listed.modified_at < before)
        if not listing.more:
            return
        after = listing.objects[-1].name


def _unended(bucket: S3Bucket, above: str, before: datetime) -> Iterator[Upload]:
    after: tuple[str, str] | None = None
    while True:
        uploads, after = bucket.uploads(above, after=after)
        yield from (upload for upload in uploads if upload.begun_at < before)
        if after is None:
            return


def _removed(bucket: S3Bucket, listed: Listed) -> bool:
    """Remove an object as it was listed; one that was sent anew meanwhile stays."""
    with suppress(NotThere, ConditionFailed):
        bucket.delete(listed.name, etag=listed.etag)
        return True
    return False
