"""The guard above the blob drivers: the same rules as `storage.guard`, for objects."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from northstar.errors import BackendNotImplemented, InvalidRequest
from storage.blob_files import GuardedFiles
from storage.blob_reading import GuardedChunks
from storage.blobs import (
    ABSENT,
    ANY,
    METADATA_BYTES,
    METADATA_NAMES,
    RECEIPT,
    Area,
    Blob,
    BlobDriver,
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
from storage.errors import InvalidValue, ValueTooLarge
from storage.guard import PAGE_LIMIT, Caller, ServedBy
from storage.keys import Scope, check_object_key, check_prefix
from storage.metering import REPLICA_READS
from storage.usage import LISTED, LOOKED_UP, of_object_get, of_object_put


class GuardedBlobs:
    """The blob contract inside one scope: the operations of `BlobDriver`, by key.

    An object that is read whole ends in ChecksumMismatch, before its last bytes, when they are not those that were stored.
    """

    def __init__(
        self,
        driver: BlobDriver,
        *,
        scope: Scope,
        served_by: ServedBy,
        kind: str = "blobs",
        secrets: tuple[str, ...] = (),
        lease: object = None,
    ) -> None:
        self.scope = scope
        self.served_by = served_by
        self.replica: str | None = None
        """The region that answered one of the reads because the route's own was down, if one did."""
        self._driver = driver
        self._lease = lease  # keeps the driver open for as long as this guard is in use
        self._caller = Caller(kind, served_by, scope, secrets)

    def put(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        expect: BlobExpect = ANY,
        sha256: str | None = None,
        size: int | None = None,
        area: Area = Area.OBJECTS,
    ) -> BlobInfo:
        ref = self._ref(key, area)
        self._check_metadata(metadata or {})
        self._check_size(size or 0)
        return self._caller.run(
            "put",
            lambda: self._driver.put(
                ref,
                self._bounded(chunks),
                content_type=content_type,
                metadata=metadata or {},
                expect=expect,
                sha256=sha256,
                size=size,
            ),
            repeatable=False,  # the caller's bytes flow by once
            spends=of_object_put(0),
            yields=lambda info: of_object_put(info.size),
        )

    @property
    def limits(self) -> BlobLimits:
        """What the driver's service can hold and do."""
        return self._driver.limits

    def get(self, key: str, wanted: RangeRequest | None = None, *, area: Area = Area.OBJECTS) -> Blob | None:
        ref = self._ref(key, area)
        blob = self._caller.run("get", lambda: self._driver.get(ref, wanted), repeatable=True, yields=of_object_get)
        if blob is None:
            return None
        self._note_replica("get", blob.info.replica)
        return replace(blob, chunks=GuardedChunks(blob, self._caller))

    def head(self, key: str, *, area: Area = Area.OBJECTS) -> BlobInfo | None:
        ref = self._ref(key, area)
        info = self._caller.run("head", lambda: self._driver.head(ref), repeatable=True, spends=LOOKED_UP)
        self._note_replica("head", info.replica if info else None)
        return info

    def delete(self, key: str, *, expect: BlobExpect = ANY, area: Area = Area.OBJECTS) -> bool:
        if expect is ABSENT:
            raise InvalidRequest("A delete cannot expect the object to be absent.")
        ref = self._ref(key, area)
        return self._caller.run(
            "delete",
            lambda: self._driver.delete(ref, expect=expect),
            repeatable=False,  # one whose answer was lost could take what was written after it
        )

    def list(
        self,
        *,
        area: Area = Area.OBJECTS,
        prefix: str = "",
        delimiter: str = "",
        limit: int = PAGE_LIMIT,
        cursor: str | None = None,
    ) -> BlobPage:
        check_prefix(prefix)
        if not 1 <= limit <= PAGE_LIMIT:
            raise InvalidRequest(f"limit is {limit}; 1 to {PAGE_LIMIT} are allowed.")
        page = self._caller.run(
            "list",
            lambda: self._driver.list(
                self.scope, area=area, prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor
            ),
            repeatable=True,
            spends=LISTED,
        )
        self._note_replica("list", page.replica)
        return page

    def copy(
        self,
        source: str,
        target: str,
        *,
        source_area: Area = Area.OBJECTS,
        expect: BlobExpect = ANY,
        source_etag: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        sha256: str | None = None,
    ) -> BlobInfo:
        from_ref, to_ref = self._ref(source, source_area), self._ref(target)
        self._check_metadata(metadata or {})
        return self._caller.run(
            "copy",
            lambda: self._driver.copy(
                from_ref,
                to_ref,
                expect=expect,
                source_etag=source_etag,
                content_type=content_type,
                metadata=metadata,
                sha256=sha256,
            ),
            repeatable=False,
            spends=of_object_put(0),
        )

    def presign(self, key: str, grant: Grant, *, area: Area = Area.OBJECTS) -> Presigned:
        ref = self._ref(key, area)
        return self._caller.run("presign", lambda: self._driver.presign(ref, grant), repeatable=True)

    def files(self) -> GuardedFiles:
        """Return the scope's files as Django's storages keep them. Raises BackendNotImplemented where the driver offers none."""
        offered = getattr(self._driver, "files", None)
        if offered is None:
            raise BackendNotImplemented(
                f"{self.served_by.backend_type} offers no Django storage.", fix="Use the object store's own calls."
            )
        return GuardedFiles(offered(self.scope), self._caller, self._lease)

    def sweep(self, *, before: datetime, dry_run: bool = False) -> Swept:
        """Sweep the whole of the scope's tenant and env, or only count what that would remove."""
        tenant, env = self.scope.tenant, self.scope.env
        return self._caller.run(
            "sweep", lambda: self._driver.sweep(tenant, env, before=before, dry_run=dry_run), repeatable=True
        )

    def _ref(self, key: str, area: Area = Area.OBJECTS) -> BlobRef:
        check_object_key(key)
        return BlobRef(self.scope, key, area)

    def _note_replica(self, operation: str, region: str | None) -> None:
        if region is not None:
            self.replica = region
            REPLICA_READS.labels(self._caller.kind, self.served_by.backend_type, operation, region).inc()

    def _check_metadata(self, given: Mapping[str, str]) -> None:
        metadata = {name: value for name, value in given.items() if name != RECEIPT}
        try:
            size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
        except UnicodeEncodeError:
            raise InvalidValue("The object's metadata is not valid Unicode.") from None
        if size > METADATA_BYTES:
            raise ValueTooLarge(f"The object's metadata has {size} bytes; {METADATA_BYTES} are allowed.")
        if len(metadata) > METADATA_NAMES:
            raise ValueTooLarge(f"The object's metadata has {len(metadata)} names; {METADATA_NAMES} are allowed.")

    def _check_size(self, size: int) -> None:
        most = self._driver.limits.object_bytes
        if size > most:
            raise ValueTooLarge(f"The object has {size} bytes or more; {most} are allowed.")

    def _bounded(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            self._check_size(size)
            yield chunk
