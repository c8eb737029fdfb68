"""Resumable uploads: a session collects bytes in blocks of 256 KiB until the last, and then becomes an object at once."""

import re
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.servers.gcs_bodies import Body
from tests.servers.gcs_contents import Expected, Writer
from tests.servers.gcs_errors import GcsError, bad_request, no_upload, server_fault, upload_gone
from tests.servers.gcs_objects import Fields, ObjectVersion
from tests.servers.gcs_preconditions import Preconditions

BLOCK = 256 * 1024
"""Bytes of which every chunk but the last has a multiple ("Resumable uploads")."""
LIFETIME = 7 * 24 * 3600 * 1_000_000
"""Microseconds until a session expires: a week."""
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class Session:
    """An upload under way. `turn` counts its requests: a later one takes over from one that still hangs."""

    id: str
    bucket: str
    name: str
    fields: Fields
    preconditions: Preconditions
    expected: Expected
    declared: int | None
    begun: int
    writer: Writer
    kms_key: str = ""
    turn: int = 0
    published: ObjectVersion | None = None
    cancelled: bool = False
    failed: GcsError | None = None


@dataclass
class Uploads:
    """All sessions; those that are over are remembered."""

    sessions: dict[str, Session] = field(default_factory=dict)

    def begin(self, session: Session) -> None:
        self.sessions[session.id] = session

    def named(self, upload_id: str, now: int) -> Session:
        """Return a session. Raises a 404 for an unknown one, a 410 for an expired one, a 499 for a cancelled one."""
        session = self.sessions.get(upload_id)
        if session is None:
            raise no_upload()
        if session.cancelled:
            raise GcsError(499, "cancelled", "ClientClosedRequest", "The upload was cancelled.")
        if session.published is None and now >= session.begun + LIFETIME:
            session.writer.discard()
            raise upload_gone()
        if session.failed is not None:
            raise session.failed
        return session

    def open(self) -> list[dict[str, object]]:
        """List the sessions that wait for more bytes."""
        return [
            {"upload_id": one.id, "bucket": one.bucket, "name": one.name, "bytes": one.writer.size}
            for one in self.sessions.values()
            if one.published is None and not one.cancelled and one.failed is None
        ]


def new_upload_id() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Chunk:
    """What a request says of its bytes: where they begin (None: it only asks), and of how many (None: not known yet)."""

    start: int | None
    total: int | None
    whole: bool = False
    """Whether the bytes are all that are still to come, which a request without Content-Range says."""

    @classmethod
    def parsed(cls, header: str | None, length: str | None) -> "Chunk":
        """Read Content-Range and Content-Length. Raises a 400 for what makes no sense, or is no multiple of 256 KiB."""
        if header is None:
            return cls(0, None, whole=True)
        match = CONTENT_RANGE.fullmatch(header)
        if match is None:
            raise bad_request(f"Failed to parse Content-Range header {header}")
        first, last, total = match.groups()
        size = None if total == "*" else int(total)
        if first is None and length in {None, "0"}:
            return cls(None, size)
        if first is None:
            raise bad_request(f"Content-Range is {header}, and yet there is a body")
        count = int(last) - int(first) + 1
        if count < 1 or (size is not None and int(last) >= size) or length not in {None, str(count)}:
            raise bad_request(f"Invalid Content-Range header {header}")
        if (size is None or int(last) + 1 < size) and count % BLOCK:
            raise _uneven(count)
        return cls(int(first), size)

    def completes(self, size: int) -> bool:
        """Whether a session that has so many bytes after this request is complete."""
        return self.whole or self.total == size


def _uneven(count: int) -> GcsError:
    return bad_request(f"A chunk that is not the last has a multiple of {BLOCK} bytes, not {count}")


def append(session: Session, chunk: Chunk, body: Body, lock: AbstractContextManager[object], *, most: int) -> None:
    """Add what is new of a chunk, block by block: a client that goes away loses no more than the block it was in.

    Of more than `most` bytes the rest is not kept, as the service may do: the client has to send it again.
    Raises a 413, and a 503 for bytes that would leave a gap or come from a request that a later one has overtaken.
    """
    with lock:
        session.turn += 1
        mine, offset = session.turn, session.writer.size
    if chunk.start is not None and chunk.start > offset:
        raise _gap(chunk.start, offset)
    known = 0 if chunk.start is None else offset - chunk.start
    while known and (data := body.read(min(known, BLOCK))):
        known -= len(data)
    begun = session.writer.size
    while (chunk.whole or session.writer.size - begun < most) and (data := body.read(BLOCK)):
        with lock:
            if session.turn != mine:
                raise server_fault(503)
            try:
                session.writer.write(data)
            except GcsError as error:
                session.failed = error
                raise


def _gap(offset: int, size: int) -> GcsError:
    message = (
        f"Invalid request. According to the Content-Range header, the upload offset is {offset} byte(s), "
        f"which exceeds already uploaded size of {size} byte(s)."
    )
    return GcsError(503, "backendError", "ServiceUnavailable", message)
