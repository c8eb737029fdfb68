"""All tenants' routes at once, to look at: for operators of t_system."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import page
from northstar.errors import Forbidden
from routing.api.access import sees_all
from routing.api.base import RouteView
from routing.api.bodies import RouteQuery
from routing.api.change_bodies import ViewPage
from routing.api.description import parameters_of
from routing.api.paging import binding_of, read_page
from routing.audit import route_summary
from routing.changes.lock_reach import Place, locked_places


class SystemView(RouteView):
    """The view over all tenants."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read"}

    @extend_schema(operation_id="routing_view", parameters=parameters_of(RouteQuery), responses=ViewPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List the routes of all tenants with mode and lock, filtered by kind, tenant, environment, project or backend. For an
        operator's key that names no tenant; any other is refused."""
        if not sees_all(self.credential, self.context):
            raise Forbidden(
                f"This view is over all tenants, and the request acts for {self.context.tenant_id}.",
                fix="Use an operator's key (tenant t_system, scope act:tenants) and leave X-Tenant-Id out.",
            )
        query = self.query(RouteQuery)
        filters = query.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
        rows, cursor = read_page(
            self.visible_routes().filter(**filters).select_related("tenant"),
            purpose="view",
            binding=binding_of(self.credential, self.context, filters),
            limit=query.limit,
            cursor=query.cursor,
        )
        locked = locked_places(Place.of(route) for route in rows)
        return page(
            [
                {**route_summary(route), "mode": route.tenant.effective_mode, "locked": Place.of(route) in locked}
                for route in rows
            ],
            cursor,
        )
