"""What writes and uploads that nobody ended leave in S3: found by a walk that never enters the objects, and removed."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from storage.backends.blob_names import Layout
from storage.backends.s3_errors import ConditionFailed, NotThere
from storage.backends.s3_listed import Listed, Upload
from storage.backends.s3_service import S3Bucket
from storage.blobs import Area, Swept

_SCOPES = frozenset({"projects", "surfaces"})


def swept(bucket: S3Bucket, layout: Layout, tenant: str, env: str, *, before: datetime, dry_run: bool) -> Swept:
    """Remove uploads and staged bytes that were begun before, and give up uploads in parts; or only count them."""
    above = layout.above(tenant, env)
    uploads = parts = 0
    for home in _upload_homes(bucket, above):
        uploads += sum(dry_run or _removed(bucket, listed) for listed in _objects(bucket, home, before))
    for listed in _objects(bucket, layout.staging(tenant, env), before):
        parts += dry_run or _removed(bucket, listed)
    for upload in _unended(bucket, above, before):
        if not dry_run:
            bucket.abort(upload.name, upload.id)
        parts += 1
    return Swept(uploads, parts)


def _upload_homes(bucket: S3Bucket, above: str) -> Iterator[str]:
    """Yield what the names of uploads begin with: of the scope `above`, and of all projects and surfaces in it."""
    for folder in _folders(bucket, above):
        name = folder.removeprefix(above).rstrip("/")
        if name == Area.UPLOADS:
            yield folder
        elif name in _SCOPES:
            for scope in _folders(bucket, folder):
                yield from _upload_homes(bucket, scope)


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
