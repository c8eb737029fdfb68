"""What a request's headers ask of an object: its version, its time, a part of it (RFC 9110), and the checksum of what is sent."""

import re
from binascii import Error as BadBase64
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.utils.http import parse_http_date_safe

from northstar.errors import InvalidRequest
from storage.blobs import ABSENT, ANY, BlobExpect, BlobInfo, RangeRequest
from storage.errors import VersionConflict

Meta = Mapping[str, Any]
"""The request's headers as WSGI names them."""

_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,100})-(\d{0,100})[ \t]*", re.ASCII | re.IGNORECASE)
_DIGEST: Final = re.compile(r"(?:^|,)\s*sha-256=:?([A-Za-z0-9+/=]+):?\s*(?=,|$)", re.IGNORECASE)
_ANY_TAG: Final = "*"


def write_expectation(meta: Meta, head: Callable[[], BlobInfo | None]) -> BlobExpect:
    """Return what a write must find: ABSENT, an ETag, or ANY. Asks `head` only where the headers do not name one version.

    Raises InvalidRequest for headers that make no sense on a write, VersionConflict where they cannot be met any more.
    """
    match, none_match = meta.get("HTTP_IF_MATCH"), meta.get("HTTP_IF_NONE_MATCH")
    if none_match is not None:
        if none_match.strip() != _ANY_TAG or match is not None:
            raise InvalidRequest("A write takes If-Match, or If-None-Match: *.", fix="Send one of the two.")
        return ABSENT
    if match is None:
        return _unmodified(meta, head)
    strong = _strong_tags("If-Match", match)
    if len(strong) == 1 and _ANY_TAG not in strong:
        return strong.pop()
    info = head()
    if info is None or not (_ANY_TAG in strong or info.etag in strong):
        raise _conflict(info)
    return info.etag


def _unmodified(meta: Meta, head: Callable[[], BlobInfo | None]) -> BlobExpect:
    since = _date(meta, "HTTP_IF_UNMODIFIED_SINCE")
    info = head() if since is not None else None
    if info is None or since is None:
        return ANY
    if _seconds(info.modified_at) > since:
        raise _conflict(info)
    return info.etag


def is_unchanged(meta: Meta, info: BlobInfo) -> bool:
    """Say whether the reader has this version already (304). Raises VersionConflict where it insists on another one (412)."""
    match, none_match = meta.get("HTTP_IF_MATCH"), meta.get("HTTP_IF_NONE_MATCH")
    if match is not None:
        if not {info.etag, _ANY_TAG} & _strong_tags("If-Match", match):
            raise _conflict(info)
    elif (since := _date(meta, "HTTP_IF_UNMODIFIED_SINCE")) is not None and _seconds(info.modified_at) > since:
        raise _conflict(info)
    if none_match is not None:
        return bool({info.etag, _ANY_TAG} & {tag for _, tag in _tags("If-None-Match", none_match)})
    since = _date(meta, "HTTP_IF_MODIFIED_SINCE")
    return since is not None and _seconds(info.modified_at) <= since


def wanted_range(meta: Meta) -> RangeRequest | None:
    """Return the part that is asked for. Several parts, another unit and what is no range count as the whole, as HTTP allows."""
    found = _RANGE.fullmatch(meta.get("HTTP_RANGE", ""))
    if found is None:
        return None
    first, last = (int(digits) if digits else None for digits in found.groups())
    if first is None:
        return None if last is None else RangeRequest(suffix=last)
    return None if last is not None and last < first else RangeRequest(first, last)


def range_applies(meta: Meta, info: BlobInfo) -> bool:
    """Say whether the part is wanted of this version: `If-Range` names its ETag or its exact time, or is not there."""
    given: str | None = meta.get("HTTP_IF_RANGE")
    if given is None:
        return True
    if '"' in given:
        return given.strip() == f'"{info.etag}"'
    return bool(parse_http_date_safe(given) == _seconds(info.modified_at))


def announced_sha256(meta: Meta) -> str | None:
    """Return the SHA-256 (hex) that the body must have: `X-Checksum-Sha256`, `Content-Digest`, `Repr-Digest` or `Digest`.

    Digests by other algorithms alone are not checked. Raises InvalidRequest for one that is none, or two that differ.
    """
    digests = {_decoded(text) for name in _DIGEST_HEADERS for text in _DIGEST.findall(meta.get(name, ""))}
    if (given := meta.get("HTTP_X_CHECKSUM_SHA256")) is not None:
        digests.add(given.strip().lower())
    if len(digests) > 1:
        raise InvalidRequest("The request announces two different SHA-256 checksums.", fix="Send one.")
    return digests.pop() if digests else None


_DIGEST_HEADERS: Final = ("HTTP_CONTENT_DIGEST", "HTTP_REPR_DIGEST", "HTTP_DIGEST")


def _decoded(text: str) -> str:
    try:
        return a2b_base64(text, strict_mode=True).hex()
    except BadBase64:
        raise InvalidRequest(f"The digest {text[:80]!a} is not base64.", fix="Send sha-256=:<base64>:.") from None


def _strong_tags(name: str, value: str) -> set[str]:
    return {tag for is_weak, tag in _tags(name, value) if not is_weak}


def _tags(name: str, value: str) -> list[tuple[bool, str]]:
    if value.strip() == _ANY_TAG:
        return [(False, _ANY_TAG)]
    tags, at = [], 0
    while at < len(value):
        found = _TAG.match(value, at)
        if found is None:
            break
        tags.append((found[1] is not None, found[2]))
        at = found.end()
    if not tags or at < len(value):
        raise InvalidRequest(
            f"{name} {value[:80]!a} is no list of ETags.", fix='Send "…" as the ETag header gave it, or *.'
        )
    return tags


def _date(meta: Meta, name: str) -> int | None:
    found: int | None = parse_http_date_safe(meta[name]) if name in meta else None
    return found


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _conflict(info: BlobInfo | None) -> VersionConflict:
    found = f"The object {info.key!a} has the ETag {info.etag}" if info else "The object does not exist"
    return VersionConflict(f"{found}; another version was expected.", fix="Read it again.")
