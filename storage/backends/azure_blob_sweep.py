"""What nobody registered: uploads that are older than a moment, of one tenant and env in all its projects and surfaces.

Blocks that were sent and never committed need no sweep, and there is none: the service deletes them a week after the last one
came. To commit them and then delete the blob would show half an object for a moment.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from storage.backends.azure_blob_client import Connection
from storage.backends.azure_blob_errors import Leased, Refused
from storage.backends.azure_blob_listing import Listed, pages
from storage.backends.azure_blob_names import encode_start
from storage.backends.azure_blob_store import Store
from storage.blobs import Area, Swept

_UPLOADS: Final = f"{Area.UPLOADS}/"
_SCOPES: Final = frozenset({"projects/", "surfaces/"})


def swept(connection: Connection, store: Store | None, above: str, *, before: datetime) -> Swept:
    """Remove the uploads among the names that begin with `above`, which were last written before then; no store: count them."""
    start = encode_start(above)
    late = (
        listed
        for home in _homes(connection, start)
        for page, _ in pages(connection, home, None)
        for listed in page
        if listed.modified_at is not None and listed.modified_at < before
    )
    return Swept(uploads=sum(store is None or _removed(store, listed) for listed in late))


def _homes(connection: Connection, above: str) -> Iterator[str]:
    """Yield what the names of uploads begin with, in every project and surface; objects are passed over, not listed."""
    for folder in _folders(connection, above):
        part = folder.removeprefix(above)
        if part == _UPLOADS:
            yield folder
        elif part in _SCOPES:
            for inner in _folders(connection, folder):
                yield from _homes(connection, inner)


def _folders(connection: Connection, above: str) -> list[str]:
    found = pages(connection, above, None, delimiter="/")
    return [listed.name for page, _ in found for listed in page if listed.folder]


def _removed(store: Store, listed: Listed) -> bool:
    try:
        return store.delete_upload(listed.name, listed.etag)
    except (Refused, Leased):  # written anew meanwhile, or gone; or leased anew at once
        return False
