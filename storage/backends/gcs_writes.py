"""Writes of whole objects that happen once: sent on condition, and looked up when their answer was lost."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, TypeVar

from northstar.errors import NorthstarError
from storage.backends.gcs_client import GcsConnection, Query, pieces
from storage.backends.gcs_errors import Sent, silent, understood
from storage.backends.gcs_objects import (
    FIELDS,
    NOTHING,
    Stored,
    Written,
    as_text,
    expected_generation,
    from_resource,
    new_crc32c,
)
from storage.backends.sending import ATTEMPTS, pause_after, sent
from storage.backends.service import READ_SECONDS, WRITE_SECONDS, Outrun, Unanswered
from storage.blobs import ABSENT, ANY, BlobExpect
from storage.errors import AlreadyExists, BackendUnavailable, NotFound, VersionConflict

COPY_SECONDS: Final = 35.0
"""Of a rewrite: where bytes must be copied, a call works for up to 30 seconds before it answers with a token."""
MARGIN: Final = timedelta(seconds=1)
"""The service tells its time in whole seconds."""

_NO_CONTENT: Final = 204

T = TypeVar("T")


@dataclass(slots=True)
class _Write:
    """A write under way: to which generation it must hold, when it began, and the lost answer to it, if one was lost."""

    expect: BlobExpect
    key: str
    generation: int | None
    begun: float = field(default_factory=time.monotonic)
    lost: Unanswered | None = None

    def unknown(self) -> Unanswered:
        """Return what to raise when nobody can tell whether it happened."""
        return Unanswered(
            "Cloud Storage did not answer, and others have written since: the write may have happened or not."
        )

    def go_on(self, found: Stored | None, now: datetime | None, *, refused: bool) -> None:
        """Decide from what stands there, which is not the write's own work, how to send it again, or raise.

        An object from before the write proves that it has not happened. A write to whatever is there holds, from its second
        sending on, to what was found: it must not be done over something that came after it.
        """
        standing = found.generation if found else NOTHING
        ago = timedelta(seconds=time.monotonic() - self.begun) + MARGIN
        is_older = found is not None and now is not None and found.created_at < now - ago
        if self.generation is None and (found is None or is_older):
            self.generation = standing
        elif refused or self.generation != standing:
            raise (
                refusal(self.expect, self.key) if is_older and self.expect is not ANY else self.unknown()
            ) from self.lost


class GcsWrites:
    """The writes of one bucket."""

    def __init__(self, connection: GcsConnection, *, kms_key: str | None) -> None:
        self._connection = connection
        self._kms_key = kms_key

    def put(self, name: str, data: bytes, written: Written, *, sha256: str, expect: BlobExpect, key: str) -> Stored:
        """Store an object by one request, whose CRC32C the service verifies. Raises AlreadyExists or VersionConflict."""
        resource = {"name": name, "crc32c": as_text(new_crc32c(data)), **written.resource(sha256)}
        send = partial(self._insert, json.dumps(resource).encode(), data, written.content_type)
        return self.once(name, written.write_id, send, expect=expect, key=key)

    def _insert(self, resource: bytes, data: bytes, content_type: str, generation: int | None) -> Stored:
        boundary = secrets.token_hex(16).encode()
        first = b"--%b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%b\r\n" % (boundary, resource)
        head = first + b"--%b\r\nContent-Type: %b\r\n\r\n" % (boundary, content_type.encode())
        end = b"\r\n--%b--" % boundary
        answer = self._connection.call(
            "POST",
            self._connection.upload_path,
            sent=Sent.WRITE,
            query={"uploadType": "multipart", "fields": FIELDS, **self.encryption(), **if_generation(generation)},
            headers={
                "content-type": f"multipart/related; boundary={boundary.decode()}",
                "content-length": str(len(head) + len(data) + len(end)),
            },
            body=pieces(head, data, end),
        )
        with understood(Sent.WRITE):
            return from_resource(json.loads(answer.data))

    def move(self, source: str, found: Stored, name: str, write_id: str, *, expect: BlobExpect, key: str) -> Stored:
        """Rename an object in one step: no copy is left behind, and no fee for early deletion is due.

        Raises NotFound when the source is gone, AlreadyExists or VersionConflict.
        """
        path = f"{self._connection.object_path(source)}/moveTo/o/{self._connection.path_part(name)}"

        def send(generation: int | None) -> Stored:
            query = {"fields": FIELDS, "ifSourceGenerationMatch": found.generation, **if_generation(generation)}
            answer = self._asked("POST", path, query)
            with understood(Sent.WRITE):
                return from_resource(answer)

        return self.once(name, write_id, send, expect=expect, key=key)

    def rewrite(
        self, source: str, found: Stored, name: str, resource: Mapping[str, Any], generation: int | None
    ) -> Stored:
        """Copy an object's bytes inside the service once, in as many calls as that takes. Raises NotFound, Outrun, Unanswered."""
        bucket, target = self._connection.bucket, self._connection.path_part(name)
        path = f"{self._connection.object_path(source)}/rewriteTo/b/{bucket}/o/{target}"
        query: dict[str, str | int] = {
            "ifSourceGenerationMatch": found.generation,
            "fields": f"done,rewriteToken,resource({FIELDS})",
            **({"destinationKmsKeyName": self._kms_key} if self._kms_key else {}),
            **if_generation(generation),
        }
        while True:
            answer = self._asked("POST", path, query, resource, seconds=COPY_SECONDS)
            with understood(Sent.WRITE):
                if answer["done"]:
                    return from_resource(answer["resource"])
                query["rewriteToken"] = answer["rewriteToken"]

    def describe(self, name: str, found: Stored, resource: Mapping[str, Any]) -> None:
        """Set an object's metadata; doing it twice is doing it once."""
        path = self._connection.object_path(name)
        query = {"fields": "generation", "ifGenerationMatch": found.generation}
        sent(partial(self._asked, "PATCH", path, query, resource, sent=Sent.READ))

    def delete(self, name: str, *, expect: BlobExpect, key: str) -> bool:
        """Remove an object and return whether it existed. One that is gone after a lost answer counts as removed by it."""
        path = self._connection.object_path(name)

        def send(generation: int | None) -> bool:
            try:
                answer = self._connection.call("DELETE", path, sent=Sent.WRITE, query=if_generation(generation))
            except NotFound:
                if generation is None:
                    return False
                raise Outrun from None
            if answer.status != _NO_CONTENT:
                raise silent(f"status {answer.status}", Sent.WRITE)
            return True

        return self._certain(name, send, lambda found: None if found else True, expect=expect, key=key)

    def once(
        self,
        name: str,
        write_id: str,
        send: Callable[[int | None], Stored],
        *,
        expect: BlobExpect,
        key: str,
    ) -> Stored:
        """Return the object that a write has made, whatever became of the answers to it.

        `send` sends it once, holding to a generation (None: to nothing), and raises Outrun, Unanswered, or what says that nothing
        happened. Raises AlreadyExists or VersionConflict, and Unanswered when nobody can tell.
        """
        return self._certain(
            name, send, lambda found: found if found and found.write_id == write_id else None, expect=expect, key=key
        )

    def _certain(
        self,
        name: str,
        send: Callable[[int | None], T],
        done: Callable[[Stored | None], T | None],
        *,
        expect: BlobExpect,
        key: str,
    ) -> T:
        """Send a write until it is certain what became of it. `done` tells from what is there what the answer would have been."""
        write = _Write(expect, key, expected_generation(expect, key))
        for attempt in range(1, ATTEMPTS + 1):
            refused = False
            try:
                return sent(partial(send, write.generation))
            except (NotFound, Outrun) as error:
                if write.lost is None:
                    raise (refusal(expect, key) if isinstance(error, Outrun) else error) from None
                refused = True
            except Unanswered as error:
                write.lost = error
            except BackendUnavailable as error:
                raise write.lost or error from None
            found, now = self._looked(name, write.lost)
            answer = done(found)
            if answer is not None:
                return answer
            write.go_on(found, now, refused=refused)
            if time.monotonic() - write.begun > WRITE_SECONDS:
                break
            time.sleep(pause_after(attempt))
        raise write.lost or write.unknown()

    def found(self, name: str, write_id: str, lost: Unanswered) -> Stored:
        """Return the object that a write has made whose answer was lost. Raises `lost` when it is not there."""
        stored, _ = self._looked(name, lost)
        if stored is None or stored.write_id != write_id:
            raise lost
        return stored

    def head(self, name: str) -> Stored | None:
        """Return what is known of an object, or None."""
        return self._head(name)[0]

    def encryption(self) -> Query:
        """Return the parameter of an upload that says with which key it is encrypted."""
        return {"kmsKeyName": self._kms_key} if self._kms_key else {}

    def _looked(self, name: str, lost: Unanswered) -> tuple[Stored | None, datetime | None]:
        """Look what became of a write. Raises `lost` when that is not answered either."""
        try:
            return sent(partial(self._head, name))
        except BackendUnavailable:
            raise lost from None

    def _head(self, name: str) -> tuple[Stored | None, datetime | None]:
        """Return what is known of an object, and what time the service says it is."""
        path = self._connection.object_path(name)
        try:
            answer = self._connection.call("GET", path, sent=Sent.READ, query={"fields": FIELDS})
        except NotFound:
            return None, None
        with understood(Sent.READ):
            return from_resource(json.loads(answer.data)), parsedate_to_datetime(answer.headers["date"])

    def _asked(
        self,
        method: str,
        path: str,
        query: Query,
        resource: Mapping[str, Any] | None = None,
        *,
        sent: Sent = Sent.WRITE,
        seconds: float = READ_SECONDS,
    ) -> dict[str, Any]:
        body = json.dumps(resource).encode() if resource is not None else None
        headers = {"content-type": "application/json"} if body else {}
        answer = self._connection.call(
            method, path, sent=sent, query=query, headers=headers, body=body, seconds=seconds
        )
        with understood(sent):
            told: dict[str, Any] = json.loads(answer.data)
        return told


def refusal(expect: BlobExpect, key: str) -> NorthstarError:
    """Return what to raise for an object that is not as it was expected to be."""
    if expect is ABSENT:
        return AlreadyExists(f"The object {key!a} exists.", fix="Choose another key, or allow it to be replaced.")
    return VersionConflict(
        f"The object {key!a} was replaced or removed; {expect!a} was expected.", fix="Read it again."
    )


def if_generation(generation: int | None) -> Query:
    """Return the parameter that holds a request to a generation, or to NOTHING being there."""
    return {} if generation is None else {"ifGenerationMatch": generation}
