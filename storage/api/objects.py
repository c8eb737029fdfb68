"""Objects over HTTP: bytes in and bytes out, streamed; conditions, ranges and checksums as RFC 9110 and RFC 9530 have them."""

from collections.abc import Mapping
from typing import ClassVar, Final, cast

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, page
from northstar.errors import AlreadyExists, InvalidRequest, NotFound, VersionConflict
from northstar.inputs import PAGE_SIZE, PageSize
from storage.api import addresses  # noqa: F401 - registers the converter <key:…>
from storage.api.base import DataView
from storage.api.object_answers import (
    ObjectOut,
    ObjectPage,
    bytes_answer,
    close,
    described,
    item_answer,
    metadata_of,
    not_modified,
    object_answer,
    version_headers,
)
from storage.api.object_conditions import announced_sha256, is_unchanged, range_applies, wanted_range, write_expectation
from storage.blobs import ABSENT, Blob, BlobInfo, BlobPage
from storage.cursors import seal, unseal
from storage.kinds.object_store import ObjectStore

LIST_LIMIT: Final = 100
WRITE_CONDITIONS: Final = frozenset({IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE})
_BYTES: Final = {("200", "*/*"): OpenApiTypes.BINARY, ("206", "*/*"): OpenApiTypes.BINARY}
_NOTHING_NEW: Final = {("304", "*/*"): OpenApiResponse(None, description="The reader has this version already.")}


def header(name: str, description: str) -> OpenApiParameter:
    """Describe a header of text that a request may have."""
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


_IF_MATCH: Final = header("If-Match", "The ETag that the object must have; else 412.")
_WRITE_HEADERS: Final = [
    _IF_MATCH,
    header("If-None-Match", "`*`: the object must not exist; else 412."),
    header(
        "X-Checksum-Sha256", "Hex SHA-256 that the body must have; else 422. `Content-Digest` (RFC 9530) does as well."
    ),
]
_READ_HEADERS: Final = [
    _IF_MATCH,
    header("If-None-Match", "ETags that the reader has: 304 for these."),
    header("Range", "One part, such as `bytes=0-1023`: 206. Several parts are answered with the whole."),
]


class ListQuery(BaseModel):
    """Which objects of a listing."""

    prefix: str = ""
    delimiter: str = ""
    limit: PageSize = LIST_LIMIT
    cursor: str | None = None


FORM_TYPE: Final = "application/x-www-form-urlencoded"
"""What curl sends with `-d` when nobody named a type: it says nothing about an object's bytes."""


def given_type(request: Request) -> str | None:
    """Return the content type that the body has by its sender's word, if there is one."""
    given: str = request.META.get("CONTENT_TYPE", "")
    return None if given in {"", FORM_TYPE} else given


class ObjectsBase(DataView):
    """What the calls on objects share, at the earlier engines' addresses too."""

    def objects(self) -> ObjectStore:
        """Return the object store of the request's context."""
        return cast("ObjectStore", self.open("object_store"))

    def stored(self, key: str) -> tuple[BlobInfo, bool]:
        """Store the request's body as it arrives; return what is stored, and whether it is certainly new."""
        check_whole_body(self.request)
        store = self.objects()
        expect = write_expectation(self.request.META, lambda: store.head(key))
        try:
            info = store.put(
                key,
                self.chunks(),
                content_type=given_type(self.request),
                metadata=metadata_of(self.request),
                expect=expect,
                sha256=announced_sha256(self.request.META),
            )
        except AlreadyExists:
            raise VersionConflict(
                f"The object {key!a} exists, and If-None-Match asks that it does not.",
                fix="Choose another key, or replace it with If-Match.",
            ) from None
        return info, expect is ABSENT

    def opened(self, key: str) -> tuple[Blob, bool]:
        """Open the object, or the part that is asked for; return it, and whether it is a part. Raises NotFound."""
        store = self.objects()
        wanted = wanted_range(self.request.META)
        blob = store.get(key, wanted)
        if blob and wanted and not range_applies(self.request.META, blob.info):
            close(blob)
            blob, wanted = store.get(key), None
        if blob is None:
            raise _missing(key)
        return blob, wanted is not None

    def listed(self, query: ListQuery) -> tuple[BlobPage, str | None]:
        """Return a page of the listing, and the cursor to the next."""
        store = self.objects()
        binding = (str(store.served_by.route_id), *store.scope.parts, query.prefix, query.delimiter)
        cursor = unseal("objects", binding, query.cursor) if query.cursor is not None else None
        found = store.list(prefix=query.prefix, delimiter=query.delimiter, limit=query.limit, cursor=cursor)
        return found, seal("objects", binding, found.cursor) if found.cursor is not None else None


