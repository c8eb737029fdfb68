"""Listing in byte order without reading what is not returned: a lazy walk over sorted folders that can jump ahead."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from storage.backends.blob_listing import common_prefix, past
from storage.blobs import BlobEntry, BlobPage

Entries = Callable[[bytes], Iterable[tuple[bytes, bool]]]
"""Given a folder's path ("" or ending in "/"): its entries as (name, is_folder), unsorted."""

BATCH: Final = 4096
"""Names of one folder that are held at a time: a folder of a million files is read again rather than kept."""


class SortedWalk:
    """The paths of all files below a folder in byte order, from `floor` on, that start with `prefix`.

    A folder sorts as its name and "/", which is where its files' paths sort. Raising `floor` on the way skips, unread,
    every folder that lies wholly below it.
    """

    def __init__(self, entries: Entries, *, prefix: bytes, floor: bytes) -> None:
        self._entries = entries
        self._prefix = prefix
        self.floor = floor

    def __iter__(self) -> Iterator[bytes]:
        stack = [self._sorted(self._prefix[: self._prefix.rfind(b"/") + 1])]
        while stack:
            path = next(stack[-1], None)
            if path is None:
                stack.pop()
            elif not self._is_wanted(path):
                continue  # the floor has risen since the folder was read
            elif path.endswith(b"/"):
                stack.append(self._sorted(path))
            else:
                yield path

    def _sorted(self, folder: bytes) -> Iterator[bytes]:
        last = b""
        while True:
            paths = (folder + name + (b"/" if is_folder else b"") for name, is_folder in self._entries(folder))
            batch = heapq.nsmallest(BATCH, (path for path in paths if path > last and self._is_wanted(path)))
            yield from batch
            if len(batch) < BATCH:
                return
            last = batch[-1]

    def _is_wanted(self, path: bytes) -> bool:
        if not path.startswith(self._prefix):
            return False
        return path >= self.floor or (path.endswith(b"/") and self.floor.startswith(path))


class SpelledWalk:
    """A `SortedWalk` over paths that spell keys in another, equally ordered way."""

    def __init__(
        self,
        entries: Entries,
        *,
        prefix: bytes,
        floor: bytes,
        spell: Callable[[bytes], bytes],
        unspell: Callable[[bytes], bytes | None],
    ) -> None:
        self._spell = spell
        self._unspell = unspell
        self._walk = SortedWalk(entries, prefix=spell(prefix), floor=spell(floor))

    @property
    def floor(self) -> bytes:
        """The spelling of the least key still wanted."""
        return self._walk.floor

    @floor.setter
    def floor(self, key: bytes) -> None:
        self._walk.floor = self._spell(key)

    def __iter__(self) -> Iterator[bytes]:
        for path in self._walk:
            key = self._unspell(path)
            if key is not None:
                yield key


def page(
    walks: list[SortedWalk | SpelledWalk],
    describe: Callable[[str], BlobEntry | None],
    *,
    prefix: str,
    delimiter: str,
    limit: int,
) -> BlobPage:
    """Return the first `limit` entries of the walks together. `describe` answers None for what is no object."""
    blobs: list[BlobEntry] = []
    prefixes: list[str] = []
    last = ""
    floor = b""
    for path in heapq.merge(*walks):
        key = _text(path)
        if path < floor or key is None:
            continue
        floor = path + b"\0"  # the same key may come from two walks
        info = describe(key)
        if info is None:
            continue
        if len(blobs) + len(prefixes) == limit:
            return BlobPage(tuple(blobs), tuple(prefixes), last)
        folded = common_prefix(key, prefix, delimiter)
        last = folded or key
        if folded is None:
            blobs.append(info)
            continue
        prefixes.append(folded)
        floor = past(folded)
        for walk in walks:
            walk.floor = floor
    return BlobPage(tuple(blobs), tuple(prefixes))


def _text(path: bytes) -> str | None:
    try:
        return path.decode()
    except UnicodeDecodeError:
        return None
