"""A blob read in one streaming request: the service keeps the bytes of a reader that has begun, whoever writes meanwhile."""

from collections.abc import Iterator
from typing import Final

from storage.backends.azure_blob_client import Answer, Connection, blocks_of
from storage.backends.azure_blob_errors import Beyond, Missing, Refused
from storage.backends.azure_blob_names import Place
from storage.backends.azure_blob_store import Store
from storage.backends.sending import ATTEMPTS
from storage.blobs import Blob, ByteRange, RangeRequest
from storage.errors import BackendUnavailable

_LAST_OFFSET: Final = 2**62
"""No object is as large, and the service reads no larger number."""


class BlobChunks:
    """The bytes of an open request. `close` ends it; a second time is harmless."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._blocks = blocks_of(answer)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Let go of the connection."""
        self._blocks.close()
        self._answer.response.close()  # a generator that never began has nothing to end


class Reader:
    """Opens blobs of one container."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self._connection = connection
        self._store = store

    def open(self, place: Place, wanted: RangeRequest | None) -> Blob | None:
        """Open a blob for reading, or return None. Raises as `Connection.send` does, and InvalidRequest for what is no range."""
        if wanted is not None:
            wanted.within(1)
        for _ in range(ATTEMPTS):
            try:
                return self._opened(place, wanted)
            except Missing:
                return None
            except Refused:
                continue  # replaced between the look at its size and the request
        raise BackendUnavailable(f"The object {place.key!a} was replaced again and again while it was opened.")

    def _opened(self, place: Place, wanted: RangeRequest | None) -> Blob | None:
        if wanted is None:
            return self._streamed(place, None, {})
        if wanted.first is None or wanted.first > _LAST_OFFSET:
            return self._sized(place, wanted)
        last = "" if wanted.last is None else min(wanted.last, _LAST_OFFSET)
        try:
            return self._streamed(place, wanted, {"x-ms-range": f"bytes={wanted.first}-{last}"})
        except Beyond:
            return self._sized(place, wanted)

    def _sized(self, place: Place, wanted: RangeRequest) -> Blob | None:
        """Look at the size first: the service knows no last bytes, and says nothing of an object whose end is passed."""
        seen = self._store.find(place)
        if seen is None:
            return None
        span = wanted.within(seen.info.size)
        if span is None:
            return Blob(seen.info, iter(()), None)
        headers = {"x-ms-range": f"bytes={span.start}-{span.end - 1}", "If-Match": f'"{seen.info.etag}"'}
        return self._streamed(place, wanted, headers)

    def _streamed(self, place: Place, wanted: RangeRequest | None, headers: dict[str, str]) -> Blob:
        answer = self._connection.send("GET", place.name, headers=headers, stream=True)
        info = self._store.found(place, answer).info
        span = ByteRange(0, info.size) if wanted is None else wanted.within(info.size)
        return Blob(info, BlobChunks(answer), span)
