"""A body of many parts: sent in blocks under the object's own name, and committed at once."""

from collections.abc import Callable
from functools import partial

from storage.backends.azure_blob_errors import BlocksLost, Refused, Taken
from storage.backends.azure_blob_info import Found
from storage.backends.azure_blob_parts import send_parts
from storage.backends.azure_blob_store import Draft, Store, holds
from storage.backends.blob_intake import Intake
from storage.blobs import ABSENT, ANY, BlobExpect, BlobInfo
from storage.errors import BackendUnavailable


def uploaded(
    store: Store,
    start: Draft,
    intake: Intake,
    first: bytes,
    *,
    finished: Callable[[], Draft],
    expect: BlobExpect,
) -> BlobInfo:
    """Send the first part and the rest, then make the object of them on its condition, which is looked at before, too.

    `finished` gives the whole draft once all bytes were read, or raises ChecksumMismatch. Raises Taken and Refused.
    """
    before = store.look(start.place)
    if not holds(expect, before):
        raise Taken if expect is ABSENT else Refused
    count = send_parts(intake, first, partial(_send, store, start))
    draft = finished()
    try:
        return store.commit(draft, count, expect)
    except BlocksLost:
        return _overtaken(store, draft, before, expect)


def _send(store: Store, draft: Draft, number: int, part: bytes) -> None:
    store.stage(draft, number, part=part)


def _overtaken(store: Store, draft: Draft, before: Found | None, expect: BlobExpect) -> BlobInfo:
    """Tell what became of a write whose blocks another write of the same object took away while they were sent.

    The service keeps no blocks beyond the next write of their blob. Without a condition the two were simply written one after
    the other: this one first. Its version was never seen, and no later condition can name it.
    """
    now = store.look(draft.place)
    if now is None or (before is not None and now.info.etag == before.info.etag):
        raise BackendUnavailable(
            "Azure Blob Storage lost the parts of the object before all were sent; nothing was stored."
        )
    if expect is ABSENT:
        raise Taken
    if expect is not ANY:
        raise Refused
    return store.info(draft, etag=draft.write_id, modified_at=now.info.modified_at)
