"""What is known of an object, as S3's headers have it."""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Final

from storage.backends.blob_metadata import SHA256, decode_metadata
from storage.backends.s3_service import date_of, etag_in
from storage.blobs import Area, BlobInfo, BlobRef

META: Final = "x-amz-meta-"
_UNTYPED: Final = "binary/octet-stream"
"""What S3 says of bytes whose sender named no type."""


def info_of(ref: BlobRef, uri: str, headers: Mapping[str, str], *, replica: str | None = None) -> BlobInfo:
    """Return what the headers of a whole object, or of a part of one, say. Raises BackendRejected for damaged metadata.

    Of an upload only S3's own word counts for its checksum.
    """
    metadata, own = decode_metadata(_meta_in(headers))
    return BlobInfo(
        key=ref.key,
        size=size_in(headers),
        sha256=_verified(headers) if ref.area is Area.UPLOADS else own.get(SHA256),
        etag=etag_in(headers),
        content_type=headers.get("content-type", _UNTYPED),
        uri=uri,
        modified_at=date_of(headers["last-modified"]),
        metadata=metadata,
        replica=replica,
    )


def size_in(headers: Mapping[str, str]) -> int:
    """Return the whole object's size."""
    total = headers.get("content-range", "").rpartition("/")[2]
    return int(total or headers["content-length"])


def _meta_in(headers: Mapping[str, str]) -> dict[str, str]:
    return {name[len(META) :]: value for name, value in headers.items() if name[: len(META)].lower() == META}


def _verified(headers: Mapping[str, str]) -> str | None:
    """Return the SHA-256 of all bytes that S3 has verified itself, where it has."""
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        digest = b64decode(headers.get("x-amz-checksum-sha256", ""), validate=True)
    except NotBase64:
        return None
    return digest.hex() or None
