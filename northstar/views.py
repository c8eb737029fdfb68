"""The calls that belong to no store and no route: who am I, and the description of all others."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from pydantic import BaseModel
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ANY_KEY, ApiView, OneForm


class ContextOut(BaseModel):
    """The request's context after every check and normalisation."""

    tenant_id: str
    env: str
    mode: str
    project_id: str | None
    app_id: str | None
    surface_id: str
    user_id: str | None
    actor: str
    request_id: str


class ContextView(ApiView):
    """Shows a caller what the server makes of its key and headers."""

    scopes: ClassVar[dict[str, str]] = {"GET": ANY_KEY}

    @extend_schema(operation_id="context", responses=ContextOut)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """The resolved context: tenant, environment, mode, project, application, surface, user."""
        return Response(self.context)


class SchemaView(SpectacularJSONAPIView):
    """The OpenAPI description as JSON; whoever can reach the server may read it."""

    authentication_classes = []
    permission_classes = [AllowAny]
    content_negotiation_class = OneForm


class DocsView(SpectacularSwaggerSplitView):
    """The same description to read and try; its script is a second request, so that no inline script is needed."""

    authentication_classes = []
    permission_classes = [AllowAny]
    content_negotiation_class = OneForm
    url_name = "schema"
    template_name = "northstar/docs.html"
