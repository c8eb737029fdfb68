"""Registering an upload: what arrived is held to its terms and to what the caller knows, and published in one step."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256 as new_sha256
from typing import Final

from northstar.errors import AlreadyExists, Conflict, NotFound, VersionConflict
from storage.blob_guard import GuardedBlobs
from storage.blobs import RECEIPT, Area, BlobExpect, BlobInfo, RangeRequest
from storage.errors import BackendUnavailable, ChecksumMismatch, InvalidValue, ValueTooLarge
from storage.kinds.media_types import UNKNOWN, check_media_type, sniffed
from storage.kinds.uploads import ALLOWANCE, Terms, receipt_of, upload_key, upload_terms, uploads_prefix

SNIFFED_BYTES: Final = 512
_SAYS_NOTHING: Final = frozenset({"", UNKNOWN, "binary/octet-stream", "application/x-www-form-urlencoded"})
"""Content types that services, and the last one that curl, give to bytes whose sender named none."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller knows of the bytes, in lower case; None where it does not say."""

    size: int | None = None
    sha256: str | None = None
    content_type: str | None = None

    def fits(self, info: BlobInfo) -> bool:
        """Whether an object is what the caller speaks of."""
        return all(
            wanted in {None, found}
            for wanted, found in (
                (self.size, info.size),
                (self.sha256, info.sha256),
                (self.content_type, info.content_type),
            )
        )


@dataclass(frozen=True, slots=True)
class _Upload:
    """An upload that arrived: what it is to become, where it stands, on which terms, and what the service knows of it."""

    key: str
    id: str
    terms: Terms
    info: BlobInfo

    @property
    def place(self) -> str:
        return self.info.key

    @property
    def receipt(self) -> str:
        return receipt_of(self.key, self.id)


def register(
    blobs: GuardedBlobs,
    key: str,
    upload_id: str | None,
    *,
    wanted: Wanted,
    expect: BlobExpect,
    metadata: Mapping[str, str],
) -> BlobInfo:
    """Make an upload of this key, the newest where none is named, the object. Registering it once more answers the same.

    Raises ChecksumMismatch (other bytes), ValueTooLarge (over its terms) or InvalidValue (another type, or too late): then the
    upload is removed. NotFound when nothing waits; AlreadyExists, VersionConflict or Conflict keep the upload. Nothing of
    these changes the object.
    """
    upload = _named(blobs, key, upload_id) if upload_id is not None else _newest(blobs, key)
    if upload is None:
        return _registered_before(blobs, key, upload_id, wanted)
    try:
        digest, content_type = _fitting(blobs, upload, wanted)
        info = _published(blobs, upload, digest, content_type, expect=expect, metadata=metadata)
    except NotFound:  # another registration of the same upload was faster
        return _registered_before(blobs, key, upload.id, wanted)
    _remove(blobs, upload)
    return info


def _named(blobs: GuardedBlobs, key: str, upload_id: str) -> _Upload | None:
    terms = upload_terms(key, upload_id)
    info = blobs.head(upload_key(key, upload_id), area=Area.UPLOADS)
    return _Upload(key, upload_id, terms, info) if info else None


def _newest(blobs: GuardedBlobs, key: str) -> _Upload | None:
    newest = max(_arrived(blobs, key), default=None)
    return _named(blobs, key, newest[1]) if newest else None


def _arrived(blobs: GuardedBlobs, key: str) -> Iterator[tuple[float, str]]:
    """Yield when each upload of the key arrived, and its id."""
    prefix = uploads_prefix(key)
    cursor: str | None = None
    while True:
        page = blobs.list(area=Area.UPLOADS, prefix=prefix, delimiter="/", cursor=cursor)
        for entry in page.blobs:
            upload_id = entry.key.rpartition("/")[2]
            if Terms.of(upload_id):
                yield entry.modified_at.timestamp(), upload_id
        cursor = page.cursor
        if cursor is None:
            return


def _registered_before(blobs: GuardedBlobs, key: str, upload_id: str | None, wanted: Wanted) -> BlobInfo:
    """Return the object that the upload became, if the answer to its registration was lost. Raises NotFound."""
    info = blobs.head(key)
    receipt = info.metadata.get(RECEIPT) if info else None
    is_it = receipt is not None if upload_id is None else receipt == receipt_of(key, upload_id)
    if info and is_it and wanted.fits(info):
        return info
    raise NotFound(
        f"No upload of {key!a} waits to be registered.",
        fix="Send the bytes to the presigned URL first. An upload that was refused, or that nobody registered in time, is gone.",
    )


