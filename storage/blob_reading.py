"""The bytes of an object on their way out: held to their checksum where they are whole, their errors freed of secrets."""

from collections.abc import Iterator
from hashlib import sha256

from northstar.errors import NorthstarError
from storage.blobs import Blob
from storage.errors import BackendUnavailable, ChecksumMismatch
from storage.guard import Caller


class GuardedChunks:
    """The chunks of an open object. Read them to the end, or close them; a second close is harmless.

    Of a whole object the last chunk comes only when all bytes have the checksum that was stored; ChecksumMismatch is raised
    in its place. A part of an object has no checksum to hold it to.
    """

    def __init__(self, blob: Blob, caller: Caller) -> None:
        self._chunks = blob.chunks
        self._caller = caller
        self._key = blob.info.key
        self._left = blob.span.end - blob.span.start if blob.span else 0
        self._expected = blob.info.sha256 if self._left == blob.info.size else None
        self._digest = sha256()
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks, b"")
        except NorthstarError as error:
            self._caller.redact(error)
            raise
        if not chunk:
            self._check_end()
            raise StopIteration
        self._left -= len(chunk)
        if self._expected is not None:
            self._check(chunk)
        return chunk

    def close(self) -> None:
        """Let go of what was not read."""
        self._closed = True
        getattr(self._chunks, "close", int)()

    def _check(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        if self._left <= 0 and self._digest.hexdigest() != self._expected:
            self.close()
            raise ChecksumMismatch(
                f"The bytes of the object {self._key!a} are not the ones that were stored.",
                fix="Store the object again, and find out who changes it behind Northstar.",
            )

    def _check_end(self) -> None:
        if self._left > 0 and not self._closed:
            self.close()
            raise BackendUnavailable(f"The object {self._key!a} ended {self._left} bytes early while it was read.")
