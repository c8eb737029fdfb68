"""An object as Cloud Storage's two APIs show it, and as our contract has it."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from storage.backends.blob_metadata import EPOCH, SHA256, WRITE, decode_metadata, encode_metadata
from storage.blobs import ABSENT, BlobExpect, BlobInfo
from storage.errors import VersionConflict

FIELDS: Final = "contentType,generation,metadata,size,timeCreated,updated"
"""What is asked for of an object, by the JSON API's `fields`."""
NOTHING: Final = 0
"""Where a generation is expected: that there is no object."""

_META: Final = "x-goog-meta-"
_GENERATION: Final = re.compile(r"[1-9][0-9]{0,18}")
_MOST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Stored:
    """An object, with its metadata as the service has it. `generation` changes with each write of the bytes."""

    generation: int
    size: int
    content_type: str
    created_at: datetime
    modified_at: datetime
    metadata: Mapping[str, str]

    @property
    def write_id(self) -> str | None:
        """Which write made it, when it was one of ours."""
        return self.metadata.get(WRITE)

    def info(self, key: str, uri: str) -> BlobInfo:
        """Return it as the contract tells it. Raises BackendRejected for metadata that another program has damaged."""
        metadata, own = decode_metadata(self.metadata)
        return BlobInfo(
            key=key,
            size=self.size,
            sha256=own.get(SHA256),
            etag=str(self.generation),
            content_type=self.content_type,
            uri=uri,
            modified_at=self.modified_at,
            metadata=metadata,
        )


def from_resource(resource: Mapping[str, Any]) -> Stored:
    """Read what the JSON API shows."""
    return Stored(
        generation=int(resource["generation"]),
        size=int(resource["size"]),
        content_type=resource.get("contentType", ""),
        created_at=datetime.fromisoformat(resource["timeCreated"]),
        modified_at=whole_second(resource["updated"]),
        metadata=resource.get("metadata", {}),
    )


def from_headers(headers: Mapping[str, str]) -> Stored:
    """Read what a download of the XML API shows."""
    modified_at = parsedate_to_datetime(headers["last-modified"])
    found = ((name.lower(), value) for name, value in headers.items() if name[:12].lower() == _META)
    return Stored(
        generation=int(headers["x-goog-generation"]),
        size=int(headers["x-goog-stored-content-length"]),
        content_type=headers.get("content-type", ""),
        created_at=modified_at,
        modified_at=modified_at,
        metadata={name.removeprefix(_META): _text(value) for name, value in found},
    )


def _text(value: str) -> str:
    """Return a header that other programs may have filled with UTF-8."""
    return value if value.isascii() else value.encode("latin-1").decode(errors="replace")


def whole_second(moment: str) -> datetime:
    """Return a moment of the JSON API without its fraction, which downloads do not tell: it is the same wherever it is shown."""
    return datetime.fromisoformat(moment).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write gives an object besides its bytes. `write_id` is a fresh one for each write."""

    content_type: str
    metadata: Mapping[str, str]
    write_id: str
    epoch: int
    storage_class: str | None = None

    def resource(self, sha256: str | None) -> dict[str, Any]:
        """Return it for the JSON API, of a new object."""
        return self.description(sha256) | ({"storageClass": self.storage_class} if self.storage_class else {})

    def description(self, sha256: str | None) -> dict[str, Any]:
        """Return what of it may be changed later."""
        own = {WRITE: self.write_id, EPOCH: str(self.epoch)} | ({SHA256: sha256} if sha256 else {})
        return {"contentType": self.content_type, "metadata": encode_metadata(self.metadata, own)}


def expected_generation(expect: BlobExpect, key: str) -> int | None:
    """Return the generation that an object must have: NOTHING for ABSENT, None for ANY.

    Raises VersionConflict for an ETag that no object of ours can have.
    """
    if not isinstance(expect, str):
        return NOTHING if expect is ABSENT else None
    return version_of(expect, key)


def version_of(etag: str, key: str) -> int:
    """Return the generation that an ETag stands for. Raises VersionConflict for one that no object can have."""
    if not _GENERATION.fullmatch(etag) or int(etag) > _MOST:
        raise VersionConflict(f"The object {key!a} has another ETag; {etag!a} was expected.", fix="Read it again.")
    return int(etag)


def new_crc32c(data: bytes) -> Any:
    """Return the running CRC32C of these bytes, of the SDK's `Checksum`: `update` adds more."""
    from google_crc32c import Checksum  # noqa: PLC0415 - the SDK is imported at first use

    build: Any = Checksum  # it has no types
    return build(data)


def as_text(checksum: Any) -> str:
    """Return a CRC32C as the service writes it."""
    return b64encode(checksum.digest()).decode()