class ObjectView(ObjectsBase):
    """One object. Its key is the rest of the address, decoded once and taken literally."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "data:write", "DELETE": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {
        "PUT": WRITE_CONDITIONS,
        "DELETE": WRITE_CONDITIONS - {IF_NONE_MATCH},
    }

    @extend_schema(
        operation_id="put_object",
        request={"*/*": OpenApiTypes.BINARY},
        responses={200: ObjectOut, 201: ObjectOut},
        parameters=_WRITE_HEADERS,
    )
    def put(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Store the body as the object, streamed: whole or not at all. 201 when it had to be new, else 200."""
        info, is_new = self.stored(key)
        return Response(object_answer(info), status=201 if is_new else 200, headers=version_headers(info))

    @extend_schema(operation_id="get_object", responses={**_BYTES, **_NOTHING_NEW}, parameters=_READ_HEADERS)
    def get(self, request: Request, key: str) -> HttpResponseBase:
        """Read the object's bytes, or one range of them."""
        blob, is_part = self.opened(key)
        return bytes_answer(request, blob, is_part=is_part)

    @extend_schema(exclude=True)
    def head(self, request: Request, key: str) -> HttpResponse:
        """Answer the headers of `GET`, without the bytes."""
        info = self.objects().head(key)
        if info is None:
            raise _missing(key)
        if is_unchanged(request.META, info):
            return not_modified(info)
        return HttpResponse(headers={**described(info), "Content-Length": str(info.size)})

    @extend_schema(operation_id="delete_object", responses={204: None}, parameters=[_IF_MATCH])
    def delete(self, request: Request, key: str) -> Response:
        """Remove the object; 204 also when there was none."""
        store = self.objects()
        store.delete(key, expect=write_expectation(request.META, lambda: store.head(key)))
        return Response(status=204)


class ObjectsView(ObjectsBase):
    """The objects of the context, in the byte order of their UTF-8 keys."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="list_objects",
        parameters=[
            OpenApiParameter("prefix", str, description="Only keys that start with it."),
            OpenApiParameter(
                "delimiter", str, description="Fold keys at the first such text after the prefix, often `/`."
            ),
            OpenApiParameter(
                "limit", PAGE_SIZE, description="1 to 1000 objects and prefixes together; 100 when left out."
            ),
            OpenApiParameter("cursor", str, description="The `next_cursor` of the page before."),
        ],
        responses={200: ObjectPage},
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List objects in the byte order of their UTF-8 keys; with a delimiter, keys below it fold into prefixes."""
        found, next_cursor = self.listed(self.query(ListQuery))
        return page([item_answer(entry) for entry in found.blobs], next_cursor, prefixes=found.prefixes)


def _missing(key: str) -> NotFound:
    return NotFound(f"There is no object {key!a}.", fix="GET /api/v1/storage/objects lists those there are.")


def check_whole_body(request: Request) -> None:
    """Refuse a body that is a part of an object, or an encoding of one."""
    if "HTTP_CONTENT_RANGE" in request.META:
        raise InvalidRequest("A part of an object cannot be replaced.", fix="Send the whole, without Content-Range.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise InvalidRequest(
            "Bytes are stored as they come, and Content-Encoding is not kept.", fix="Send the bytes without it."
        )


urlpatterns: list[URLPattern] = [
    path("storage/objects", ObjectsView.as_view(), name="objects"),
    path("storage/objects/<key:key>", ObjectView.as_view(), name="object"),
]