def _fitting(blobs: GuardedBlobs, upload: _Upload, wanted: Wanted) -> tuple[str, str]:
    """Return what `_verified` does, or remove the upload. What is wrong with the request alone never removes it."""
    try:
        return _verified(blobs, upload, wanted)
    except (ChecksumMismatch, InvalidValue, ValueTooLarge):
        _remove(blobs, upload)
        raise


def _verified(blobs: GuardedBlobs, upload: _Upload, wanted: Wanted) -> tuple[str, str]:
    """Return the SHA-256 and the content type of what arrived. Raises as `register` for what may not be an object."""
    terms, info = upload.terms, upload.info
    if info.modified_at > terms.expires_at + ALLOWANCE:
        raise InvalidValue(
            f"The upload of {upload.key!a} came after its URL had expired at {terms.expires_at:%Y-%m-%dT%H:%M:%SZ}.",
            fix="Ask for a new URL, and send it again.",
        )
    if terms.max_bytes is not None and info.size > terms.max_bytes:
        raise ValueTooLarge(f"The upload of {upload.key!a} has {info.size} bytes; {terms.max_bytes} were agreed.")
    if wanted.size is not None and info.size != wanted.size:
        raise ChecksumMismatch(f"{info.size} bytes of {upload.key!a} came; {wanted.size} were announced.")
    content_type = _type_of(blobs, upload, wanted)
    digest = info.sha256 or _read_through(blobs, upload)
    for expected in (terms.sha256, wanted.sha256):
        if expected not in {None, digest}:
            raise ChecksumMismatch(
                f"What came for {upload.key!a} has SHA-256 {digest}; {expected} was announced.", fix="Send it again."
            )
    return digest, content_type


def _type_of(blobs: GuardedBlobs, upload: _Upload, wanted: Wanted) -> str:
    """Return the content type that the object gets: the one agreed or told, else the one that its first bytes show."""
    found = upload.info.content_type
    told = None if found in _SAYS_NOTHING and upload.terms.type_hash is None else found
    if not upload.terms.allow_type(found) or (told and wanted.content_type not in {None, told}):
        raise InvalidValue(
            f"The upload of {upload.key!a} has the content type {found[:80]!a}; another was agreed.",
            fix="Ask for a new URL, and send it with the headers that come with it.",
        )
    if told:
        check_media_type(told)
    return told or wanted.content_type or _sniffed(blobs, upload)


def _sniffed(blobs: GuardedBlobs, upload: _Upload) -> str:
    first = b""
    if upload.info.size:
        blob = blobs.get(upload.place, RangeRequest(0, SNIFFED_BYTES - 1), area=Area.UPLOADS)
        first = b"".join(blob.chunks) if blob else b""
    return sniffed(first, upload.key)


def _read_through(blobs: GuardedBlobs, upload: _Upload) -> str:
    """Return the SHA-256 of the upload's bytes, read in constant memory."""
    blob = blobs.get(upload.place, area=Area.UPLOADS)
    if blob is None:
        raise NotFound(f"The upload of {upload.key!a} is gone.")
    if blob.info.etag != upload.info.etag:
        getattr(blob.chunks, "close", int)()
        raise _sent_anew(upload)
    digest = new_sha256()
    for chunk in blob.chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _published(
    blobs: GuardedBlobs,
    upload: _Upload,
    digest: str,
    content_type: str,
    *,
    expect: BlobExpect,
    metadata: Mapping[str, str],
) -> BlobInfo:
    try:
        return blobs.copy(
            upload.place,
            upload.key,
            source_area=Area.UPLOADS,
            expect=expect,
            source_etag=upload.info.etag,
            content_type=content_type,
            metadata={**metadata, RECEIPT: upload.receipt},
            sha256=digest,
        )
    except (AlreadyExists, VersionConflict):
        there = blobs.head(upload.key)
        if there and there.metadata.get(RECEIPT) == upload.receipt and there.sha256 == digest:
            return there  # published by an attempt that did not come to remove the upload
        now = blobs.head(upload.place, area=Area.UPLOADS)
        if now and now.etag != upload.info.etag:
            raise _sent_anew(upload) from None
        raise


def _sent_anew(upload: _Upload) -> Conflict:
    return Conflict(
        f"The upload of {upload.key!a} was sent anew while it was being registered.", fix="Register it again."
    )


def _remove(blobs: GuardedBlobs, upload: _Upload) -> None:
    """Remove the upload as it was looked at. One that stays is an abandoned one: the sweep takes it."""
    try:
        blobs.delete(upload.place, area=Area.UPLOADS, expect=upload.info.etag)
    except (VersionConflict, BackendUnavailable) as error:
        logger.info("An upload is left to the sweep: %s", error.code)
