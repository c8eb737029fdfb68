"""Listings of a container: the service's pages, keys and common prefixes made of them, and where each goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, fromstring

from storage.backends.azure_blob_client import Connection
from storage.backends.azure_blob_errors import strange
from storage.backends.azure_blob_info import bare
from storage.backends.azure_blob_names import decode, decode_start, encode_start
from storage.backends.azure_blob_order import in_byte_order
from storage.backends.blob_listing import common_prefix
from storage.backends.blob_names import key_of
from storage.blobs import BlobEntry, BlobPage

MOST_RESULTS: Final = 5000
"""Of one page ("List Blobs", Azure Blob Storage REST API)."""
_FOLDER: Final = "/"
"""The delimiter that the service folds by; other ones may be altered by the encoding of names, and are folded here."""
_READ_ON: Final = 1000
"""So many names below a common prefix are passed over as they come; then the listing is begun anew beyond it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A blob, or with `folder` a common prefix, which is no more than a name."""

    name: str
    folder: bool = False
    size: int = 0
    etag: str = ""
    modified_at: datetime | None = None


def pages(
    connection: Connection, prefix: str, start: str | None, *, delimiter: str = "", size: int = MOST_RESULTS
) -> Iterator[tuple[list[Listed], bool]]:
    """Yield the service's pages of stored names, each with whether it is the last. Raises as `Connection.send` does."""
    query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(min(size, MOST_RESULTS))}
    if delimiter:
        query["delimiter"] = delimiter
    if start is not None:
        query["startFrom"] = start
    while True:
        page, marker = _parsed(connection.send("GET", query=query).body)
        yield page, not marker
        if not marker:
            return
        query["marker"] = marker


def _parsed(body: bytes) -> tuple[list[Listed], str]:
    try:
        root = fromstring(body)  # noqa: S314 - of the service that the route trusts with its data
        listed = [_listed(element) for element in root.find("Blobs") or ()]
    except (ParseError, AttributeError, LookupError, TypeError, ValueError):
        raise strange(write=False) from None
    return listed, root.findtext("NextMarker") or ""


def _listed(element: Element) -> Listed:
    named = element.find("Name")
    assert named is not None
    name = named.text or ""
    if named.get("Encoded") == "true":
        name = unquote(name)
    if element.tag == "BlobPrefix":
        return Listed(name, folder=True)
    found = {child.tag: child.text or "" for child in element.find("Properties") or ()}
    return Listed(
        name,
        size=int(found["Content-Length"]),
        etag=bare(found["Etag"]),
        modified_at=parsedate_to_datetime(found["Last-Modified"]),
    )


class KeyListing:
    """The keys below `home`, a scope's area, that begin with a prefix, folded by a delimiter."""

    def __init__(self, connection: Connection, home: str, *, prefix: str, delimiter: str) -> None:
        self._connection = connection
        self._home = home
        self._prefix = prefix
        self._delimiter = delimiter

    def page(self, limit: int, cursor: str | None) -> BlobPage:
        """Return up to so many entries after the cursor, which is an entry. Raises as `Connection.send` does."""
        foreign: list[str] = []
        found = list(islice(self._entries(limit + 1, cursor, foreign), limit + 1))
        entries = found[:limit]
        end = _key(entries[-1]) if len(found) > limit else None
        if end is not None:  # what lies beyond is the next page's to tell
            foreign = [name for name in foreign if name < encode_start(self._home + end)]
        return BlobPage(
            tuple(entry for entry in entries if isinstance(entry, BlobEntry)),
            tuple(entry for entry in entries if isinstance(entry, str)),
            end,
            tuple(foreign),
        )

    def _entries(self, size: int, cursor: str | None, foreign: list[str]) -> Iterator[BlobEntry | str]:
        """Yield keys and common prefixes, each once, in byte order. The names between them that are no keys go to `foreign`."""
        floor = self._first_floor(cursor)
        while floor is not None:
            folded, passed = "", 0
            for entry in self._after(floor, size, foreign):
                key = _key(entry)
                if key == cursor:
                    continue
                if folded and key.startswith(folded):
                    passed += 1
                    if passed > _READ_ON:
                        break
                    continue
                folded, passed = common_prefix(key, self._prefix, self._delimiter) or "", 0
                yield folded or entry
            else:
                return
            floor = self._within(_past(folded))

    def _after(self, floor: str, size: int, foreign: list[str]) -> Iterator[BlobEntry | str]:
        """Yield what is stored from the floor on; only what the service folds comes folded."""
        by_service = self._delimiter if self._delimiter == _FOLDER else ""
        size = size if by_service or not self._delimiter else MOST_RESULTS

        def read(prefix: str, start: str | None) -> Iterator[tuple[list[Listed], bool]]:
            return pages(self._connection, prefix, start, delimiter=by_service, size=size)

        start = encode_start(self._home + self._prefix)
        stored_floor = encode_start(self._home + floor)
        for listed in in_byte_order(read, start, stored_floor if stored_floor != start else None):
            entry = self._entry(listed)
            if entry is None:
                foreign.append(listed.name)
            else:
                yield entry

    def _entry(self, listed: Listed) -> BlobEntry | str | None:
        if listed.folder:
            text = decode_start(listed.name)
            some_key = None if text is None else key_of(text + "x", self._home)
            return None if some_key is None else some_key[:-1]
        name = decode(listed.name)
        key = None if name is None else key_of(name, self._home)
        if key is None or listed.modified_at is None:
            return None
        return BlobEntry(key, listed.size, listed.etag, listed.modified_at)

    def _first_floor(self, cursor: str | None) -> str | None:
        if cursor is None:
            return self._prefix
        is_folded = common_prefix(cursor, self._prefix, self._delimiter) == cursor
        return self._within(_past(cursor) if is_folded else cursor)

    def _within(self, floor: str | None) -> str | None:
        """Return the floor, not below the prefix; None above all keys that begin with it."""
        if floor is None or floor.startswith(self._prefix):
            return floor
        return self._prefix if floor < self._prefix else None


def _key(entry: BlobEntry | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def _past(folded: str) -> str | None:
    """Return the least text, in code points, after every one that begins with this common prefix; None where there is none."""
    text = folded.rstrip("\U0010ffff")
    if not text:
        return None
    last = ord(text[-1]) + 1
    return text[:-1] + chr(0xE000 if last == 0xD800 else last)
