"""Probing over REST: does the place behind a route work, now?"""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.idempotency import IdempotentPost
from northstar.instants import instant_text
from routing.api.base import RouteView
from routing.api.bodies import ProbeOut
from routing.operations.health import probe_and_record
from routing.operations.probing import ProbeReport


class ProbeRoute(IdempotentPost, RouteView):
    """The place of one route of the caller's."""

    scopes: ClassVar[dict[str, str]] = {"POST": "routes:write"}

    @extend_schema(operation_id="routes_probe", request=None, responses=ProbeOut)
    def post(self, request: Request, route_id: int) -> Response:  # noqa: ARG002
        """Write, read, list and delete in a scratch place of the route's service, and say how long each took. A probe that
        fails is a good answer too: 200 with `ok` false and the error's code. Nothing that it writes stays;
        the result is kept for the diagnostics."""
        return Response(probe_summary(probe_and_record(self.find(route_id).pk)))


def probe_summary(report: ProbeReport) -> dict[str, Any]:
    """Return a report as the API tells it."""
    return {
        "ok": report.ok,
        "at": instant_text(report.at),
        "steps": [{"name": name, "milliseconds": milliseconds} for name, milliseconds in report.steps],
        "error_code": report.error_code,
        "error": report.error,
        "fix": report.fix,
    }
