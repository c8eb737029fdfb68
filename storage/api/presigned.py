"""Presigned requests: asking for one, registering what it has sent, and serving those that a backend cannot take itself."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, cast

from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from pydantic import BaseModel, Field
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ANY_KEY
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Forbidden, VersionConflict
from northstar.idempotency import IdempotentPost
from northstar.problems import id_of
from routing.resolve import snapshot
from storage.api.object_answers import ObjectOut, bytes_answer, object_answer, version_headers
from storage.api.object_conditions import write_expectation
from storage.api.objects import WRITE_CONDITIONS, ObjectsBase, ObjectView, check_whole_body, given_type
from storage.api.upload_form import read_form
from storage.kinds.object_store import ObjectStore
from storage.kinds.uploads import LONGEST_SECONDS
from storage.opening import open_store
from storage.tickets import Ticket, read_ticket

PRESIGNED_ACTOR: Final = "presigned"
_SERVED: Final = frozenset({"get", "head", "put", "post"})


class PresignIn(BaseModel):
    """What may be done with which object, and for how long. The last three bind an upload."""

    key: str
    method: Literal["PUT", "POST", "GET"] = "PUT"
    ttl_seconds: int = Field(3600, ge=1, le=LONGEST_SECONDS, strict=True)
    content_type: str | None = None
    max_bytes: int | None = Field(None, ge=0, strict=True)
    sha256: str | None = None


class PresignOut(BaseModel):
    """A request that anybody may send until it expires, exactly so: with these headers, or these fields before the file.

    `upload_id` names the upload for registering it; it is null for a GET.
    """

    key: str
    method: str
    url: str
    headers: dict[str, str]
    fields: dict[str, str]
    expires_at: datetime
    upload_id: str | None


class RegisterIn(BaseModel):
    """Which upload of which key (the newest, where none is named), and what is known of its bytes."""

    key: str
    upload_id: str | None = None
    size: int | None = Field(None, ge=0, strict=True)
    sha256: str | None = None
    content_type: str | None = None
    metadata: dict[str, str] | None = None


class UploadOut(BaseModel):
    """What arrived. It is no object before it is registered."""

    key: str
    upload_id: str
    size: int
    sha256: str | None
    content_type: str


class PresignPost(ObjectsBase):
    """What signing a request is, at the earlier engines' address too.

    It creates nothing, so no answer is remembered under an Idempotency-Key: a URL is a permission, and none is kept here.
    """

    def signed(self, asked: PresignIn) -> Response:
        """Answer the request that was asked for."""
        made = self.objects().presign(
            served_at=self.request.build_absolute_uri(reverse("presigned", args=["-"])).removesuffix("-"),
            **asked.model_dump(),
        )
        signed = made.request
        answer = {name: getattr(signed, name) for name in ("method", "url", "headers", "fields", "expires_at")}
        return Response({"key": asked.key, **answer, "upload_id": made.upload_id})


class RegisterPost(IdempotentPost, ObjectsBase):
    """What registering an upload is, at the earlier engines' address too."""

    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"POST": WRITE_CONDITIONS}

    def registered(self) -> Response:
        """Answer the object that the upload has become."""
        asked = self.body(RegisterIn)
        store = self.objects()
        expect = write_expectation(self.request.META, lambda: store.head(asked.key))
        try:
            info = store.register(expect=expect, **asked.model_dump())
        except AlreadyExists:
            raise VersionConflict(
                f"The object {asked.key!a} exists, and If-None-Match asks that it does not.",
                fix="Register it without If-None-Match to replace the object.",
            ) from None
        return Response(object_answer(info), headers=version_headers(info))


_NO_SCHEMA: Final = {name: extend_schema(exclude=True) for name in ("get", "put", "delete")}
"""The other methods of these addresses are those of the object that has the word for its key."""


