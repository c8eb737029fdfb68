"""Objects as block blobs of one container: `tenants/{tenant}/{env}/raw/{key}`, metadata and checksum beside the bytes.

A body up to one part is one request. A larger one is sent in blocks, which show nowhere until they are committed together with
their metadata, on condition: so nothing is staged elsewhere. Blocks that are never committed the service removes after a week,
or when the same blob is next written.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from storage.backends.azure_blob_client import Connection
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.backends.azure_blob_copy import Copier
from storage.backends.azure_blob_errors import Refused, Taken
from storage.backends.azure_blob_info import Found
from storage.backends.azure_blob_listing import KeyListing
from storage.backends.azure_blob_names import place_of
from storage.backends.azure_blob_parts import MOST_PARTS, PART_BYTES
from storage.backends.azure_blob_place import prepare, probe
from storage.backends.azure_blob_reading import Reader
from storage.backends.azure_blob_signing import CREATE_AND_WRITE, READ, Signer
from storage.backends.azure_blob_store import Draft, Store
from storage.backends.azure_blob_sweep import swept
from storage.backends.azure_blob_upload import uploaded
from storage.backends.blob_intake import Intake
from storage.backends.blob_names import Layout
from storage.blobs import (
    ABSENT,
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
from storage.errors import AlreadyExists, VersionConflict
from storage.files import ScopeFiles
from storage.keys import Scope

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class AzureBlobs:
    """The blob contract over Azure Blob Storage. `storage.blobs.BlobDriver` says what each method promises."""

    Config: ClassVar = AzureBlobConfig
    limits: ClassVar[BlobLimits] = BlobLimits(
        object_bytes=MOST_PARTS * PART_BYTES,
        presign_post=False,
        presign_pins_type=False,
        presign_pins_size=False,
    )
    """195 GiB: 50,000 blocks of one part's size, so that memory stays small. A SAS pins neither type nor size."""

    def __init__(self, config: AzureBlobConfig, *, mode: str, epoch: int) -> None:  # noqa: ARG002 - every mode may
        self._config = config
        self._layout = Layout(config.prefix)
        self._connection = Connection(config)
        self._store = Store(self._connection, config, epoch=epoch)
        self._reader = Reader(self._connection, self._store)
        self._signer = Signer(self._connection, config)
        self._copier = Copier(self._store, self._signer)

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
        start = Draft(place_of(self._layout, ref), content_type, metadata)
        intake = Intake(chunks, part_bytes=PART_BYTES)
        first = intake.part()

        def finished() -> Draft:
            intake.check(sha256=sha256, size=size)
            return replace(start, sha256=intake.sha256, size=intake.size)

        with _told(ref.key, expect):
            if intake.ended:
                return self._store.put(finished(), first, expect)
            return uploaded(self._store, start, intake, first, finished=finished, expect=expect)

    def get(self, ref: BlobRef, wanted: RangeRequest | None = None) -> Blob | None:
        return self._reader.open(place_of(self._layout, ref), wanted)

    def head(self, ref: BlobRef) -> BlobInfo | None:
        found = self._store.find(place_of(self._layout, ref))
        return found.info if found else None

    def delete(self, ref: BlobRef, *, expect: BlobExpect = ANY) -> bool:
        place = place_of(self._layout, ref)
        delete = self._store.delete if place.ours else self._store.delete_upload
        with _told(ref.key, expect):
            return delete(place.name, expect)

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
        listing = KeyListing(self._connection, self._layout.home(scope, area), prefix=prefix, delimiter=delimiter)
        return listing.page(limit, cursor)

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
        from_place, to_place = place_of(self._layout, source), place_of(self._layout, target)

        def drafted(origin: Found) -> Draft:
            info = origin.info
            given = info.metadata if metadata is None else metadata
            sha = sha256 or info.sha256
            return Draft(to_place, content_type or info.content_type, given, sha, info.size)

        with _told(target.key, expect):
            return self._copier.copy(from_place, drafted, etag=source_etag, expect=expect)

    def presign(self, ref: BlobRef, grant: Grant) -> Presigned:
        name = place_of(self._layout, ref).name
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=grant.seconds)
        if grant.method == "GET":
            url = self._signer.presigned_url(name, READ, expires_at, disposition="attachment")
            return Presigned("GET", url, expires_at)
        headers = {"x-ms-blob-type": "BlockBlob"} | ({"Content-Type": grant.content_type} if grant.content_type else {})
        return Presigned("PUT", self._signer.presigned_url(name, CREATE_AND_WRITE, expires_at), expires_at, headers)

    def sweep(self, tenant: str, env: str, *, before: datetime, dry_run: bool = False) -> Swept:
        store = None if dry_run else self._store
        return swept(self._connection, store, self._layout.above(tenant, env), before=before)

    def prepare(self) -> None:
        prepare(self._connection)

    def ping(self) -> None:
        probe(self._connection)

    def close(self) -> None:
        self._connection.close()

    def files(self, scope: Scope) -> ScopeFiles:
        """Return the scope's files, by django-storages."""
        from storage.backends.django_azure import azure_files  # noqa: PLC0415 - it imports the SDK

        return azure_files(self._connection.shared_container, self._config, self._layout.home(scope))

    def native(self) -> "ContainerClient":
        """Return the SDK's own client of the container; what is done with it bypasses every promise made here."""
        return self._connection.container()


@contextmanager
def _told(key: str, expect: BlobExpect) -> Iterator[None]:
    """Say in the contract's words that the condition did not hold."""
    try:
        yield
    except Taken:
        raise AlreadyExists(
            f"The object {key!a} exists.", fix="Choose another key, or allow it to be replaced."
        ) from None
    except Refused:
        if expect is ABSENT:
            raise AlreadyExists(
                f"The object {key!a} exists.", fix="Choose another key, or allow it to be replaced."
            ) from None
        raise VersionConflict(
            f"The object {key!a} has another version than {expect!a}, or does not exist.", fix="Read it again."
        ) from None
