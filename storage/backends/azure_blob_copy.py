"""Copies inside the service: blocks read from the source's address, committed at once, so that no copy is ever seen half done.

The service's own Copy Blob keeps the content type, and one that is cut short leaves an empty object where another was.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from storage.backends.azure_blob_errors import BlocksLost, SourceChanged
from storage.backends.azure_blob_info import Found
from storage.backends.azure_blob_names import Place
from storage.backends.azure_blob_signing import Signer
from storage.backends.azure_blob_store import Draft, Store
from storage.backends.sending import ATTEMPTS
from storage.blobs import BlobExpect, BlobInfo
from storage.errors import BackendUnavailable, NotFound, VersionConflict

BLOCK_BYTES: Final = 64 * 1024 * 1024
"""Of a block of a copy: small enough to be copied well within the time that its answer has."""
BLOCK_SECONDS: Final = 60.0
AT_ONCE: Final = 4
SOURCE_LIFE: Final = timedelta(hours=1)
"""Of the signature that lets the service read the source for one block."""


class Copier:
    """Copies blobs of one container."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    def copy(
        self, source: Place, drafted: Callable[[Found], Draft], *, etag: str | None, expect: BlobExpect
    ) -> BlobInfo:
        """Copy the source to what is `drafted` from it; begun anew when others get in the way.

        Raises NotFound, and VersionConflict when the source has not the ETag; about the target as `Store` does.
        """
        for _ in range(ATTEMPTS):
            origin = self._store.look(source)
            if origin is None:
                raise NotFound(f"There is no object {source.key!a} to copy.")
            if etag not in {None, origin.info.etag}:
                raise VersionConflict(f"The object {source.key!a} to copy was replaced.", fix="Read it again.")
            try:
                return self._copied(origin, source.name, drafted(origin), expect)
            except (SourceChanged, BlocksLost):
                continue
        raise BackendUnavailable(
            f"Others write the object {source.key!a} or its copy all the time; nothing was copied."
        )

    def _copied(self, source: Found, name: str, draft: Draft, expect: BlobExpect) -> BlobInfo:
        count = -(-draft.size // BLOCK_BYTES)
        if count == 0:
            return self._store.put(draft, b"", expect)
        stage = partial(self._stage, source, name, draft)
        if count == 1:
            stage(0)
        else:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="azure-blob-copy") as threads:
                for _ in threads.map(stage, range(count)):
                    pass
        return self._store.commit(draft, count, expect)

    def _stage(self, source: Found, name: str, draft: Draft, number: int) -> None:
        first = number * BLOCK_BYTES
        last = min(first + BLOCK_BYTES, draft.size) - 1
        headers = {
            "x-ms-copy-source": self._signer.source_url(name, datetime.now(UTC) + SOURCE_LIFE),
            "x-ms-source-range": f"bytes={first}-{last}",
            "x-ms-source-if-match": f'"{source.info.etag}"',
        }
        self._store.stage(draft, number, headers=headers, seconds=BLOCK_SECONDS)
