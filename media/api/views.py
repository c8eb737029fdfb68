"""Media outputs over HTTP: bytes in and out, streamed; everything that is known of them without asking an object store."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from media.api.answers import content_answer, head_answer, thumbnail_answer
from media.api.bodies import (
    CompleteIn,
    MediaOut,
    MediaPageOut,
    MediaQuery,
    PresignMediaIn,
    PresignMediaOut,
    StoreQuery,
    media_answer,
)
from media.pictures import THUMBNAIL_TYPE
from media.rows import MediaRows
from media.services import complete_media, delete_media, get_thumbnail, list_media, presign_media, store_media
from northstar.api import page
from northstar.errors import FieldError, InvalidRequest
from northstar.idempotency import IdempotentPost
from northstar.inputs import PAGE_SIZE
from storage.api.base import DataView
from storage.api.kept_body import KeptBody
from storage.api.object_conditions import announced_sha256
from storage.api.objects import check_whole_body, given_type, header
from storage.api.upload_form import read_form
from storage.cursors import seal, unseal
from storage.guard import ServedBy

_BYTES: Final = {("200", "*/*"): OpenApiTypes.BINARY, ("206", "*/*"): OpenApiTypes.BINARY}
_NOTHING_NEW: Final = {("304", "*/*"): OpenApiResponse(None, description="The reader has these bytes already.")}
_MULTIPART: Final = "multipart/form-data"


class MediaBase(DataView):
    """What the calls on media share: answers name the route of the rows, or of the bytes where these are what is answered."""

    def rows(self) -> MediaRows:
        """Return the rows of the request's context."""
        rows = MediaRows.of(self.context)
        self.served(rows.served_by)
        return rows

    def served(self, by: ServedBy | None) -> None:
        """Note which route answers, where that is known."""
        self._served = by or self._served


class MediaListView(KeptBody, MediaBase):
    """The media of the context."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "data:write"}

    @extend_schema(
        operation_id="list_media",
        parameters=[
            OpenApiParameter("session_id", str, description="Only those of this session."),
            OpenApiParameter("user_id", str, description="Only those of this user."),
            OpenApiParameter(
                "order", str, enum=["oldest", "newest"], description="Which come first; `oldest` if left out."
            ),
            OpenApiParameter("limit", PAGE_SIZE, description="1 to 1000; 100 when left out."),
            OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
        ],
        responses={200: MediaPageOut},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List media in the order of their creation; no object store is asked. With both ids a page may be short."""
        asked = self.query(MediaQuery)
        rows = self.rows()
        binding = (
            str(rows.served_by.route_id),
            *rows.scope.parts,
            *_told(asked.session_id),
            *_told(asked.user_id),
            asked.order,
        )
        found = list_media(
            rows,
            session_id=asked.session_id,
            user_id=asked.user_id,
            limit=asked.limit,
            after=unseal("media", binding, asked.cursor) if asked.cursor is not None else None,
            newest_first=asked.order == "newest",
        )
        following = seal("media", binding, found.next_after) if found.next_after is not None else None
        return page([media_answer(media) for media in found.items], following)

    @extend_schema(
        operation_id="store_media",
        request={"*/*": OpenApiTypes.BINARY, _MULTIPART: OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter(
                "session_id", str, description="Whose output it is. Required, unless a form has it as a field."
            ),
            header("X-User-Id", "The user whose output it is, if it is one's."),
            header(
                "X-Checksum-Sha256", "Hex SHA-256 that the bytes must have; else 422. `Content-Digest` does as well."
            ),
            header("Idempotency-Key", "The same request again, within a day, answers the first answer."),
        ],
        responses={201: MediaOut},
    )
    def post(self, request: Request) -> Response:
        """Store a media output, streamed: the body with its Content-Type, or a form with its fields first and the file last."""
        check_whole_body(request)
        sent = self._sent(request)
        media = store_media(
            self.context,
            sent.chunks,
            session_id=sent.session_id,
            mime_type=sent.media_type,
            sha256=sent.sha256,
            operation_id=self.operation_id,
        )
        self.served(media.where)
        return Response(media_answer(media), status=201, headers={"Location": f"/api/v1/media/{media.media_id}"})

    def _sent(self, request: Request) -> "_Sent":
        asked = self.query(StoreQuery)
        if request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != _MULTIPART:
            return _Sent(_named(asked.session_id), given_type(request), announced_sha256(request.META), self.chunks())
        form = read_form(request.META["CONTENT_TYPE"], self.chunks())
        session_id = _named(asked.session_id or form.fields.get("session_id"))
        media_type = form.fields.get("content-type", form.file_type)
        return _Sent(session_id, media_type, form.fields.get("sha256"), form.chunks)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a request to store says, whichever form it has."""

    session_id: str
    media_type: str | None
    sha256: str | None
    chunks: Iterator[bytes]


def _named(session_id: str | None) -> str:
    if session_id:
        return session_id
    missing = FieldError("session_id", "missing", "Name the session in the query, or in a field of the form.")
    raise InvalidRequest("The session_id is missing.", fix="Add ?session_id=….", errors=[missing])


class MediaView(MediaBase):
    """One media output."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "DELETE": "data:write"}

    @extend_schema(operation_id="get_media", responses={200: MediaOut})
    def get(self, request: Request, media_id: UUID) -> Response:  # noqa: ARG002
        """Read what is known of a media output; no object store is asked."""
        return Response(media_answer(self.rows().row(str(media_id)).media))

    @extend_schema(operation_id="delete_media", responses={204: None})
    def delete(self, request: Request, media_id: UUID) -> Response:  # noqa: ARG002
        """Remove a media output, bytes and all, or give up its upload; 204 also when there was none."""
        delete_media(self.context, str(media_id))
        return Response(status=204)


