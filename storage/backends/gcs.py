"""Objects in Google Cloud Storage: one object each, by the name that a person reads in the console.

An ETag is the object's generation. What fits one part goes up in one request with its SHA-256; more goes through a resumable
session: straight to its name when its checksum was announced, else to a name of its own, and is moved when all is known.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final

from storage.backends.blob_intake import Intake
from storage.backends.blob_metadata import SHA256, decode_metadata
from storage.backends.blob_names import Layout, upload_homes
from storage.backends.gcs_client import GcsConnection, anonymous
from storage.backends.gcs_config import GcsConfig
from storage.backends.gcs_listing import Listed, folders, listed, page_of
from storage.backends.gcs_objects import Stored, Written, expected_generation, version_of
from storage.backends.gcs_prepare import check_bucket, prepare_bucket
from storage.backends.gcs_reading import opened
from storage.backends.gcs_signing import presigned
from storage.backends.gcs_upload import PART_BYTES, Upload
from storage.backends.gcs_writes import GcsWrites
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
from storage.errors import NotFound, VersionConflict
from storage.files import ScopeFiles
from storage.keys import Scope

READ_ATTEMPTS: Final = 3
"""How often a part is asked for of an object that changes its size meanwhile."""
SOURCE_ATTEMPTS: Final = 3
"""How often a copy begins anew because its source was replaced."""


class GcsBlobs:
    """The blob contract over one bucket. Raises BackendUnavailable for everything once it is closed."""

    Config: ClassVar[type[GcsConfig]] = GcsConfig
    limits: ClassVar[BlobLimits] = BlobLimits()
    """Google's own are the contract's: 5 TiB an object, 1,000 names a page ("Quotas and limits")."""

    def __init__(self, config: GcsConfig, *, mode: str, epoch: int) -> None:  # noqa: ARG002 - allowed in every mode
        """Take the settings; the connection is opened by the first call of each process."""
        self._config = config
        self._epoch = epoch
        self._layout = Layout(config.prefix)
        self._connection = GcsConnection(config)
        self._writes = GcsWrites(self._connection, kms_key=config.kms_key)
        self._client: Any = None

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
        name, written = self._layout.name(ref), self._written(content_type, metadata)
        expected_generation(expect, ref.key)  # an ETag that no object can have is refused before anything is read
        intake = Intake(chunks, part_bytes=PART_BYTES)
        intake.fill()
        if not intake.ended:
            staging = self._layout.staging(ref.scope.tenant, ref.scope.env) + written.write_id
            upload = Upload(self._connection, self._writes, name=name, staging=staging, written=written)
            stored = upload.done(intake, expect=expect, key=ref.key, sha256=sha256, size=size)
            return self._info(ref, stored)
        data = intake.part()
        intake.check(sha256=sha256, size=size)
        stored = self._writes.put(name, data, written, sha256=intake.sha256, expect=expect, key=ref.key)
        return self._info(ref, stored)

    def get(self, ref: BlobRef, wanted: RangeRequest | None = None) -> Blob | None:
        if wanted is not None:
            wanted.within(0)  # refuses what is no range
        name = self._layout.name(ref)
        for _ in range(READ_ATTEMPTS):
            found = opened(self._connection, name, wanted)
            if found:
                stored, download, span = found
                return Blob(self._info(ref, stored), download, span)
            known = self._writes.head(name) if wanted else None
            if wanted is None or known is None:
                return None
            asked = wanted.within(known.size)
            if asked is None or asked.start == asked.end:
                return Blob(self._info(ref, known), iter(()), asked)
        raise VersionConflict(f"The object {ref.key!a} changes while it is read.", fix="Read it again.")

    def head(self, ref: BlobRef) -> BlobInfo | None:
        stored = self._writes.head(self._layout.name(ref))
        return self._info(ref, stored) if stored else None

    def delete(self, ref: BlobRef, *, expect: BlobExpect = ANY) -> bool:
        return self._writes.delete(self._layout.name(ref), expect=expect, key=ref.key)

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
        return page_of(self._connection, home, prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor)

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
        from_name, to_name = self._layout.name(source), self._layout.name(target)
        for _ in range(SOURCE_ATTEMPTS):
            found = self._source(source, from_name, source_etag)
            users, own = decode_metadata(_believed(source, found).metadata)
            written = self._written(content_type or found.content_type, users if metadata is None else metadata)
            resource = written.resource(sha256 or own.get(SHA256))
            send = partial(self._writes.rewrite, from_name, found, to_name, resource)
            try:
                stored = self._writes.once(to_name, written.write_id, send, expect=expect, key=target.key)
            except (NotFound, VersionConflict):
                if self._is_still(from_name, found):
                    raise
                continue
            return self._info(target, stored)
        raise VersionConflict(f"The object {source.key!a} changes while it is copied.", fix="Copy it again.")

    def _source(self, ref: BlobRef, name: str, etag: str | None) -> Stored:
        found = sent(partial(self._writes.head, name))
        if found is None:
            raise NotFound(f"There is no object {ref.key!a} to copy.")
        if etag is not None and version_of(etag, ref.key) != found.generation:
            raise VersionConflict(f"The object {ref.key!a} to copy was replaced.", fix="Read it again.")
        return found

    def _is_still(self, name: str, found: Stored) -> bool:
        now = sent(partial(self._writes.head, name))
        return now is not None and now.generation == found.generation

    def presign(self, ref: BlobRef, grant: Grant) -> Presigned:
        name, account = self._layout.name(ref), self._config.signing_account
        return presigned(self._connection, self.native(), name, grant, account)

    def sweep(self, tenant: str, env: str, *, before: datetime, dry_run: bool = False) -> Swept:
        homes = upload_homes(self._layout.above(tenant, env), partial(folders, self._connection))
        remove = self._counted if dry_run else self._removed
        uploads = sum(map(remove, self._late(homes, before)))
        return Swept(uploads, sum(map(remove, self._late([self._layout.staging(tenant, env)], before))))

    def _late(self, homes: Iterable[str], before: datetime) -> Iterator[Listed]:
        for home in homes:
            yield from (one for one in listed(self._connection, home) if one.created_at < before)

    def _counted(self, _: Listed) -> bool:
        return True

    def _removed(self, one: Listed) -> bool:
        with suppress(VersionConflict):  # it was written again, or somebody else has removed it
            return self._writes.delete(one.name, expect=str(one.generation), key=one.name)
        return False

    def prepare(self) -> None:
        """Create the bucket where it is missing; one that exists stays as it is."""
        prepare_bucket(self._connection, self._config)

    def ping(self) -> None:
        check_bucket(self._connection, self._config.prefix)

    def close(self) -> None:
        self._connection.close()
        if self._client is not None:
            self._client.close()

    def files(self, scope: Scope) -> ScopeFiles:
        """Return the scope's files, by django-storages."""
        from storage.backends.django_gcs import gcs_files  # noqa: PLC0415 - it imports the SDK

        return gcs_files(self.native, self._config, self._layout.home(scope))

    def native(self) -> Any:
        """Return the SDK's `Client`, for diagnostics. Our errors carry the SDK's as their cause."""
        from google.cloud.storage import Client  # noqa: PLC0415 - the SDK is imported at first use

        self._connection.check_open()
        if self._client is None:
            credentials = anonymous() if self._connection.is_emulator else self._connection.credentials()
            options = {"api_endpoint": self._connection.endpoint}  # said aloud, or a variable of the SDK's would decide
            self._client = Client(project=self._config.project, credentials=credentials, client_options=options)
        return self._client

    def _written(self, content_type: str, metadata: Mapping[str, str]) -> Written:
        return Written(content_type, metadata, uuid.uuid4().hex, self._epoch, self._config.storage_class)

    def _info(self, ref: BlobRef, stored: Stored) -> BlobInfo:
        return _believed(ref, stored).info(ref.key, f"gs://{self._config.bucket}/{self._layout.name(ref)}")


def _believed(ref: BlobRef, stored: Stored) -> Stored:
    """Return an object without the metadata of an upload, which its sender may have written."""
    return stored if ref.area is Area.OBJECTS else replace(stored, metadata={})
