"""Objects in Amazon S3: one bucket per route, one request per operation wherever that keeps the whole promise."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final

from storage.backends.blob_intake import Intake
from storage.backends.blob_names import Layout
from storage.backends.s3_config import S3Config
from storage.backends.s3_copies import Source, SourceChanged, copied
from storage.backends.s3_errors import BeyondTheEnd, BucketMissing, ConditionFailed, NotThere
from storage.backends.s3_http import S3Http
from storage.backends.s3_listing import page_of
from storage.backends.s3_objects import info_of
from storage.backends.s3_parts import MOST_BYTES, size_of_parts
from storage.backends.s3_presigning import presigned
from storage.backends.s3_puts import put_parts, put_staged, put_whole
from storage.backends.s3_reading import Chunks, opened, range_header, span_of
from storage.backends.s3_regions import Regions
from storage.backends.s3_service import S3Bucket
from storage.backends.s3_settling import settled
from storage.backends.s3_sweeping import swept
from storage.backends.s3_write import Write, conflict, quoted_etag, uri_of
from storage.backends.sending import sent
from storage.blobs import (
    ANY,
    Area,
    Blob,
    BlobExpect,
    BlobInfo,
    BlobLimits,
    BlobPage,
    BlobRef,
    Grant,
    Presigned,
    RangeRequest,
    Swept,
)
from storage.errors import BackendRejected, BackendUnavailable, NotFound, VersionConflict
from storage.files import ScopeFiles
from storage.keys import Scope

TURNS: Final = 3
"""How often an object that is replaced again and again is looked at anew."""


class S3Blobs:
    """The blob contract over one bucket. Raises BackendUnavailable for everything once it is closed."""

    Config: ClassVar[type[S3Config]] = S3Config
    limits: ClassVar[BlobLimits] = BlobLimits(
        object_bytes=MOST_BYTES, exact_put_time=False, version_per_write=False, presign_pins_size=False
    )
    """A form is held to its size while it arrives, a PUT is not."""

    def __init__(self, config: S3Config, *, mode: str, epoch: int) -> None:  # noqa: ARG002 - all drivers are built so
        """Take the settings; nothing is opened yet. Every mode may use S3."""
        self._config = config
        self._epoch = epoch
        self._layout = Layout(config.prefix)
        self._regions = Regions(
            S3Bucket(S3Http(config, config.bucket)),
            [S3Bucket(S3Http(config.model_copy(update=dict(replica)), replica.bucket)) for replica in config.replicas],
        )
        self._bucket = self._regions.home
        self._resource: Any = None

    def put(
        self,
        ref: BlobRef,
        chunks: Iterable[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str],
        expect: BlobExpect = ANY,
        sha256: str | None = None,
        size: int | None = None,
    ) -> BlobInfo:
        write = self._write(ref, content_type, metadata, expect, sha256.lower() if sha256 else None)
        body = Intake(chunks, part_bytes=size_of_parts(size))
        body.fill()
        if body.ended:
            return put_whole(write, body, size=size)
        if sha256 is not None:
            return put_parts(write, body, size=size)
        staging = self._layout.staging(ref.scope.tenant, ref.scope.env) + write.id
        return put_staged(write, staging, body, size=size, encrypted_as=self._config.encrypted_as())

    def get(self, ref: BlobRef, wanted: RangeRequest | None = None) -> Blob | None:
        name, asked = self._layout.name(ref), range_header(wanted)
        for _ in range(TURNS):
            try:
                raw, replica = self._regions.read(partial(opened, name=name, byte_range=asked))
            except BeyondTheEnd:
                info = self.head(ref)
                span = span_of(wanted, info.size) if info else None
                if info is None or (span and span.start < span.end):
                    continue  # it was replaced or removed meanwhile
                return Blob(info, iter(()), span)
            if raw is None:
                return None
            info = info_of(ref, self._uri(name), raw.headers, replica=replica)
            return Blob(info, Chunks(raw), span_of(wanted, info.size))
        raise BackendUnavailable(f"The object {ref.key!a} is replaced again and again while it is read.")

    def head(self, ref: BlobRef) -> BlobInfo | None:
        name, checksum = self._layout.name(ref), ref.area is Area.UPLOADS
        headers, replica = self._regions.read(lambda bucket: bucket.head(name, checksum=checksum))
        return info_of(ref, self._uri(name), headers, replica=replica) if headers else None

    def delete(self, ref: BlobRef, *, expect: BlobExpect = ANY) -> bool:
        name, bucket = self._layout.name(ref), self._bucket
        if expect is ANY and sent(lambda: bucket.head(name)) is None:
            return False
        if isinstance(expect, str):
            quoted_etag(expect, ref.key)

        def removed() -> bool:
            bucket.delete(name, etag=expect if isinstance(expect, str) else None)
            return True

        try:
            return settled(removed, lambda: True if bucket.head(name) is None else None)
        except (ConditionFailed, NotThere):
            raise conflict(expect, ref.key) from None

    def list(
        self,
        scope: Scope,
        *,
        area: Area = Area.OBJECTS,
        prefix: str = "",
        delimiter: str = "",
        limit: int = 1000,
        cursor: str | None = None,
    ) -> BlobPage:
        home = self._layout.home(scope, area)
        found, replica = self._regions.read(
            lambda bucket: page_of(bucket, home, prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor)
        )
        assert found is not None
        return found if replica is None else replace(found, replica=replica)

    def copy(
        self,
        source: BlobRef,
        target: BlobRef,
        *,
        expect: BlobExpect = ANY,
        source_etag: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        sha256: str | None = None,
    ) -> BlobInfo:
        for _ in range(TURNS):
            info = self._source_of_copy(source, source_etag)
            write = self._write(
                target,
                content_type or info.content_type,
                info.metadata if metadata is None else metadata,
                expect,
                (sha256 and sha256.lower()) or info.sha256,
            )
            try:
                return copied(write, Source(self._layout.name(source), info.etag, info.size))
            except SourceChanged:
                continue
        raise VersionConflict(f"The object {source.key!a} is replaced again and again while it is copied.")

    def presign(self, ref: BlobRef, grant: Grant) -> Presigned:
        return presigned(self._bucket.http, self._layout.name(ref), grant, self._config.encrypted_as())

    def sweep(self, tenant: str, env: str, *, before: datetime, dry_run: bool = False) -> Swept:
        return swept(self._bucket, self._layout, tenant, env, before=before, dry_run=dry_run)

    def prepare(self) -> None:
        """Create the bucket where it is missing. Replicas, and the rules that fill them, are the account's own."""
        try:
            self._bucket.names(self._config.prefix, limit=1)
        except BucketMissing:
            self._bucket.create()

    def ping(self) -> None:
        """Return when the bucket and its replicas answer a listing: it takes no permission that the driver does not need."""
        self._bucket.names(self._config.prefix, limit=1)
        for bucket in self._regions.replicas:
            try:
                bucket.names(self._config.prefix, limit=1)
            except (BackendUnavailable, BackendRejected) as error:
                told = f"The replica in {bucket.region}: {error.detail}"
                raise type(error)(told, fix=error.fix) from error.__cause__

    def files(self, scope: Scope) -> ScopeFiles:
        """Return the scope's files, by django-storages."""
        from storage.backends.django_s3 import S3Resource, s3_files  # noqa: PLC0415 - it imports the SDK

        if self._resource is None:
            self._resource = S3Resource(self._config)
        return s3_files(self._resource, self._layout.home(scope))

    def native(self) -> Any:
        """Return the SDK's client of S3, for diagnostics: what it does is neither scoped nor translated."""
        return self._bucket.http.client()

    def close(self) -> None:
        for bucket in (self._bucket, *self._regions.replicas):
            bucket.http.close()
        if self._resource is not None:
            self._resource.close()

    def _source_of_copy(self, ref: BlobRef, etag: str | None) -> BlobInfo:
        """Look at the object in the route's own region. Raises NotFound or VersionConflict."""
        name = self._layout.name(ref)
        headers = sent(lambda: self._bucket.head(name, checksum=ref.area is Area.UPLOADS))
        if headers is None:
            raise NotFound(f"There is no object {ref.key!a} to copy.")
        info = info_of(ref, self._uri(name), headers)
        if etag not in {None, info.etag}:
            raise VersionConflict(f"The object {ref.key!a} to copy was replaced.", fix="Read it again.")
        return info

    def _write(
        self, ref: BlobRef, content_type: str, metadata: Mapping[str, str], expect: BlobExpect, sha256: str | None
    ) -> Write:
        return Write(
            self._bucket,
            ref,
            self._layout.name(ref),
            content_type,
            metadata,
            expect,
            sha256,
            epoch=self._epoch,
            stored_as=self._config.stored_as(),
        )

    def _uri(self, name: str) -> str:
        return uri_of(self._bucket, name)
