"""Listings of a bucket: from any name on, folded at any delimiter, in the byte order of names."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from typing import Any, Final

from storage.backends.blob_listing import common_prefix
from storage.backends.blob_names import key_of
from storage.backends.gcs_client import GcsConnection
from storage.backends.gcs_errors import Sent, understood
from storage.backends.gcs_objects import whole_second
from storage.blobs import BlobEntry, BlobPage

PAGE: Final = 1000
"""Names that Cloud Storage lists at once."""
_FIELDS: Final = "items(name,size,generation,timeCreated,updated),prefixes,nextPageToken"
_LAST: Final = "\U0010ffff"
_SURROGATES: Final = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class Listed:
    """A name of a listing: an object's, or (without a resource) a common prefix."""

    name: str
    resource: dict[str, Any] | None = None

    @property
    def created_at(self) -> datetime:
        """When an object was written."""
        return datetime.fromisoformat((self.resource or {})["timeCreated"])

    @property
    def generation(self) -> int:
        """Of an object, which version it is."""
        return int((self.resource or {})["generation"])

    def entry(self, key: str) -> BlobEntry:
        """Return the object as the contract lists it."""
        resource = self.resource or {}
        return BlobEntry(key, int(resource["size"]), str(self.generation), whole_second(resource["updated"]))


@dataclass(slots=True)
class _Page:
    """What has been found for a page of keys below `home`."""

    home: str
    blobs: list[BlobEntry] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    last: str | None = None

    @property
    def entries(self) -> int:
        return len(self.blobs) + len(self.prefixes)

    def add(self, one: Listed) -> None:
        folded = one.resource is None
        key = _prefix_of_keys(one.name, self.home) if folded else key_of(one.name, self.home)
        if key is None:
            self.foreign.append(one.name.removeprefix(self.home))
            return
        self.last = key
        if folded:
            self.prefixes.append(key)
        else:
            self.blobs.append(one.entry(key))

    def finished(self, *, more: bool) -> BlobPage:
        cursor = self.last if more else None
        return BlobPage(tuple(self.blobs), tuple(self.prefixes), cursor, tuple(self.foreign))


def page_of(
    connection: GcsConnection, home: str, *, prefix: str, delimiter: str, limit: int, cursor: str | None
) -> BlobPage:
    """Return a page of the keys below `home`. It is one request, unless all that one finds is foreign."""
    folded = cursor is not None and common_prefix(cursor, prefix, delimiter) == cursor
    start = home + (cursor or "")
    start, skipped = (
        (_following(start), "") if folded else (start, start)
    )  # the first name is asked for with what follows
    page = _Page(home)
    at_once = limit if cursor is None or folded else limit + 1
    for names, more in _responses(connection, home + prefix, delimiter=delimiter, start=start, at_once=at_once):
        left = [one for one in names if one.name != skipped]
        for number, one in enumerate(left, start=1):
            page.add(one)
            if page.entries == limit:
                return page.finished(more=more or number < len(left))
        if page.entries and more:
            return page.finished(more=True)
    return page.finished(more=False)


def listed(connection: GcsConnection, prefix: str) -> Iterator[Listed]:
    """Yield all objects whose names begin with `prefix`."""
    for names, _ in _responses(connection, prefix):
        yield from names


def folders(connection: GcsConnection, above: str) -> Iterator[str]:
    """Yield the beginnings of names that lead one slash further than `above`."""
    for names, _ in _responses(connection, above, delimiter="/"):
        yield from (one.name for one in names if one.resource is None)


def _responses(
    connection: GcsConnection, prefix: str, *, delimiter: str = "", start: str = "", at_once: int = PAGE
) -> Iterator[tuple[list[Listed], bool]]:
    """Yield what each request finds, and whether there is more."""
    query: dict[str, str | int] = {"prefix": prefix, "maxResults": min(at_once, PAGE), "fields": _FIELDS}
    query |= {"delimiter": delimiter} if delimiter else {}
    query |= {"startOffset": start} if start > prefix else {}
    while True:
        answer = connection.call("GET", connection.objects_path, sent=Sent.READ, query=query)
        with understood(Sent.READ):
            found = json.loads(answer.data)
            items = [Listed(item["name"], item) for item in found.get("items", ())]
            prefixes = map(Listed, found.get("prefixes", ()))
            names = list(merge(items, prefixes, key=lambda one: one.name))  # code points have the order of UTF-8
        yield names, "nextPageToken" in found
        if "nextPageToken" not in found:
            return
        query["pageToken"] = found["nextPageToken"]


def _following(text: str) -> str:
    """Return the least text that comes after every one that begins with this."""
    kept = text.rstrip(_LAST)
    number = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if number in _SURROGATES else number)


def _prefix_of_keys(name: str, home: str) -> str | None:
    """Return the common prefix, or None when no key of ours begins with it."""
    prefix = name.removeprefix(home)
    return prefix if key_of(name, home) == prefix or key_of(name + "-", home) else None
