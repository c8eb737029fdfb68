"""A site with views made for the edge's tests: they echo, count and fail on purpose."""

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.urls import path
from pydantic import BaseModel, ConfigDict, field_validator
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ApiView, page
from northstar.idempotency import IdempotentPost
from northstar.inputs import body_chunks
from tests.edge.failures import FAILURES


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int
    note: str = ""
    data: Any = None

    @field_validator("note")
    @classmethod
    def not_angry(cls, note: str) -> str:
        if "!" in note:
            raise ValueError("must not shout")
        return note


class Query(BaseModel):
    limit: int = 100
    prefix: str = ""


class Orders(IdempotentPost, ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "POST": "data:write"}
    attempts: ClassVar[list[str]] = []
    failure: ClassVar[Exception | None] = None

    def get(self, request: Request) -> Response:
        query = self.query(Query)
        return page([query.prefix] * query.limit, None)

    def post(self, request: Request) -> Response:
        order = self.body(Order)
        self.attempts.append(self.operation_id)
        if self.failure is not None:
            raise self.failure
        return Response({"n": len(self.attempts), "order": order}, status=201, headers={"ETag": '"1"'})


class Raw(ApiView):
    scopes: ClassVar[dict[str, str]] = {"PUT": "data:write"}

    def put(self, request: Request) -> Response:
        return Response({"size": sum(map(len, body_chunks(request)))})


class Fails(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    def get(self, request: Request, name: str) -> Response:
        raise FAILURES[name]


class Throttled(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    def get(self, request: Request) -> Response:
        raise drf.Throttled(wait=7)


class Unscoped(ApiView):
    def get(self, request: Request) -> Response:
        return Response({})


def plain(request: HttpRequest) -> HttpResponse:
    raise ValueError("canary-5f1d7c3a")


urlpatterns = [
    path("api/v1/orders", Orders.as_view()),
    path("api/v1/raw", Raw.as_view()),
    path("api/v1/fails/<name>", Fails.as_view()),
    path("api/v1/throttled", Throttled.as_view()),
    path("api/v1/unscoped", Unscoped.as_view()),
    path("api/v1/plain", plain),
    path("admin/plain", plain),
]

handler400 = "northstar.problems.bad_request"
handler403 = "northstar.problems.permission_denied"
handler404 = "northstar.problems.not_found"
handler500 = "northstar.problems.server_error"
