"""How an object leaves: its bytes as they are, and everything else in headers that keep it from acting as our own page."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, http_date
from pydantic import BaseModel
from rest_framework.request import Request

from northstar.errors import InvalidRequest, NorthstarError
from northstar.problems import id_of, respond
from storage.api.object_conditions import is_unchanged
from storage.blobs import Blob, BlobEntry, BlobInfo
from storage.errors import InvalidValue

META_PREFIX: Final = "X-Meta-"
_META_PREFIX_IN_WSGI: Final = "HTTP_X_META_"


class RangeNotSatisfiable(InvalidRequest):
    """The part asked for lies beyond the object's end."""

    status, title = 416, "Range not satisfiable"


class ObjectOut(BaseModel):
    """A stored object. `etag` is without quotes; `sha256` is null for bytes that came past Northstar."""

    key: str
    uri: str
    size: int
    sha256: str | None
    etag: str
    content_type: str
    metadata: dict[str, str]
    modified_at: datetime


class ObjectItem(BaseModel):
    """An object of a listing: what every backend lists without a request per object."""

    key: str
    size: int
    etag: str
    modified_at: datetime


class ObjectPage(BaseModel):
    """Objects, and with a delimiter the common prefixes of those folded away: together in the byte order of their names."""

    items: list[ObjectItem]
    prefixes: list[str]
    next_cursor: str | None


def object_answer(info: BlobInfo) -> dict[str, Any]:
    """Return what a write answers with."""
    return {name: getattr(info, name) for name in ObjectOut.model_fields}


def item_answer(entry: BlobEntry) -> dict[str, Any]:
    """Return an object of a listing."""
    return {name: getattr(entry, name) for name in ObjectItem.model_fields}


def version_headers(info: BlobInfo) -> dict[str, str]:
    """Return the headers that tell the version."""
    return {"ETag": f'"{info.etag}"', "Last-Modified": http_date(info.modified_at.timestamp())}


def described(info: BlobInfo) -> dict[str, str]:
    """Return the headers of the object's bytes, but for their length."""
    name = info.key.rpartition("/")[2]
    return {
        **version_headers(info),
        "Content-Type": info.content_type,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        # What a tenant stored must never run as a page of this site.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "attachment",
        **({"X-Checksum-Sha256": info.sha256} if info.sha256 else {}),
        **{META_PREFIX + name: _on_the_wire(value) for name, value in info.metadata.items()},
    }


def bytes_answer(request: Request | HttpRequest, blob: Blob, *, is_part: bool) -> HttpResponseBase:
    """Answer 200, 206, 304 or 416 with the open object, and close what is not sent. Raises VersionConflict (412)."""
    info, span = blob.info, blob.span
    try:
        unchanged = is_unchanged(request.META, info)
    except NorthstarError:
        close(blob)
        raise
    if unchanged or span is None:
        close(blob)
        return not_modified(info) if unchanged else _beyond_the_end(request, info)
    length = span.end - span.start
    headers = {**described(info), "Content-Length": str(length)}
    is_part = (
        is_part and length > 0
    )  # no Content-Range can say "nothing": the end of an empty object is the whole of it
    if is_part:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{info.size}"
    return StreamingHttpResponse(blob.chunks, status=206 if is_part else 200, headers=headers)


def not_modified(info: BlobInfo) -> HttpResponse:
    """Answer 304."""
    return HttpResponse(status=304, headers={**version_headers(info), "Cache-Control": "private, no-cache"})


def _beyond_the_end(request: Request | HttpRequest, info: BlobInfo) -> HttpResponse:
    error = RangeNotSatisfiable(
        f"The range lies outside the object {info.key!a}, which has {info.size} bytes.",
        fix="Ask for less, or leave Range out.",
    )
    answer = respond(error, id_of(request))
    answer.headers["Content-Range"] = f"bytes */{info.size}"
    return answer


def close(blob: Blob) -> None:
    """Let go of an object that nobody reads."""
    getattr(blob.chunks, "close", int)()


class Base64Content:
    """The earlier engines' JSON form of an object, made while it is read: constant memory for any size."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        yield b'{"content":"'
        for chunk in self._blob.chunks:
            ready = rest + chunk
            cut = len(ready) - len(ready) % 3  # only whole groups of three bytes encode without padding
            yield b64encode(ready[:cut])
            rest = ready[cut:]
        yield b64encode(rest) + b'"}'

    def close(self) -> None:
        close(self._blob)


def metadata_of(request: Request) -> dict[str, str]:
    """Return the user's metadata from the `X-Meta-…` headers. Raises InvalidValue for one that is not UTF-8."""
    found = {}
    for name, value in request.META.items():
        if name.startswith(_META_PREFIX_IN_WSGI):
            short = name.removeprefix(_META_PREFIX_IN_WSGI).replace("_", "-").lower()
            found[short] = _from_the_wire(short, value)
    return found


def _from_the_wire(name: str, value: str) -> str:
    try:
        return value.encode("latin-1").decode().strip(" \t")
    except UnicodeError:
        raise InvalidValue(f"The header {META_PREFIX}{name} is not UTF-8.", fix="Encode its value as UTF-8.") from None


def _on_the_wire(value: str) -> str:
    return value.encode().decode("latin-1")  # Django writes header values as latin-1, and our callers read UTF-8
