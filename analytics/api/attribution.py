"""Attribution over REST: conversions shared among the touches that led to them."""

from typing import ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.attribution_bodies import TOUCHES, AttributionIn, AttributionOut, attribution_answer
from analytics.attribution.credits import attribute
from analytics.attribution.stored import stored_touches
from northstar.api import ApiView


class AttributionView(ApiView):
    """A calculation. Nothing is stored."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:read"}

    @extend_schema(operation_id="attribution", request=AttributionIn, responses=AttributionOut)
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Share each conversion's value among the touches before it, in micro-units that add up exactly.

        The touches are sent, or are those of a session's or user's stored records that tell how somebody came.
        """
        body = self.body(AttributionIn)
        if body.path is None:
            touches = [touch.touch() for touch in body.touches or ()]
        else:
            whose, name = body.path.whose
            touches = stored_touches(self.context, whose, name, body.path.start, body.path.end, most=TOUCHES)
        shared = [attribute(one.conversion(), touches, body.model_for(one)) for one in body.conversions]
        return Response(attribution_answer(shared))


urlpatterns: list[URLPattern] = [
    path("analytics/attribution", AttributionView.as_view(), name="attribution"),
]
