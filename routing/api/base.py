"""What the control plane's views share: a refused write leaves a trace, and a route is found only by those who may know of it."""

from typing import Any

from django.db.models import QuerySet

from northstar.api import READING, ApiView
from northstar.authentication import Credential, authenticate
from northstar.errors import NorthstarError, NotFound, Unauthenticated
from northstar.headers import Headers
from northstar.problems import id_of
from routing.api.access import visible
from routing.audit import Cause
from routing.denials import Attempt, record_denial
from routing.keys import OVERRIDE_LOCKS, SWITCH_ROUTES
from routing.models import Route


class ControlView(ApiView):
    """A view of the control plane. A write that is refused to a known key is recorded (`routing.denials`)."""

    def handle_exception(self, exc: Exception) -> Any:
        """Answer the error; record a denial first."""
        if isinstance(exc, NorthstarError) and self.request.method not in READING:
            self._record(exc)
        return super().handle_exception(exc)

    def cause(self, rationale: str = "", *, override: bool = False) -> Cause:
        """Who asks for a change, and why. Raises Forbidden when a lock is to be overridden without the scope for it."""
        scopes = self.credential.key.scopes
        if override:
            self.credential.require(OVERRIDE_LOCKS)
        return Cause(
            actor=self.context.actor,
            request_id=self.context.request_id,
            rationale=rationale,
            may_switch=SWITCH_ROUTES in scopes,
            may_override=override,
        )

    def _record(self, error: NorthstarError) -> None:
        credential = self._credential_seen()
        if credential is None:
            return
        path = self.request.path
        things = [f"{name.removesuffix('_id')}:{value}" for name, value in self.kwargs.items()]
        attempt = Attempt(
            actor=f"key:{credential.key.key_id}",
            what=f"{self.request.method} {path}",
            subject=" ".join(things) or path,
            tenant_id=credential.key.tenant_id,
            request_id=id_of(self.request),
        )
        record_denial(attempt, error)

    def _credential_seen(self) -> Credential | None:
        """The key of the request, also where it was good and the headers beside it were not."""
        try:
            return authenticate(Headers.of_wsgi(self.request.META))
        except Unauthenticated:
            return None


class RouteView(ControlView):
    """What the calls on routes share."""

    def visible_routes(self) -> QuerySet[Route]:
        """The routes that the caller may know of."""
        return visible(Route.objects.all(), self.credential, self.context)

    def find(self, route_id: int) -> Route:
        """Return a route of the caller's. Raises NotFound, for another tenant's just as for none."""
        route = self.visible_routes().filter(pk=route_id).first()
        if route is None:
            raise NotFound(
                f"There is no route {route_id}.", fix="GET /api/v1/routing/routes lists those that you may see."
            )
        return route
