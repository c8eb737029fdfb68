"""Listings of a scope: S3's own, with names that are no keys told apart."""

from collections.abc import Iterator
from heapq import merge

from storage.backends.blob_listing import common_prefix
from storage.backends.blob_names import key_of
from storage.backends.s3_listed import Listed, Listing
from storage.backends.s3_service import S3Bucket
from storage.blobs import BlobEntry, BlobPage

MOST_NAMES = 1000
"""Of one answer of S3."""


def page_of(bucket: S3Bucket, home: str, *, prefix: str, delimiter: str, limit: int, cursor: str | None) -> BlobPage:
    """Return a page of what stands below `home`. The cursor is the last name of the page, relative to it."""
    folded = cursor is not None and common_prefix(cursor, prefix, delimiter) == cursor
    after = "" if cursor is None else home + cursor
    listing = bucket.names(home + prefix, delimiter=delimiter, after=after, limit=min(limit + folded, MOST_NAMES))
    names = [name for name in _names(listing, home) if not (folded and name[0] == cursor)]
    page = names[:limit]
    blobs, prefixes, foreign = _sorted_out(page, home)
    more = listing.more or len(names) > limit
    return BlobPage(blobs, prefixes, page[-1][0] if more and page else None, foreign)


def _names(listing: Listing, home: str) -> Iterator[tuple[str, Listed | None]]:
    """Yield all names in byte order, relative to `home`; with an object, or as a common prefix."""
    start = len(home)
    objects: Iterator[tuple[str, Listed | None]] = ((listed.name[start:], listed) for listed in listing.objects)
    folders: Iterator[tuple[str, Listed | None]] = ((name[start:], None) for name in listing.prefixes)
    return merge(objects, folders, key=lambda name: name[0].encode())


def _sorted_out(
    names: list[tuple[str, Listed | None]], home: str
) -> tuple[tuple[BlobEntry, ...], tuple[str, ...], tuple[str, ...]]:
    blobs: list[BlobEntry] = []
    prefixes: list[str] = []
    foreign: list[str] = []
    for name, listed in names:
        if listed is None:
            (prefixes if _begins_a_key(name) else foreign).append(name)
        elif key_of(home + name, home) is None:
            foreign.append(name)
        else:
            blobs.append(BlobEntry(name, listed.size, listed.etag, listed.modified_at))
    return tuple(blobs), tuple(prefixes), tuple(foreign)


def _begins_a_key(prefix: str) -> bool:
    """Whether some key begins with the prefix, or is it."""
    return any(key_of(key, "") is not None for key in (prefix, prefix + "x"))
