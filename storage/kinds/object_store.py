"""The object store: whole objects or nothing under names with slashes, with a media type and metadata of the user's.

On top of the blob contract it decides what an object is when its writer does not say, and holds metadata to rules that every
service keeps: names as in HTTP headers, without case; values without control characters or outer spaces.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from northstar.context import RequestContext
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, ANY, Blob, BlobExpect, BlobInfo, BlobPage, RangeRequest
from storage.errors import InvalidValue, NotFound
from storage.guard import PAGE_LIMIT, ServedBy
from storage.keys import Scope
from storage.kinds.media_types import check_media_type, sniffed

__all__ = ["ABSENT", "ANY", "ObjectStore"]

SNIFFED_BYTES: Final = 512
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ObjectStore:
    """The objects of one scope. Keys, sizes and metadata are checked before any I/O."""

    def __init__(self, blobs: GuardedBlobs, context: RequestContext) -> None:
        self.context = context
        self._blobs = blobs

    @property
    def served_by(self) -> ServedBy:
        """Which route answers."""
        return self._blobs.served_by

    @property
    def scope(self) -> Scope:
        """Whose objects these are."""
        return self._blobs.scope

    def put(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        expect: BlobExpect = ANY,
        sha256: str | None = None,
        size: int | None = None,
    ) -> BlobInfo:
        """Store the object whole, in constant memory, and return what is known of it.

        Without a content type it gets the one that its first bytes show. `sha256` (hex) and `size` are what must arrive.
        Raises AlreadyExists, VersionConflict, ChecksumMismatch, InvalidKey, InvalidValue or ValueTooLarge; then, and when
        `chunks` raises, the object stands as before.
        """
        names = checked_metadata(metadata or {})
        announced = _checked_digest(sha256)
        if content_type is None:
            content_type, chunks = _look_inside(key, chunks)
        else:
            check_media_type(content_type)
        return self._blobs.put(
            key, chunks, content_type=content_type, metadata=names, expect=expect, sha256=announced, size=size
        )

    def get(self, key: str, wanted: RangeRequest | None = None) -> Blob | None:
        """Open the object for reading, or a part of it; None when there is none. Close what you do not read."""
        return self._blobs.get(key, wanted)

    def head(self, key: str) -> BlobInfo | None:
        """Return what is known of the object, or None."""
        return self._blobs.head(key)

    def delete(self, key: str, *, expect: BlobExpect = ANY) -> bool:
        """Remove the object and return whether it existed. Raises VersionConflict for another ETag or a missing object."""
        return self._blobs.delete(key, expect=expect)

    def list(
        self, *, prefix: str = "", delimiter: str = "", limit: int = PAGE_LIMIT, cursor: str | None = None
    ) -> BlobPage:
        """Return a page of objects in the byte order of their UTF-8 keys, folded at the first delimiter after the prefix."""
        return self._blobs.list(prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor)

    def copy(
        self,
        source: str,
        target: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        expect: BlobExpect = ANY,
    ) -> BlobInfo:
        """Copy the object, with its content type and metadata or with those given instead.

        `expect` is about the target. Raises NotFound naming the source, AlreadyExists or VersionConflict.
        """
        if content_type is not None:
            check_media_type(content_type)
        names = None if metadata is None else checked_metadata(metadata)
        return self._blobs.copy(source, target, expect=expect, content_type=content_type, metadata=names)

    def move(self, source: str, target: str, *, expect: BlobExpect = ANY) -> BlobInfo:
        """Copy the object, then remove it under its old key: an interruption in between leaves both, never none.

        Raises as `copy`; VersionConflict, keeping both, when the source was replaced meanwhile.
        """
        info = self._blobs.head(source)
        if info is None:
            raise NotFound(f"There is no object {source!a} to move.")
        if source == target:
            return info
        moved = self._blobs.copy(source, target, expect=expect, source_etag=info.etag)
        self._blobs.delete(source, expect=info.etag)
        return moved


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata with names in lower case. Raises InvalidValue, naming the rule that a name or value breaks."""
    names: dict[str, str] = {}
    for given, value in metadata.items():
        name = given.lower()
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                f"The metadata name {given[:80]!a} is not allowed.", fix="Use 1 to 128 letters, digits and dashes."
            )
        if name in names:
            raise InvalidValue(f"The metadata name {name!a} stands twice; case does not count.", fix="Send it once.")
        names[name] = _checked_value(name, value)
    return names


def _checked_value(name: str, value: str) -> str:
    rule = ""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        rule = "holds a control character or is not valid Unicode"
    elif value != value.strip(" "):
        rule = "starts or ends with a space, which headers do not keep"
    if rule:
        raise InvalidValue(f"The metadata value of {name!a} {rule}.", fix="Encode it, for example as base64.")
    return value


def _checked_digest(sha256: str | None) -> str | None:
    digest = sha256.lower() if sha256 is not None else None
    if digest is not None and not _SHA256.fullmatch(digest):
        raise InvalidValue(f"The SHA-256 {sha256!a} is not one.", fix="Send 64 hexadecimal digits.")
    return digest


def _look_inside(key: str, chunks: Iterable[bytes]) -> tuple[str, Iterator[bytes]]:
    rest = iter(chunks)
    taken: list[bytes] = []
    size = 0
    for chunk in rest:
        taken.append(chunk)
        size += len(chunk)
        if size >= SNIFFED_BYTES:
            break
    return sniffed(b"".join(taken)[:SNIFFED_BYTES], key), chain(taken, rest)
