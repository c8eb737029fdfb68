"""Single blobs of one container: each write on its condition, whole or not at all, once, and with the truth told about it."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime as moment
from functools import partial
from hashlib import md5
from typing import Final
from uuid import uuid4

from storage.backends.azure_blob_client import Answer, Connection
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.backends.azure_blob_errors import BlocksLost, Leased, Missing, Refused, Taken
from storage.backends.azure_blob_info import META, Found, bare, found
from storage.backends.azure_blob_names import Place
from storage.backends.azure_blob_parts import block_id, block_list
from storage.backends.blob_metadata import EPOCH, SHA256, WRITE, encode_metadata
from storage.backends.sending import ATTEMPTS, sent
from storage.backends.service import Unanswered
from storage.blobs import ABSENT, ANY, BlobExpect, BlobInfo
from storage.errors import BackendUnavailable

BODY_SECONDS: Final = 15.0
"""How long the answer to a whole part may take: the service has it on three disks before it answers."""
COMMIT_SECONDS: Final = 30.0
"""The same for a list of blocks, of which there may be 50,000."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An object that is to be written, by one write."""

    place: Place
    content_type: str
    metadata: Mapping[str, str]
    sha256: str | None = None
    size: int = 0
    write_id: str = field(default_factory=lambda: uuid4().hex)


