"""The earlier engines' addresses for objects, mapped onto the same code. They stand at the root of the site."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.headers import Headers
from northstar.inputs import PageSize
from storage.api.kept_body import KeptBody
from storage.api.object_answers import Base64Content, ObjectItem, ObjectOut, bytes_answer, item_answer, version_headers
from storage.api.objects import WRITE_CONDITIONS, ListQuery, ObjectsBase
from storage.api.presigned import PresignIn, PresignOut, PresignPost, RegisterIn, RegisterPost
from storage.errors import InvalidKey

_RAW = "application/octet-stream"


class UriOut(BaseModel):
    """Where an object lies, as one engine named it."""

    uri: str


class ObjectUriOut(BaseModel):
    """Where an object lies, as the other engine named it."""

    object_uri: str


class ContentOut(BaseModel):
    """An object's bytes in base64."""

    content: str


class EarlierPage(BaseModel):
    """Objects; `next_cursor` is ours, for more than one page."""

    objects: list[ObjectItem]
    next_cursor: str | None


class KeyQuery(BaseModel):
    """Which object."""

    key: str


class EarlierListQuery(BaseModel):
    """Which objects: as many as fit a page, since the earlier clients know no second one."""

    prefix: str = ""
    limit: PageSize = 1000
    cursor: str | None = None


class NexusPutView(KeptBody, ObjectsBase):
    """`POST /nexus/raw/put`: the key in `X-Key`, the bytes as the body."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"POST": WRITE_CONDITIONS}

    @extend_schema(
        operation_id="earlier_nexus_put",
        request={"*/*": OpenApiTypes.BINARY},
        responses={200: UriOut},
        parameters=[OpenApiParameter("X-Key", str, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        """Store the body as the object that `X-Key` names."""
        key = Headers.of_wsgi(request.META).get("X-Key")
        if key is None:
            raise InvalidKey("The header X-Key is missing.", fix="Name the object in X-Key.")
        info, _ = self.stored(key)
        return Response({"uri": info.uri}, headers=version_headers(info))


class NexusGetView(ObjectsBase):
    """`GET /nexus/raw/get?key=`: the bytes."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="earlier_nexus_get",
        parameters=[OpenApiParameter("key", str, required=True)],
        responses={("200", "*/*"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Read the object's bytes."""
        blob, is_part = self.opened(self.query(KeyQuery).key)
        return bytes_answer(request, blob, is_part=is_part)


class NexusPresignIn(PresignIn):
    """An upload, by form (POST) unless it says PUT, as the earlier engine signed them."""

    method: Literal["PUT", "POST"] = "POST"


class NexusPresignView(PresignPost):
    """`POST /nexus/raw/presign-upload`."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="earlier_nexus_presign", request=NexusPresignIn, responses={200: PresignOut})
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Sign an upload that needs no API key: a form with `url` and `fields`, or a PUT where `method` asks for it."""
        return self.signed(self.body(NexusPresignIn))


class NexusRegisterView(RegisterPost):
    """`POST /nexus/raw/register`."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    @extend_schema(operation_id="earlier_nexus_register", request=RegisterIn, responses={200: ObjectOut})
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Verify an upload and make it the object."""
        return self.registered()


class RawPutView(ObjectsBase):
    """`PUT /raw/put/{key}`."""

    scopes: ClassVar[dict[str, str]] = {"PUT": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"PUT": WRITE_CONDITIONS}

    @extend_schema(operation_id="earlier_raw_put", request={"*/*": OpenApiTypes.BINARY}, responses={200: ObjectUriOut})
    def put(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Store the body as the object."""
        info, _ = self.stored(key)
        return Response({"object_uri": info.uri}, headers=version_headers(info))


class RawGetView(ObjectsBase):
    """`GET /raw/get/{key}`: JSON with base64, or the bytes where `Accept` asks for application/octet-stream."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="earlier_raw_get", responses={200: ContentOut, ("200", _RAW): OpenApiTypes.BINARY})
    def get(self, request: Request, key: str) -> HttpResponseBase:
        """Read the object: base64 in JSON, or its bytes where `Accept` asks for application/octet-stream."""
        if _RAW in request.META.get("HTTP_ACCEPT", ""):
            blob, is_part = self.opened(key)
            return bytes_answer(request, blob, is_part=is_part)
        request.META.pop("HTTP_RANGE", None)  # the part of a JSON text is not the part of an object
        blob, _ = self.opened(key)
        return StreamingHttpResponse(
            Base64Content(blob), content_type="application/json", headers=version_headers(blob.info)
        )


class RawListView(ObjectsBase):
    """`GET /raw/list?prefix=`."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(
        operation_id="earlier_raw_list", parameters=[OpenApiParameter("prefix", str)], responses={200: EarlierPage}
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List objects by prefix."""
        query = self.query(EarlierListQuery)
        found, next_cursor = self.listed(ListQuery(prefix=query.prefix, limit=query.limit, cursor=query.cursor))
        return Response({"objects": [item_answer(info) for info in found.blobs], "next_cursor": next_cursor})


urlpatterns: list[URLPattern] = [
    path("nexus/raw/put", NexusPutView.as_view(), name="earlier-nexus-put"),
    path("nexus/raw/presign-upload", NexusPresignView.as_view(), name="earlier-nexus-presign"),
    path("nexus/raw/register", NexusRegisterView.as_view(), name="earlier-nexus-register"),
    path("nexus/raw/get", NexusGetView.as_view(), name="earlier-nexus-get"),
    path("raw/put/<key:key>", RawPutView.as_view(), name="earlier-raw-put"),
    path("raw/get/<key:key>", RawGetView.as_view(), name="earlier-raw-get"),
    path("raw/list", RawListView.as_view(), name="earlier-raw-list"),
]
