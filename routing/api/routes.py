"""Routes over REST: list, create or flip, read, change, delete."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, IF_NONE_MATCH, create_only, expected_version, page
from northstar.errors import AlreadyExists, VersionConflict
from northstar.idempotency import IdempotentPost
from northstar.instants import instant_text
from routing.admission import RouteDraft
from routing.api.access import tenant_named
from routing.api.base import RouteView
from routing.api.bodies import RouteEdit, RouteIn, RouteOut, RoutePage, RouteQuery, UndoQuery
from routing.api.description import parameters_of
from routing.api.paging import binding_of, read_page
from routing.audit import Cause, route_summary
from routing.changes import RouteUpdate, create_route, delete_route, put_route, update_route
from routing.health_models import UNKNOWN, RouteHealth
from routing.models import Route


class PutRoute(IdempotentPost, RouteView):
    """Create or flip."""

    scopes: ClassVar[dict[str, str]] = {"POST": "routes:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"POST": frozenset({IF_MATCH, IF_NONE_MATCH})}

    @extend_schema(operation_id="routes_put", request=RouteIn, responses={200: RouteOut, 201: RouteOut})
    def post(self, request: Request) -> Response:
        """Create a route (201), or replace the one with the same four-part key (200): a flip. `If-Match` guards a flip,
        and `If-None-Match: *` lets it create only."""
        body = self.body(RouteIn)
        draft, cause = self._draft(body), self.cause(body.switch_rationale, override=body.override_lock)
        if create_only(request):
            return answer(_created(draft, cause), status=201)
        route, created = put_route(draft, cause, expected_revision=expected_version(request))
        return answer(route, status=201 if created else 200)

    def _draft(self, body: RouteIn) -> RouteDraft:
        env = self.context.env if body.env is None else body.env
        self.credential.require_env(env)
        return RouteDraft(
            resource_kind=body.resource_kind,
            tenant_id=tenant_named(body.tenant_id, self.credential, self.context),
            env=env,
            project_id=body.project_id,
            backend_type=body.backend_type,
            config=body.config,
            tier=body.tier,
            cost_notes=body.cost_notes,
            enabled=body.enabled,
        )


class Routes(PutRoute):
    """The routes that the caller may see."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read", "POST": "routes:write"}

    @extend_schema(operation_id="routes_list", parameters=parameters_of(RouteQuery), responses=RoutePage)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List routes in the order of their ids. An operator that names no tenant sees those of all."""
        query = self.query(RouteQuery)
        tenant_named(query.tenant_id, self.credential, self.context)
        filters = query.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
        rows, cursor = read_page(
            self.visible_routes().filter(**filters).select_related("health"),
            purpose="routes",
            binding=binding_of(self.credential, self.context, filters),
            limit=query.limit,
            cursor=query.cursor,
        )
        return page([{**route_summary(route), **_health(route)} for route in rows], cursor)


class EarlierRoutes(PutRoute):
    """The address of the earlier engines."""

    @extend_schema(operation_id="earlier_put_route", request=RouteIn, responses={200: RouteOut, 201: RouteOut})
    def post(self, request: Request) -> Response:
        """Create a route or flip it, as POST /api/v1/routing/routes does."""
        return super().post(request)


class OneRoute(RouteView):
    """One route of the caller's."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read", "PATCH": "routes:write", "DELETE": "routes:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {
        "PATCH": frozenset({IF_MATCH}),
        "DELETE": frozenset({IF_MATCH}),
    }

    @extend_schema(operation_id="routes_get", responses=RouteOut)
    def get(self, request: Request, route_id: int) -> Response:  # noqa: ARG002
        """Read a route; secrets are `****`. The ETag is its revision."""
        return answer(self.find(route_id))

    @extend_schema(operation_id="routes_change", request=RouteEdit, responses=RouteOut)
    def patch(self, request: Request, route_id: int) -> Response:
        """Change the fields that are given; a config replaces the whole config. `If-Match` guards against a change in between."""
        body = self.body(RouteEdit)
        route = self.find(route_id)
        update = RouteUpdate(**body.model_dump(exclude_unset=True, exclude={"override_lock", "switch_rationale"}))
        cause = self.cause(body.switch_rationale, override=body.override_lock)
        return answer(update_route(route.pk, update, cause, expected_revision=expected_version(request)))

    @extend_schema(operation_id="routes_delete", parameters=parameters_of(UndoQuery), responses={204: None})
    def delete(self, request: Request, route_id: int) -> Response:
        """Delete a route; the data behind it stays where it is."""
        query = self.query(UndoQuery)
        cause = self.cause(query.switch_rationale, override=query.override_lock)
        delete_route(self.find(route_id).pk, cause, expected_revision=expected_version(request))
        return Response(status=204)


def _health(route: Route) -> dict[str, Any]:
    health: RouteHealth | None = getattr(route, "health", None)
    probed_at = health and health.probed_at
    return {"health": health.state if health else UNKNOWN, "probed_at": probed_at and instant_text(probed_at)}


def _created(draft: RouteDraft, cause: Cause) -> Route:
    try:
        return create_route(draft, cause)
    except AlreadyExists as error:
        raise VersionConflict(error.detail, fix=error.fix) from None


def answer(route: Route, status: int = 200) -> Response:
    """Answer a route with its revision as the ETag."""
    return Response(route_summary(route), status=status, headers={"ETag": f'"{route.revision}"'})