@extend_schema_view(**_NO_SCHEMA)
class PresignView(PresignPost, ObjectView):
    """`POST` signs a request; anything else is about the object whose key is `presign`."""

    scopes: ClassVar[dict[str, str]] = {**ObjectView.scopes, "POST": ANY_KEY}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = ObjectView.conditions

    @extend_schema(operation_id="presign_object", request=PresignIn, responses={200: PresignOut})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Sign a request that reads or uploads one object without an API key; reading needs data:read, else data:write."""
        asked = self.body(PresignIn)
        self.credential.require("data:read" if asked.method == "GET" else "data:write")
        return self.signed(asked)


@extend_schema_view(**_NO_SCHEMA)
class RegisterView(RegisterPost, ObjectView):
    """`POST` registers an upload; anything else is about the object whose key is `register`."""

    scopes: ClassVar[dict[str, str]] = {**ObjectView.scopes, "POST": "data:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {**ObjectView.conditions, **RegisterPost.conditions}

    @extend_schema(operation_id="register_object", request=RegisterIn, responses={200: ObjectOut})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Verify what was uploaded (size, type, SHA-256) and make it the object; what does not fit is removed."""
        return self.registered()


class PresignedView(ObjectsBase):
    """A request that we signed ourselves. Its ticket is the permission: there is no API key, and no header counts."""

    authentication_classes = ()
    permission_classes = ()
    ticket: Ticket

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if (request.method or "").lower() in _SERVED:
            self.ticket = read_ticket(kwargs["token"], request.method or "")

    def objects(self) -> ObjectStore:
        """Return the object store that the ticket is about. Raises Forbidden when that is not the one of its day."""
        ticket = self.ticket
        mode = snapshot().modes.get(ticket.tenant)
        if mode is None:
            raise Forbidden("The tenant behind this URL is gone.")
        context = RequestContext(
            ticket.tenant,
            ticket.env,
            mode,
            project_id=ticket.project,
            surface_id=ticket.surface,
            actor=PRESIGNED_ACTOR,
            request_id=id_of(self.request),
        )
        store = cast("ObjectStore", open_store("object_store", context))
        ticket.refuse_other_route(store.served_by)
        self._served = store.served_by
        return store

    @extend_schema(operation_id="presigned_get", responses={("200", "*/*"): OpenApiTypes.BINARY})
    def get(self, request: Request, token: str) -> HttpResponseBase:  # noqa: ARG002
        """Read the object that the signed URL is for, or one range of it."""
        blob, is_part = self.opened(self.ticket.key)
        return bytes_answer(request, blob, is_part=is_part)

    @extend_schema(operation_id="presigned_put", request={"*/*": OpenApiTypes.BINARY}, responses={200: UploadOut})
    def put(self, request: Request, token: str) -> Response:  # noqa: ARG002
        """Upload the body, streamed, within the terms of the signed URL."""
        check_whole_body(request)
        return self._received(self.chunks(), given_type(request))

    @extend_schema(
        operation_id="presigned_post",
        request={"multipart/form-data": OpenApiTypes.OBJECT},
        responses={200: UploadOut},
    )
    def post(self, request: Request, token: str) -> Response:  # noqa: ARG002
        """Upload the file of a browser's form, streamed, within the terms of the signed URL: fields first, the file last."""
        form = read_form(request.META.get("CONTENT_TYPE", ""), self.chunks())
        return self._received(form.chunks, form.fields.get("content-type", form.file_type))

    def _received(self, chunks: Iterator[bytes], content_type: str | None) -> Response:
        info = self.objects().receive(self.ticket, chunks, content_type=content_type)
        return Response(
            {
                "key": self.ticket.key,
                "upload_id": self.ticket.upload_id,
                "size": info.size,
                "sha256": info.sha256,
                "content_type": info.content_type,
            }
        )


urlpatterns: list[URLPattern] = [
    path("storage/objects/presign", PresignView.as_view(), {"key": "presign"}, name="presign"),
    path("storage/objects/register", RegisterView.as_view(), {"key": "register"}, name="register"),
    path("storage/presigned/<str:token>", PresignedView.as_view(), name="presigned"),
]
