"""FileStore: files of agents over the object store of the route: read, written, moved and listed whole.

A moved file says where it came from. So a move that broke off at any point, and is done again, ends as one that did not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from northstar.errors import NorthstarError, NotFound
from storage.kinds.object_store import ObjectStore
from storage.kinds.rules_errors import BlueStarError, FileStoreError

MOVED_FROM: Final = "moved-from"
"""The metadata of a file that was moved: the percent-encoded path that it came from."""
PAGE: Final = 1000


class FileStore:
    """The files of one scope. Every method raises FileStoreError, whose code is the cause's."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def read(self, path: str) -> bytes:
        """Return the file's bytes, verified by their checksum. NOT_FOUND where there is none."""
        with _told():
            blob = self._objects.get(path)
            if blob is None:
                raise NotFound(f"There is no file {path!a}.")
            return b"".join(blob.chunks)

    def write(self, path: str, content: bytes | str) -> None:
        """Store a whole file in the place of what was there; text as UTF-8."""
        with _told():
            self._objects.put(path, [content.encode() if isinstance(content, str) else content])

    def move(self, source: str, target: str) -> None:
        """Let the file be at another path, in the place of what was there, of any size; the service copies it by itself.

        Interrupted after the copy both are there: done again, the move ends. Interrupted after the removal, doing it again
        finds the file moved and leaves it. NOT_FOUND when there never was such a file; VERSION_CONFLICT, with both kept, when
        the source is replaced meanwhile.
        """
        came_from = quote(source, safe="/")
        with _told():
            there = self._objects.head(source)
            if there is not None:
                metadata = {**there.metadata, MOVED_FROM: came_from}
                self._objects.move(source, target, metadata=metadata)
                return
            moved = self._objects.head(target)
            if moved is None or moved.metadata.get(MOVED_FROM) != came_from:
                raise NotFound(f"There is no file {source!a} to move.")

    def list_files(self, prefix: str = "") -> list[str]:
        """Return every path that begins so, however many, in the byte order of UTF-8."""
        with _told():
            return list(self._paths(prefix))

    def _paths(self, prefix: str) -> Iterator[str]:
        cursor = None
        while True:
            page = self._objects.list(prefix=prefix, limit=PAGE, cursor=cursor)
            yield from (blob.key for blob in page.blobs)
            cursor = page.cursor
            if cursor is None:
                return


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BlueStarError:
        raise
    except NorthstarError as error:
        raise FileStoreError(error) from error
