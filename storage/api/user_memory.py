"""Everything of one user, over all projects of an environment: exported, or erased."""

from datetime import datetime
from typing import Any, ClassVar, Final

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ApiView
from routing.operations.memory import erase_memory, export_memory, manifest_answer

NDJSON: Final = "application/x-ndjson"


class ErasedSession(BaseModel):
    """A session that was erased, and how many messages it had."""

    session_id: str
    messages: int


class ErasedRoom(BaseModel):
    """What was erased in one mode and project."""

    mode: str
    project_id: str | None
    sessions: list[ErasedSession]
    blackboards: list[str]


class ErasedRoute(BaseModel):
    """What was erased behind one route. `error_code` is set when not everything could be."""

    route_id: int
    revision: int
    backend_type: str
    error_code: str | None
    detail: str | None
    rooms: list[ErasedRoom]


class ErasedTotals(BaseModel):
    """How much was erased."""

    sessions: int
    messages: int
    blackboards: int


class ManifestOut(BaseModel):
    """What was erased, with every key. `complete` is false when a route failed: erase again."""

    tenant_id: str
    env: str
    user_id: str
    erased_at: datetime
    complete: bool
    totals: ErasedTotals
    routes: list[ErasedRoute]


class UserMemoryView(ApiView):
    """The memory of one user in the context's environment, in every mode and project, behind every memory route."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "DELETE": "data:write"}

    @extend_schema(
        operation_id="export_user_memory",
        responses={(200, NDJSON): OpenApiResponse(OpenApiTypes.STR, description="One JSON object per line.")},
    )
    def get(self, request: Request, user_id: str) -> HttpResponseBase:  # noqa: ARG002
        """Export everything of a user as JSON lines: sessions, their messages, blackboards.

        Each line ends in `sha256`, the hash of the line without it. The last line counts the others and has the hash of them
        all (`lines_sha256`): an export without it was cut off.
        """
        lines = export_memory(self.context, user_id)
        headers = {"Content-Disposition": 'attachment; filename="memory.jsonl"', "X-Content-Type-Options": "nosniff"}
        return StreamingHttpResponse(lines, content_type=NDJSON, headers=headers)

    @extend_schema(operation_id="erase_user_memory", responses={200: ManifestOut, 207: ManifestOut})
    def delete(self, request: Request, user_id: str) -> Response:  # noqa: ARG002
        """Erase everything of a user, and answer with what went; 207 when a route failed, and what it keeps is still there."""
        manifest = erase_memory(self.context, user_id)
        body: dict[str, Any] = manifest_answer(manifest)
        return Response(body, status=200 if manifest.complete else 207)


urlpatterns: list[URLPattern] = [
    path("storage/users/<str:user_id>/memory", UserMemoryView.as_view(), name="user-memory")
]