class Store:
    """Reads and writes blobs by their stored names.

    Every write raises Taken or Refused when its condition does not hold, Unanswered when it may have happened and others have
    written since, and as `Connection.send` does when it has not.
    """

    def __init__(self, connection: Connection, config: AzureBlobConfig, *, epoch: int) -> None:
        self._connection = connection
        self._config = config
        self._epoch = epoch

    def find(self, place: Place) -> Found | None:
        """Return what is known of a blob, or None."""
        try:
            answer = self._connection.send("HEAD", place.name)
        except Missing:
            return None
        return self.found(place, answer)

    def look(self, place: Place) -> Found | None:
        """Find a blob in the course of a write, which nobody repeats as a whole: ask again when there is no answer."""
        return sent(lambda: self.find(place))

    def found(self, place: Place, answer: Answer) -> Found:
        """Return what an answer about a blob says of it."""
        return found(place, self._uri(place), answer.headers)

    def info(self, draft: Draft, *, etag: str, modified_at: datetime) -> BlobInfo:
        """Return what is known of a draft that was written, with the version that it got."""
        return BlobInfo(
            key=draft.place.key,
            size=draft.size,
            sha256=draft.sha256,
            etag=etag,
            content_type=draft.content_type,
            uri=self._uri(draft.place),
            modified_at=modified_at,
            metadata=dict(draft.metadata),
        )

    def put(self, draft: Draft, body: bytes, expect: BlobExpect) -> BlobInfo:
        """Store a body in one request."""
        headers = {"x-ms-blob-type": "BlockBlob"} | self._described(draft)
        return self._published(draft, expect, {}, headers, body, seconds=BODY_SECONDS)

    def commit(self, draft: Draft, count: int, expect: BlobExpect) -> BlobInfo:
        """Make the object of its blocks, all at once. Raises BlocksLost when another write of the blob took them away."""
        body = block_list(draft.write_id, count)
        return self._published(
            draft, expect, {"comp": "blocklist"}, self._described(draft), body, seconds=COMMIT_SECONDS
        )

    def stage(
        self,
        draft: Draft,
        number: int,
        *,
        part: bytes = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = BODY_SECONDS,
    ) -> None:
        """Send a block, or say in headers where it comes from. It shows nowhere before it is committed, and may come twice."""
        query = {"comp": "block", "blockid": block_id(draft.write_id, number)}
        whole = {**self._encryption(), **(headers or _checked(part))}
        sent(
            lambda: self._connection.send(
                "PUT", draft.place.name, query=query, headers=whole, body=part, seconds=seconds
            )
        )

    def delete(self, name: str, expect: BlobExpect) -> bool:
        """Remove a blob and return whether it was there; one that is gone when an answer was lost was removed by this."""
        lost: Unanswered | None = None
        begun = time.monotonic()
        for _ in range(ATTEMPTS):
            headers = {"x-ms-delete-snapshots": "include", **_condition(expect)}
            try:
                sent(partial(self._connection.send, "DELETE", name, headers=headers, write=True))
            except Unanswered as error:
                lost = error
                seen = self._seen(Place(name, name, ours=False), lost)
                if seen is None:
                    return True
                if expect is ANY and not seen.is_from_before(begun):
                    raise
                expect = seen.info.etag if expect is ANY else expect
            except Missing:
                if lost is None and expect is not ANY:
                    raise Refused from None
                return lost is not None
            except Refused:  # with an answer lost: written after this delete, or instead of it
                raise lost or Refused() from None
            else:
                return True
        raise lost or BackendUnavailable("Azure Blob Storage did not answer.")

    def delete_upload(self, name: str, expect: BlobExpect) -> bool:
        """As `delete`, whoever holds a lease: a presigned URL allows to take one, and it may be for ever."""
        try:
            return self.delete(name, expect)
        except Leased:
            broken = {"x-ms-lease-action": "break", "x-ms-lease-break-period": "0"}
            sent(lambda: self._connection.send("PUT", name, query={"comp": "lease"}, headers=broken, body=b""))
            return self.delete(name, expect)

    def _published(
        self,
        draft: Draft,
        expect: BlobExpect,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        *,
        seconds: float,
    ) -> BlobInfo:
        whole = {**headers, **_checked(body)}

        def send(condition: BlobExpect) -> Answer:
            conditional = whole | _condition(condition)
            return self._connection.send(
                "PUT", draft.place.name, query=query, headers=conditional, body=body, write=True, seconds=seconds
            )

        return self._settled(draft, expect, send)

    def _settled(self, draft: Draft, expect: BlobExpect, send: Callable[[BlobExpect], Answer]) -> BlobInfo:
        """Write once. A write without an answer is looked for; where it is not found it is made again, over what was found.

        That must be from before it: over what came since, perhaps on top of it, nothing is written twice.
        """
        lost: Unanswered | None = None
        begun = time.monotonic()
        for _ in range(ATTEMPTS):
            condition = expect
            try:
                headers = sent(lambda: send(condition)).headers  # noqa: B023 - called at once
            except Unanswered as error:
                lost = error
            except (Taken, Refused, BlocksLost):
                if lost is None:
                    raise
            else:
                return self.info(draft, etag=bare(headers["ETag"]), modified_at=moment(headers["Last-Modified"]))
            seen = self._seen(draft.place, lost)
            if seen is not None and seen.write_id == draft.write_id:
                return seen.info
            if not holds(expect, seen) or (expect is ANY and seen and not seen.is_from_before(begun)):
                break
            expect = seen.info.etag if seen else ABSENT
        raise lost or BackendUnavailable("Azure Blob Storage did not answer.")

    def _seen(self, place: Place, lost: Unanswered) -> Found | None:
        try:
            return self.look(place)
        except BackendUnavailable:
            raise lost from None

    def _uri(self, place: Place) -> str:
        return f"az://{self._config.container}/{place.name}"

    def _described(self, draft: Draft) -> dict[str, str]:
        own = {EPOCH: str(self._epoch), WRITE: draft.write_id} | ({SHA256: draft.sha256} if draft.sha256 else {})
        stored = encode_metadata(draft.metadata, own)
        described = {f"{META}{name}": value for name, value in stored.items()}
        described |= self._encryption() | {"x-ms-blob-content-type": draft.content_type}
        return described | ({"x-ms-access-tier": self._config.access_tier} if self._config.access_tier else {})

    def _encryption(self) -> dict[str, str]:
        scope = self._config.encryption_scope
        return {"x-ms-encryption-scope": scope} if scope else {}


def holds(expect: BlobExpect, seen: Found | None) -> bool:
    """Whether what was found is what a condition demands."""
    if expect is ANY:
        return True
    return seen is None if expect is ABSENT else seen is not None and seen.info.etag == expect


def _condition(expect: BlobExpect) -> dict[str, str]:
    if expect is ANY:
        return {}
    return {"If-None-Match": "*"} if expect is ABSENT else {"If-Match": f'"{expect}"'}


def _checked(body: bytes) -> dict[str, str]:
    """Have the service verify what arrives; no other checksum of those that it verifies is in Python's library."""
    return {"Content-MD5": base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()}
