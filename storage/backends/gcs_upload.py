"""A large object on its way in: one resumable session, a part at a time, while the next part comes from the caller.

Parts go one after another, as a session takes them. Objects sent side by side and then composed would go faster over a long
way, but each byte would be billed again for as long as the bucket keeps what is deleted (`docs/decisions/0012`).
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from northstar.errors import NorthstarError
from storage.backends.blob_intake import Intake, Piece
from storage.backends.gcs_client import Answer, GcsConnection, Query, pieces
from storage.backends.gcs_errors import Sent, understood
from storage.backends.gcs_objects import Stored, Written, as_text, expected_generation, from_resource, new_crc32c
from storage.backends.gcs_writes import GcsWrites, if_generation, refusal
from storage.backends.sending import ATTEMPTS, pause_after, sent
from storage.backends.service import Outrun, Unanswered
from storage.blobs import ANY, BlobExpect
from storage.errors import BackendUnavailable, NotFound, Throttled

PART_BYTES: Final = 8 * 1024 * 1024
"""What Google recommends at least for the parts of a session ("Resumable uploads"), a multiple of 256 KiB. Two are in memory."""

Check = Callable[[], None]

_RESUME: Final = 308
_CANCELLED: Final = 499
_GONE: Final = 410
_RANGE: Final = re.compile(r"bytes=0-([0-9]+)")


class Session:
    """A resumable upload. Of one that never ends Cloud Storage keeps the bytes for a week, and bills nothing for them.

    `last` says what its last part is when the answer is lost: a write, or nothing, for a name that only the caller knows.
    """

    def __init__(
        self, connection: GcsConnection, name: str, resource: Mapping[str, Any], query: Query, *, last: Sent
    ) -> None:
        self._connection = connection
        self._last = last
        self._offset = 0
        self.ended = False
        """Whether its last part was sent: there may be an object then, and no session."""
        start = partial(
            connection.call,
            "POST",
            connection.upload_path,
            sent=Sent.READ,  # one that was begun and is not used costs nothing
            query={"uploadType": "resumable", "name": name, **query},
            headers={"content-type": "application/json"},
            body=json.dumps(resource).encode(),
        )
        answer = sent(start)
        with understood(Sent.READ):
            address = urlsplit(answer.headers["location"])
        self._path = f"{address.path}?{address.query}"  # at the route's endpoint, whatever host it names

    def send(self, part: Sequence[Piece]) -> None:
        """Send the next part, which is not the last. Raises BackendUnavailable when that cannot be done."""
        self._finish(part, "*", {}, Sent.READ)

    def end(self, part: Sequence[Piece], crc32c: str) -> Stored:
        """Send the last part and return the object. The service refuses it when the whole has another CRC32C.

        Raises Outrun when the object is not as the session was begun for, and Unanswered for a write that may have happened.
        """
        self.ended, total = True, self._offset + _size(part)
        answer = self._finish(part, str(total), {"x-goog-hash": f"crc32c={crc32c}"}, self._last)
        with understood(self._last):
            return from_resource(json.loads(answer.data))

    def cancel(self) -> None:
        """Give the session up; where that fails, it ends by itself."""
        with suppress(NorthstarError):
            expected = frozenset({_CANCELLED, _GONE})
            self._connection.call(
                "DELETE", self._path, sent=Sent.READ, headers={"content-length": "0"}, expected=expected
            )

    def _finish(self, part: Sequence[Piece], total: str, headers: Mapping[str, str], sent: Sent) -> Answer:
        """Send a part until the service has all of it; after a lost answer it is asked how much it has."""
        begin, end = self._offset, self._offset + _size(part)
        failures, asking, lost = 0, False, None
        while True:
            rest = [] if asking else list(_after(part, self._offset - begin))
            try:
                answer = self._put(rest, total, headers, sent)
            except BackendUnavailable as error:
                failures, asking = failures + 1, True
                lost = error if isinstance(error, Unanswered) else lost  # what came later does not undo it
                if failures == ATTEMPTS:
                    raise lost or error from None
                time.sleep(pause_after(failures, asked=error.pause_seconds if isinstance(error, Throttled) else 0.0))
                continue
            if answer.status != _RESUME:
                if total == "*":
                    raise _gone(sent)  # it is no answer to a part that is not the last
                return answer
            kept = _kept(answer)
            if kept < begin:
                raise _gone(sent)
            if kept == end and total == "*":
                self._offset = kept
                return answer
            failures, asking, self._offset = failures + (kept == self._offset and not asking), False, kept
            if failures == ATTEMPTS:
                raise BackendUnavailable("Cloud Storage takes no more of this upload.")

    def _put(self, data: Sequence[Piece], total: str, headers: Mapping[str, str], sent: Sent) -> Answer:
        size = _size(data)
        place = f"{self._offset}-{self._offset + size - 1}" if size else "*"
        all_headers = {**headers, "content-range": f"bytes {place}/{total}", "content-length": str(size)}
        try:
            answer = self._connection.call(
                "PUT",
                self._path,
                sent=sent,
                headers=all_headers,
                body=pieces(*data),
                expected=frozenset({_RESUME, _GONE}),
            )
        except NotFound:
            raise _gone(sent) from None
        if answer.status == _GONE:
            raise _gone(sent)
        return answer


def _kept(answer: Answer) -> int:
    """Return how many bytes the service has."""
    found = _RANGE.fullmatch(answer.headers.get("range", ""))
    return int(found[1]) + 1 if found else 0


def _size(part: Sequence[Piece]) -> int:
    return sum(map(len, part))


def _gone(sent: Sent) -> BackendUnavailable:
    kind = Unanswered if sent is Sent.WRITE else BackendUnavailable
    return kind("Cloud Storage has lost what it had of this upload.", fix="Send the object again.")


class Upload:
    """A body that does not fit one request, on its way to `name`. `staging` is a name that nobody else has."""

    def __init__(
        self, connection: GcsConnection, writes: GcsWrites, *, name: str, staging: str, written: Written
    ) -> None:
        self._connection = connection
        self._writes = writes
        self._name = name
        self._staging = staging
        self._written = written

    def done(self, intake: Intake, *, expect: BlobExpect, key: str, sha256: str | None, size: int | None) -> Stored:
        """Store the body and return the object.

        Raises AlreadyExists, VersionConflict, ChecksumMismatch and what the body raises; then nothing is left of it.
        """
        check = partial(intake.check, sha256=sha256, size=size)
        if sha256 is not None:
            return self._straight(intake, check, expect=expect, key=key, sha256=sha256.lower())
        return self._staged(intake, check, expect=expect, key=key)

    def _straight(self, intake: Intake, check: Check, *, expect: BlobExpect, key: str, sha256: str) -> Stored:
        generation = expected_generation(expect, key)
        query = {**self._writes.encryption(), **if_generation(generation)}
        session = Session(self._connection, self._name, self._written.resource(sha256), query, last=Sent.WRITE)
        try:
            return _sent_in_parts(session, intake, check)
        except Outrun:
            raise refusal(expect, key) from None
        except Unanswered as error:
            return self._writes.found(self._name, self._written.write_id, error)
        except BaseException:
            session.cancel()
            raise

    def _staged(self, intake: Intake, check: Check, *, expect: BlobExpect, key: str) -> Stored:
        resource, query = self._written.resource(None), self._writes.encryption()
        session = Session(self._connection, self._staging, resource, query, last=Sent.READ)
        try:
            stored = _sent_in_parts(session, intake, check)
            self._writes.describe(self._staging, stored, self._written.description(intake.sha256))
            return self._writes.move(self._staging, stored, self._name, self._written.write_id, expect=expect, key=key)
        except (NotFound, Outrun):
            raise BackendUnavailable("The upload was swept before it ended.", fix="Send the object again.") from None
        except BaseException:
            self._discard(session)
            raise

    def _discard(self, session: Session) -> None:
        """Remove what nobody will ask for, as far as that can be done now; a sweep does the rest."""
        session.cancel()
        with suppress(NorthstarError):
            if session.ended:
                self._writes.delete(self._staging, expect=ANY, key=self._staging)


def _sent_in_parts(session: Session, intake: Intake, check: Check) -> Stored:
    """Send a body of several parts. `check` is called before the last one leaves, when the checksum is known.

    While a part is sent, the next one is gathered. Neither is ever joined: two parts are in memory, and none of them twice.
    """
    part, checksum = intake.pieces(), new_crc32c(b"")
    with ThreadPoolExecutor(1) as sender:
        while not intake.ended:
            under_way = sender.submit(session.send, part)
            _add(checksum, part)
            del part
            intake.fill()
            under_way.result()
            part = intake.pieces()
    _add(checksum, part)
    check()
    return session.end(part, as_text(checksum))


def _add(checksum: Any, part: Sequence[Piece]) -> None:
    for piece in part:
        checksum.update(piece if isinstance(piece, bytes) else bytes(piece))


def _after(part: Sequence[Piece], skipped: int) -> Iterator[Piece]:
    """Yield a part without its first bytes."""
    for piece in part:
        if skipped < len(piece):
            yield memoryview(piece)[skipped:]
        skipped = max(0, skipped - len(piece))
