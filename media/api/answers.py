"""How the bytes of a media output leave: typed as declared, never acting as a page of this site, downloaded unless harmless."""

from datetime import datetime
from mimetypes import guess_extension
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from media.reading import bytes_of, open_content
from media.records import Media
from media.rows import MediaRow, MediaRows
from northstar.context import RequestContext
from storage.api.object_answers import bytes_answer, described, not_modified
from storage.api.object_conditions import is_unchanged, range_applies, wanted_range
from storage.blobs import Blob, BlobInfo, ByteRange
from storage.kinds.object_store import ObjectStore

_SHOWN: Final = ("audio/", "image/", "video/")
_DOCUMENTS: Final = ("+xml", "/xml")
"""A browser opens what is called so as a document, which may hold scripts: image/svg+xml, and any other name."""
_TEXT: Final = "text/plain"


def is_passive(media: Media) -> bool:
    """Whether a browser may show it where it is asked for: sounds and pictures that are what they say, and plain text."""
    declared = media.mime_type.partition(";")[0].strip().lower()
    if declared == _TEXT:
        return True
    if not declared.startswith(_SHOWN) or declared.endswith(_DOCUMENTS):
        return False
    return media.sniffed_type.partition("/")[0] == declared.partition("/")[0]


def as_object(media: Media) -> BlobInfo:
    """Return a media output as the object that HTTP's conditions and headers are about. Its ETag is its checksum."""
    return BlobInfo(
        key=media.media_id + (guess_extension(media.mime_type.partition(";")[0].strip()) or ""),
        size=media.size_bytes,
        sha256=media.checksum_sha256,
        etag=media.checksum_sha256,
        content_type=media.mime_type,
        uri=media.uri,
        modified_at=_whole_seconds(media.created_at),
    )


def headers_of(media: Media) -> dict[str, str]:
    """Return the headers of the bytes, but for their length."""
    info = as_object(media)
    shown = content_disposition_header(as_attachment=not is_passive(media), filename=info.key)
    return {**described(info), "Content-Disposition": shown or "inline"}


def content_answer(
    request: Request | HttpRequest, context: RequestContext, rows: MediaRows, row: MediaRow
) -> tuple[HttpResponseBase, ObjectStore | None]:
    """Answer 200, 206, 304 or 416, and say which store gave the bytes, if one was asked.

    The first part is proven before the answer begins; a later one that is damaged breaks the connection off before it. Raises
    VersionConflict (412), DamagedMedia and as `reopen`.
    """
    info = as_object(row.media)
    if is_unchanged(request.META, info):
        return not_modified(info), None
    wanted = wanted_range(request.META)
    if wanted is not None and not range_applies(request.META, info):
        wanted = None
    span = ByteRange(0, info.size) if wanted is None else wanted.within(info.size)
    if span is None:
        return bytes_answer(request, Blob(info, iter(()), None), is_part=True), None
    objects = bytes_of(context, row.media)
    content = open_content(rows, objects, row, span)
    answer = bytes_answer(request, Blob(info, content.chunks, span), is_part=wanted is not None)
    answer.headers["Content-Disposition"] = headers_of(row.media)["Content-Disposition"]
    return answer, objects


def head_answer(request: Request, media: Media) -> HttpResponse:
    """Answer the headers of the bytes."""
    info = as_object(media)
    if is_unchanged(request.META, info):
        return not_modified(info)
    return HttpResponse(headers={**headers_of(media), "Content-Length": str(media.size_bytes)})


def thumbnail_answer(content: bytes, media_type: str) -> HttpResponse:
    """Answer a thumbnail. It never changes: neither do the bytes that it shows."""
    return HttpResponse(
        content,
        content_type=media_type,
        headers={
            "Cache-Control": "private, max-age=86400, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Content-Disposition": "inline",
        },
    )


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