class ContentView(MediaBase):
    """The bytes of a media output."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="get_media_content",
        parameters=[
            header("Range", "One part, such as `bytes=0-1023`: 206. Several parts are answered with the whole."),
            header("If-None-Match", "Checksums that the reader has: 304 for these."),
        ],
        responses={**_BYTES, **_NOTHING_NEW},
    )
    def get(self, request: Request, media_id: UUID) -> HttpResponseBase:
        """Read the bytes, or one range of them. What is not what was stored is never sent: 500 `CHECKSUM_MISMATCH`."""
        rows = self.rows()
        answer, objects = content_answer(request, self.context, rows, rows.row(str(media_id)))
        if objects is not None:
            self._served, self._store = objects.served_by, objects
        return answer

    @extend_schema(exclude=True)
    def head(self, request: Request, media_id: UUID) -> HttpResponse:
        """Answer the headers of `GET`, without the bytes."""
        return head_answer(request, self.rows().row(str(media_id)).media)


class ThumbnailView(MediaBase):
    """A small picture of a media output."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_media_thumbnail", responses={("200", THUMBNAIL_TYPE): OpenApiTypes.BINARY})
    def get(self, request: Request, media_id: UUID) -> HttpResponse:  # noqa: ARG002
        """Read a WebP of at most 320 pixels a side, made at the first view; 404 where none can be made."""
        return thumbnail_answer(get_thumbnail(self.context, str(media_id)), THUMBNAIL_TYPE)


class PresignMediaView(MediaBase):
    """Uploads by those who have no key. No answer is remembered under an Idempotency-Key: a URL is a permission."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="presign_media", request=PresignMediaIn, responses={200: PresignMediaOut})
    def post(self, request: Request) -> Response:
        """Sign an upload of a media output that needs no API key. Nothing is visible before it is completed."""
        served_at = request.build_absolute_uri(reverse("presigned", args=["-"])).removesuffix("-")
        upload = presign_media(self.context, served_at=served_at, **self.body(PresignMediaIn).model_dump())
        answer = {name: getattr(upload.request, name) for name in ("method", "url", "headers", "fields", "expires_at")}
        return Response({"media_id": upload.media_id, **answer})


class CompleteView(IdempotentPost, MediaBase):
    """The end of an upload."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="complete_media", request=CompleteIn, responses={200: MediaOut})
    def post(self, request: Request, media_id: UUID) -> Response:  # noqa: ARG002
        """Verify what was uploaded (size, type, SHA-256) and make it a media output; what does not fit is removed."""
        media = complete_media(self.context, str(media_id), **self.body(CompleteIn).model_dump())
        self.served(media.where)
        return Response(media_answer(media))


def _told(value: str | None) -> tuple[str, str]:
    """Return a value for a cursor's binding, so that none and an empty one differ."""
    return ("", "") if value is None else ("is", value)
