"""The blob contract: whole objects or nothing, checksums on the way, constant memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final, Literal, Protocol

from northstar.errors import InvalidRequest
from storage.documents import Expectation
from storage.keys import Scope

ANY: Final = Expectation.ANY
ABSENT: Final = Expectation.ABSENT
BlobExpect = Expectation | str
"""ANY, ABSENT, or the ETag (without quotes) that the object must have."""

CHUNK_BYTES: Final = 1024 * 1024
METADATA_BYTES: Final = 1024
METADATA_NAMES: Final = 32
"""User metadata, names and values together in UTF-8, and how many: with any characters, packed for HTTP headers and beside
our own, they stay below S3's 2 KB, the least that a service allows ("Editing object metadata", Amazon S3 guide)."""
RECEIPT: Final = "ns_upload"
"""A name in the metadata that is Northstar's own and stands beside the user's: which upload the object came from."""
NAME_BYTES: Final = 1024
"""A physical name, with its scope and the route's prefix: what S3 and Google Cloud Storage allow in UTF-8."""


class Area(StrEnum):
    """Which of a scope's two shelves: objects, or uploads on their way in that no listing of objects shows."""

    OBJECTS = "raw"
    UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Names one object: whose, its key, and where it stands. The driver makes the physical name of it."""

    scope: Scope
    key: str
    area: Area = Area.OBJECTS


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known of a stored object. `sha256` is lower-case hex, `etag` bare (no quotes), `modified_at` UTC.

    `sha256` is None for bytes that reached the service past Northstar: by a presigned URL, or by another program. Of an upload
    it is only what the service itself has verified, never what its sender wrote into the metadata.
    """

    key: str
    size: int
    sha256: str | None
    etag: str
    content_type: str
    uri: str
    modified_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """An object of a listing: what every service lists without a request per object. As `BlobInfo` has it."""

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A resolved range: `start` inclusive, `end` exclusive, both inside the object."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """A range as asked, before the size is known: `first..last` inclusive, `first..` (last None), or the last `suffix` bytes."""

    first: int | None = None
    last: int | None = None
    suffix: int | None = None

    def within(self, size: int) -> ByteRange | None:
        """Return what of an object of `size` bytes is asked for, or None when nothing of it is (HTTP 416).

        Raises InvalidRequest for a range that no object has: negative, ending before it starts, or both forms at once.
        """
        if self.suffix is not None and self.first is None and self.last is None and self.suffix >= 0:
            return ByteRange(max(0, size - self.suffix), size) if self.suffix else None
        if (
            self.suffix is not None
            or self.first is None
            or self.first < 0
            or (self.last is not None and self.last < self.first)
        ):
            raise InvalidRequest(f"The range {self.first}..{self.last} (suffix {self.suffix}) is not one.")
        end = size if self.last is None else min(self.last + 1, size)
        return ByteRange(self.first, end) if self.first < size else None


@dataclass(frozen=True, slots=True)
class Blob:
    """An object being read. Consume `chunks` once, or call `close` on it; `span` is what of the object they hold.

    `span` is None when the range asked for lies beyond the end (HTTP 416); `chunks` is then empty.
    """

    info: BlobInfo
    chunks: Iterator[bytes]
    span: ByteRange | None


@dataclass(frozen=True, slots=True)
class BlobPage:
    """Objects and common prefixes of one page, together in byte order. `cursor` is None on the last page.

    `foreign` are names that other programs put among the page's and that are no keys: they are no entries.
    """

    blobs: tuple[BlobEntry, ...]
    prefixes: tuple[str, ...] = ()
    cursor: str | None = None
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """What a presigned request may do, for so many seconds from now: read one object, or send one.

    The last three bind an upload: the type that it must have, how large it may be, and the SHA-256 (hex) that it must have.
    """

    method: Literal["GET", "PUT", "POST"]
    seconds: int
    content_type: str | None = None
    max_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Presigned:
    """A request that anybody may send until it expires, without credentials and exactly so.

    `headers` must be sent as they are; `fields` are the form's of a POST, before the file.
    """

    method: str
    url: str
    expires_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed: uploads that nobody registered, and parts of writes that never ended."""

    uploads: int = 0
    parts: int = 0


@dataclass(frozen=True, slots=True)
class BlobLimits:
    """What a driver's service can hold, declared once."""

    object_bytes: int = 5 * 1024**4
    page_objects: int = 1000
    conditional_writes: bool = True
    ranges: bool = True
    version_per_write: bool = True
    """Every write has an ETag of its own. Else equal bytes have equal ETags, and a condition cannot tell their writes apart."""
    presign: bool = True
    """The service itself takes presigned GET and PUT. Where it does not, Northstar signs and serves such requests."""
    presign_post: bool = True
    presign_pins_type: bool = True
    presign_pins_size: bool = True
    """The service itself refuses another type, or a body over `max_bytes`, while it arrives; else registration does."""


class BlobDriver(Protocol):
    """One object service. Built once per route revision, used by many threads at once."""

    limits: ClassVar[BlobLimits]

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
        """Store the object whole, hashing it on the way in constant memory; nothing is visible before it is durable.

        Raises AlreadyExists, VersionConflict, ChecksumMismatch (another `sha256` or `size` than announced). Whatever
        `chunks` raises comes out unchanged; then, as after any error, the previous object stands untouched.
        """

    def get(self, ref: BlobRef, wanted: RangeRequest | None = None) -> Blob | None:
        """Open the object for reading, or return None. A reader keeps its bytes when the object is replaced meanwhile."""

    def head(self, ref: BlobRef) -> BlobInfo | None:
        """Return what is known of the object without its bytes, or None."""

    def delete(self, ref: BlobRef, *, expect: BlobExpect = ANY) -> bool:
        """Remove the object and return whether it existed. Raises VersionConflict for another ETag or a missing object."""

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
        """List in byte order of UTF-8 keys; with a delimiter, keys below it fold into prefixes. The cursor is the last entry."""

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
        """Copy the bytes inside the service, whole or not at all, with the source's type and metadata or those given.

        `expect` is about the target, `source_etag` the version that the source must have, `sha256` what the caller knows its
        bytes to have. Raises NotFound naming the source, AlreadyExists, or VersionConflict about the target or the source.
        """

    def presign(self, ref: BlobRef, grant: Grant) -> Presigned:
        """Sign a request for exactly this object. Only called as the limits allow; nothing is sent to the service."""

    def sweep(self, tenant: str, env: str, *, before: datetime, dry_run: bool = False) -> Swept:
        """Remove what no write of this tenant and env began since `before` can still need: unregistered uploads, loose parts.

        A dry run only counts what would be removed.
        """

    def prepare(self) -> None:
        """Create what the service needs (buckets, folders); may be called again at any time."""

    def ping(self) -> None:
        """Return when the service answers; raises BackendUnavailable or BackendRejected."""

    def close(self) -> None:
        """Release connections and files; a second call is harmless."""
