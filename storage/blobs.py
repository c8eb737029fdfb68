"""The blob contract: whole objects or nothing, checksums on the way, constant memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final, Protocol

from northstar.errors import InvalidRequest
from storage.documents import Expectation
from storage.keys import Scope

ANY: Final = Expectation.ANY
ABSENT: Final = Expectation.ABSENT
BlobExpect = Expectation | str
"""ANY, ABSENT, or the ETag (without quotes) that the object must have."""

CHUNK_BYTES: Final = 1024 * 1024
METADATA_BYTES: Final = 2048
"""User metadata, names and values together: S3's limit, the smallest of the four."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Names one object: whose, and its key. The driver makes the physical name of it."""

    scope: Scope
    key: str


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known of a stored object. `sha256` is lower-case hex, `etag` bare (no quotes), times UTC.

    `modified_at` equals `created_at` until the object is replaced, and then is later.
    """

    key: str
    size: int
    sha256: str
    etag: str
    content_type: str
    uri: str
    modified_at: datetime
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


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
    """Objects and common prefixes of one page, together in byte order. `cursor` is None on the last page."""

    blobs: tuple[BlobInfo, ...]
    prefixes: tuple[str, ...] = ()
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class BlobLimits:
    """What a driver's service can hold, declared once."""

    object_bytes: int = 5 * 1024**4
    metadata_bytes: int = METADATA_BYTES
    page_objects: int = 1000
    conditional_writes: bool = True
    ranges: bool = True
    presign: bool = False


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
        self, scope: Scope, *, prefix: str = "", delimiter: str = "", limit: int = 1000, cursor: str | None = None
    ) -> BlobPage:
        """List in byte order of UTF-8 keys; with a delimiter, keys below it fold into prefixes. The cursor is the last entry."""

    def copy(self, source: BlobRef, target: BlobRef, *, expect: BlobExpect = ANY) -> BlobInfo:
        """Copy with metadata, whole or not at all. Raises NotFound naming the source."""

    def prepare(self) -> None:
        """Create what the service needs (buckets, folders); may be called again at any time."""

    def ping(self) -> None:
        """Return when the service answers; raises BackendUnavailable or BackendRejected."""

    def close(self) -> None:
        """Release connections and files; a second call is harmless."""
