"""Strategy locks over REST: set, list, read, release."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import page
from northstar.errors import NotFound
from northstar.idempotency import IdempotentPost
from routing.api.access import tenant_named, visible
from routing.api.base import ControlView, RouteView
from routing.api.bodies import UndoQuery
from routing.api.change_bodies import EnvLockIn, EnvQuery, LockIn, LockOut, LockPage, LockQuery
from routing.api.description import parameters_of
from routing.api.paging import binding_of, read_page
from routing.changes import lock_env, lock_route, unlock, unlock_env, unlock_route
from routing.changes.lock_reach import lock_summary, perhaps_active
from routing.models import StrategyLock


class RouteLock(IdempotentPost, RouteView):
    """The locks of one route."""

    scopes: ClassVar[dict[str, str]] = {"POST": "routes:switch", "DELETE": "routes:switch"}

    @extend_schema(operation_id="routes_lock", request=LockIn, responses={201: LockOut})
    def post(self, request: Request, route_id: int) -> Response:  # noqa: ARG002
        """Lock a route: until the end, or until the caller releases it, nothing may change where its data lies."""
        body = self.body(LockIn)
        route = self.find(route_id)
        return _answer(lock_route(route.pk, **_terms(body), cause=self.cause()), 201)

    @extend_schema(operation_id="routes_unlock", parameters=parameters_of(UndoQuery), responses={204: None})
    def delete(self, request: Request, route_id: int) -> Response:  # noqa: ARG002
        """Release all locks on the route itself, or none: those of others only with `override_lock`."""
        query = self.query(UndoQuery)
        cause = self.cause(query.switch_rationale, override=query.override_lock)
        unlock_route(self.find(route_id).pk, cause)
        return Response(status=204)


class LockView(ControlView):
    """What the calls on locks share."""

    def visible_locks(self) -> QuerySet[StrategyLock]:
        """The locks that the caller may know of."""
        return visible(StrategyLock.objects.all(), self.credential, self.context)

    def find(self, lock_id: int) -> StrategyLock:
        """Return a lock of the caller's. Raises NotFound, for another tenant's just as for none."""
        row = self.visible_locks().filter(pk=lock_id).first()
        if row is None:
            raise NotFound(
                f"There is no lock {lock_id}.", fix="GET /api/v1/routing/locks lists those that you may see."
            )
        return row

    def place(self, tenant_id: str | None, env: str | None) -> tuple[str, str]:
        """Return the tenant and the environment that are meant. Raises TenantMismatch, Forbidden."""
        meant = self.context.env if env is None else env
        self.credential.require_env(meant)
        return tenant_named(tenant_id, self.credential, self.context), meant


class Locks(IdempotentPost, LockView):
    """The locks that the caller may see."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read", "POST": "routes:switch", "DELETE": "routes:switch"}

    @extend_schema(operation_id="locks_list", parameters=parameters_of(LockQuery), responses=LockPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List locks, the newest first. An operator that names no tenant sees those of all."""
        query = self.query(LockQuery)
        tenant_named(query.tenant_id, self.credential, self.context)
        filters = query.model_dump(exclude={"active", "limit", "cursor"}, exclude_none=True)
        rows = self.visible_locks().filter(**filters)
        found, cursor = read_page(
            rows.filter(perhaps_active()) if query.active else rows,
            purpose="locks",
            binding=binding_of(self.credential, self.context, {**filters, "active": query.active}),
            limit=query.limit,
            cursor=query.cursor,
            newest_first=True,
        )
        return page([lock_summary(row) for row in found], cursor)

    @extend_schema(operation_id="locks_create", request=EnvLockIn, responses={201: LockOut})
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Lock a tenant's environment for all resource kinds, routes to come included."""
        body = self.body(EnvLockIn)
        tenant_id, env = self.place(body.tenant_id, body.env)
        return _answer(lock_env(tenant_id, env, **_terms(body), cause=self.cause()), 201)

    @extend_schema(operation_id="locks_release", parameters=parameters_of(EnvQuery), responses={204: None})
    def delete(self, request: Request) -> Response:  # noqa: ARG002
        """Release all locks on the environment as a whole, or none: those of others only with `override_lock`."""
        query = self.query(EnvQuery)
        cause = self.cause(query.switch_rationale, override=query.override_lock)
        tenant_id, env = self.place(query.tenant_id, query.env)
        unlock_env(tenant_id, env, cause)
        return Response(status=204)


class OneLock(LockView):
    """One lock of the caller's."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read", "DELETE": "routes:switch"}

    @extend_schema(operation_id="locks_get", responses=LockOut)
    def get(self, request: Request, lock_id: int) -> Response:  # noqa: ARG002
        """Read a lock, also one that is over."""
        return _answer(self.find(lock_id))

    @extend_schema(operation_id="locks_delete", parameters=parameters_of(UndoQuery), responses={204: None})
    def delete(self, request: Request, lock_id: int) -> Response:  # noqa: ARG002
        """Release a lock; one that is over stays so. Another's only with `override_lock`."""
        query = self.query(UndoQuery)
        cause = self.cause(query.switch_rationale, override=query.override_lock)
        unlock(self.find(lock_id).pk, cause)
        return Response(status=204)


def _terms(body: LockIn) -> dict[str, Any]:
    return {"reason": body.reason, "until": body.until, "holds_ingest": body.holds_ingest}


def _answer(row: StrategyLock, status: int = 200) -> Response:
    return Response(lock_summary(row), status=status)
