"""The object store: whole objects or nothing under names with slashes, with a media type and metadata of the user's.

On top of the blob contract it decides what an object is when its writer does not say, and holds metadata to rules that every
service keeps: names as in HTTP headers, without case; values without control characters or outer spaces.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Final

from northstar.context import RequestContext
from storage.blob_files import GuardedFiles
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, ANY, RECEIPT, Blob, BlobExpect, BlobInfo, BlobPage, RangeRequest, Swept
from storage.errors import InvalidValue, NotFound
from storage.guard import PAGE_LIMIT, ServedBy
from storage.keys import Scope, check_object_key
from storage.kinds.media_types import check_media_type, sniffed
from storage.kinds.presigning import Method, PresignedRequest, presigned, received
from storage.kinds.registration import SNIFFED_BYTES, Wanted, register
from storage.tickets import Ticket

__all__ = ["ABSENT", "ANY", "ObjectStore"]

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
    def replica(self) -> str | None:
        """The region that answered a read because the route's own was down, if one did."""
        return self._blobs.replica

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
        blob = self._blobs.get(key, wanted)
        return replace(blob, info=_shown(blob.info)) if blob else None

    def head(self, key: str) -> BlobInfo | None:
        """Return what is known of the object, or None."""
        info = self._blobs.head(key)
        return _shown(info) if info else None

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
        return _shown(self._blobs.copy(source, target, expect=expect, content_type=content_type, metadata=names))

    def move(
        self, source: str, target: str, *, metadata: Mapping[str, str] | None = None, expect: BlobExpect = ANY
    ) -> BlobInfo:
        """Copy the object, then remove it under its old key: an interruption in between leaves both, never none.

        It keeps its metadata unless others are given. Raises as `copy`; VersionConflict, keeping both, when the source was
        replaced meanwhile.
        """
        info = self._blobs.head(source)
        if info is None:
            raise NotFound(f"There is no object {source!a} to move.")
        if source == target:
            return _shown(info)
        names = None if metadata is None else checked_metadata(metadata)
        moved = self._blobs.copy(source, target, expect=expect, metadata=names, source_etag=info.etag)
        self._blobs.delete(source, expect=info.etag)
        return _shown(moved)

    def presign(
        self,
        key: str,
        method: Method,
        *,
        ttl_seconds: int = 3600,
        content_type: str | None = None,
        max_bytes: int | None = None,
        sha256: str | None = None,
        served_at: str = "",
    ) -> PresignedRequest:
        """Sign a request that anybody may send for 1 to 604,800 seconds: read the object, or send an upload of it.

        The last terms bind an upload; the service holds it to them as far as it can, `register` wholly. `served_at` is the
        address below which Northstar serves such requests itself, for services that take none.
        Raises InvalidKey, InvalidValue, or InvalidRequest for a method that the service does not take.
        """
        if content_type is not None:
            check_media_type(content_type)
        return presigned(
            self._blobs,
            key,
            method,
            seconds=ttl_seconds,
            content_type=content_type,
            max_bytes=max_bytes,
            sha256=_checked_digest(sha256),
            served_at=served_at,
        )

    def receive(self, ticket: Ticket, chunks: Iterable[bytes], *, content_type: str | None = None) -> BlobInfo:
        """Take in an upload that a ticket of ours allows, held to its terms while it arrives. It is no object yet.

        Raises InvalidValue (another type), ValueTooLarge or ChecksumMismatch; then nothing is kept of it.
        """
        return received(self._blobs, ticket, chunks, content_type)

    def register(
        self,
        key: str,
        *,
        upload_id: str | None = None,
        size: int | None = None,
        sha256: str | None = None,
        content_type: str | None = None,
        expect: BlobExpect = ANY,
        metadata: Mapping[str, str] | None = None,
    ) -> BlobInfo:
        """Verify an upload of this key (the newest, where none is named) and make it the object, in one step.

        It is held to its terms and to what is given here; its SHA-256 is computed unless the service has. Registering it
        again answers the same object. Raises ChecksumMismatch, ValueTooLarge or InvalidValue, and the upload is removed;
        NotFound when none waits; AlreadyExists, VersionConflict or Conflict. Then the object stands as before.
        """
        check_object_key(key)
        wanted = Wanted(size, _checked_digest(sha256), content_type)
        names = checked_metadata(metadata or {})
        if content_type is not None:
            check_media_type(content_type)
        return _shown(register(self._blobs, key, upload_id, wanted=wanted, expect=expect, metadata=names))

    def files(self) -> GuardedFiles:
        """Return the objects as files of Django's: what `storage.django` is made of. Raises BackendNotImplemented."""
        return self._blobs.files()

    def sweep(self, *, before: datetime, dry_run: bool = False) -> Swept:
        """Remove uploads that came before `before` and parts of writes that died before it, in the whole tenant and env.

        A dry run only counts them.
        """
        return self._blobs.sweep(before=before, dry_run=dry_run)


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata with names in lower case. Raises InvalidValue, naming the rule that a name or value breaks."""
    names: dict[str, str] = {}
    for given, value in metadata.items():
        name = given.lower()
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                f"The metadata name {given[:80]!a} is not allowed.", fix="Use 1 to 128 letters, digits and dashes."
            )
        if name == RECEIPT:
            raise InvalidValue(f"The metadata name {name!a} is Northstar's own.", fix="Choose another name.")
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


def _shown(info: BlobInfo) -> BlobInfo:
    """Return what is known of the object without the mark of the upload that it came from."""
    if RECEIPT not in info.metadata:
        return info
    return replace(info, metadata={name: value for name, value in info.metadata.items() if name != RECEIPT})


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
