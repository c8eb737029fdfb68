"""Presigned requests: by the service where it takes them, else by a ticket that Northstar serves itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from northstar.errors import InvalidRequest
from storage.blob_guard import GuardedBlobs
from storage.blobs import Area, BlobInfo, Grant, Presigned
from storage.errors import InvalidValue, ValueTooLarge
from storage.keys import check_object_key
from storage.kinds.uploads import LONGEST_SECONDS, SHORTEST_SECONDS, new_upload_id, upload_key
from storage.tickets import Ticket

Method = Literal["GET", "PUT", "POST"]
_UNTYPED = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """A request to hand out. `upload_id` names the upload that it sends, for `register`; None for a read."""

    request: Presigned
    upload_id: str | None


def presigned(
    blobs: GuardedBlobs,
    key: str,
    method: Method,
    *,
    seconds: int,
    content_type: str | None,
    max_bytes: int | None,
    sha256: str | None,
    served_at: str,
) -> PresignedRequest:
    """Sign a request. Raises InvalidKey, InvalidValue or InvalidRequest, naming what cannot be granted."""
    check_object_key(key)
    grant = Grant(method, seconds, content_type, max_bytes, sha256)
    _check(blobs, grant)
    now = datetime.now(UTC)
    upload_id = None if method == "GET" else new_upload_id(key, grant, now)
    if blobs.limits.presign:
        place, area = (key, Area.OBJECTS) if upload_id is None else (upload_key(key, upload_id), Area.UPLOADS)
        return PresignedRequest(blobs.presign(place, grant, area=area), upload_id)
    if not served_at:
        raise InvalidRequest(
            "Northstar serves presigned requests to this backend itself, and its own address is not known here.",
            fix="Ask for them with POST /api/v1/storage/objects/presign.",
        )
    ticket = Ticket.of(blobs.scope, blobs.served_by, key, upload_id or "", grant)
    return PresignedRequest(ticket.at(served_at), upload_id)


def received(blobs: GuardedBlobs, ticket: Ticket, chunks: Iterable[bytes], content_type: str | None) -> BlobInfo:
    """Store what a ticket's holder sends among the uploads. Raises InvalidValue, ValueTooLarge or ChecksumMismatch."""
    if ticket.content_type is not None and content_type != ticket.content_type:
        raise InvalidValue(
            f"The content type is {(content_type or 'missing')[:80]!a}; this URL is for {ticket.content_type!a}.",
            fix=f"Send Content-Type: {ticket.content_type}.",
        )
    return blobs.put(
        upload_key(ticket.key, ticket.upload_id),
        _at_most(ticket.max_bytes, chunks),
        content_type=content_type or _UNTYPED,
        sha256=ticket.sha256,
        area=Area.UPLOADS,
    )


def _at_most(most: int | None, chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if most is not None and size > most:
            raise ValueTooLarge(f"The upload has more than the {most} bytes that this URL allows.")
        yield chunk


def _check(blobs: GuardedBlobs, grant: Grant) -> None:
    if not SHORTEST_SECONDS <= grant.seconds <= LONGEST_SECONDS:
        raise InvalidValue(f"ttl_seconds is {grant.seconds}; {SHORTEST_SECONDS} to {LONGEST_SECONDS} are allowed.")
    if grant.method == "GET" and (grant.content_type, grant.max_bytes, grant.sha256) != (None, None, None):
        raise InvalidRequest(
            "content_type, max_bytes and sha256 bind an upload; GET takes none of them.", fix="Leave them out."
        )
    if grant.max_bytes is not None and not 0 <= grant.max_bytes <= blobs.limits.object_bytes:
        raise InvalidValue(f"max_bytes is {grant.max_bytes}; 0 to {blobs.limits.object_bytes} are allowed.")
    if grant.method == "POST" and blobs.limits.presign and not blobs.limits.presign_post:
        raise InvalidRequest(
            f"{blobs.served_by.backend_type} takes no uploads by form (POST).", fix="Presign a PUT instead."
        )
