"""One write of an object: what it says beside the bytes, what it expects, and how it is known again."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from storage.backends.blob_metadata import EPOCH, SHA256, WRITE, encode_metadata
from storage.backends.s3_errors import ConditionFailed, NotThere
from storage.backends.s3_objects import META
from storage.backends.s3_service import S3Bucket, Sent, SentPart, date_of, etag_in
from storage.backends.s3_settling import settled
from storage.blobs import ABSENT, ANY, BlobExpect, BlobInfo, BlobRef
from storage.errors import AlreadyExists, BackendUnavailable, VersionConflict

_ETAG: Final = re.compile(r"[!#-~]{1,200}")


def new_write_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Write:
    """A write to `name`. `sha256` is that of the bytes, lower-case hex, None where a copied object has none.

    `stored_as` are headers that say how S3 is to keep the object.
    """

    bucket: S3Bucket
    ref: BlobRef
    name: str
    content_type: str
    metadata: Mapping[str, str]
    expect: BlobExpect
    sha256: str | None
    epoch: int
    stored_as: Mapping[str, str]
    id: str = field(default_factory=new_write_id)

    def headers(self) -> dict[str, str]:
        """Return the headers of the request that creates the object."""
        own = {EPOCH: str(self.epoch), WRITE: self.id} | ({SHA256: self.sha256} if self.sha256 else {})
        names = encode_metadata(self.metadata, own)
        return {
            "content-type": self.content_type,
            **{META + name: value for name, value in names.items()},
            **self.stored_as,
        }

    def conditions(self) -> dict[str, str]:
        """Return the headers that hold the write to what it expects. Raises VersionConflict for what no ETag can be."""
        if self.expect is ANY:
            return {}
        if self.expect is ABSENT:
            return {"if-none-match": "*"}
        return {"if-match": quoted_etag(self.expect, self.ref.key)}

    def found(self) -> Sent | None:
        """Return what S3 says of the object, if it is this write's."""
        headers = self.bucket.head(self.name)
        if headers is None or headers.get(META + WRITE) != self.id:
            return None
        return Sent(etag_in(headers), date_of(headers["last-modified"]))

    def info(self, sent: Sent, size: int) -> BlobInfo:
        """Return what is known of the object that was stored."""
        return BlobInfo(
            key=self.ref.key,
            size=size,
            sha256=self.sha256,
            etag=sent.etag,
            content_type=self.content_type,
            uri=uri_of(self.bucket, self.name),
            modified_at=sent.when,
            metadata=dict(self.metadata),
        )

    def complete(self, upload_id: str, parts: list[SentPart], size: int) -> BlobInfo:
        """Publish an upload in parts on the write's conditions. Raises AlreadyExists or VersionConflict."""
        conditions = self.conditions()
        with self.refusing():
            sent = settled(lambda: self.bucket.complete(self.name, upload_id, parts, conditions), self.found)
        return self.info(self._exactly(sent), size)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Raise AlreadyExists or VersionConflict where S3 refuses the write's conditions."""
        try:
            yield
        except (ConditionFailed, NotThere):
            raise conflict(self.expect, self.ref.key) from None

    def _exactly(self, sent: Sent) -> Sent:
        """Ask when the object was stored: for S3 that is when the upload began."""
        try:
            return self.found() or sent
        except BackendUnavailable:
            return sent


def quoted_etag(etag: str, key: str) -> str:
    """Return the ETag as conditions have it. Raises VersionConflict for what none can be."""
    if not _ETAG.fullmatch(etag):
        raise conflict(etag, key)
    return f'"{etag}"'


def conflict(expect: BlobExpect, key: str) -> AlreadyExists | VersionConflict:
    """Return what to raise where the object is not as it was expected."""
    if expect is ABSENT:
        return AlreadyExists(f"The object {key!a} exists.", fix="Choose another key, or allow it to be replaced.")
    return VersionConflict(
        f"The object {key!a} has another ETag than {expect!a}, or is not there.", fix="Read it again."
    )


def uri_of(bucket: S3Bucket, name: str) -> str:
    """Return the address that AWS's tools take."""
    return f"s3://{bucket.name}/{name}"
