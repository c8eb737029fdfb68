"""The list of routes: who stores what where, whether it is locked, and when it moved."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from routing.admin.base import AnyModelAdmin
from routing.changes.lock_reach import Place, locked_places
from routing.health_models import FAILING, UNKNOWN, WORKING, RouteHealth
from routing.models import Route
from routing.showing import BAD, GOOD, QUIET, WARN, moment, state

ROUTES_ON_A_PAGE = 50


class LockedRoutes(ChangeList):
    """A page of routes that knows their locks, by one query for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page's routes, and what holds them."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        locked = locked_places(Place.of(route) for route in self.result_list)
        for route in self.result_list:
            route.locked = Place.of(route) in locked


class HealthFilter(admin.SimpleListFilter):
    """Routes by what their last probe saw."""

    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: AnyModelAdmin) -> list[tuple[str, str]]:
        """Return the states."""
        return [(name, name) for name in (WORKING, FAILING, UNKNOWN)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> QuerySet[Route]:
        """Keep the routes in the chosen state."""
        if self.value() == UNKNOWN:
            return queryset.filter(health__ok=None)
        return queryset.filter(health__ok=self.value() == WORKING) if self.value() else queryset


class RouteList(AnyModelAdmin):
    """The columns, filters and search of the list of routes."""

    list_display = ["kind", "tenant", "env", "project", "backend", "works", "lock", "tier", "switched_at"]
    list_display_links = ["kind"]
    list_filter = ["resource_kind", "backend_type", "env", HealthFilter, "enabled", "tenant__mode"]
    list_per_page = ROUTES_ON_A_PAGE
    list_select_related = ["tenant", "health"]
    search_fields = ["tenant__tenant_id", "tenant__name", "project_id", "backend_type", "tier", "cost_notes"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that knows of locks."""
        return LockedRoutes

    @admin.display(description="kind", ordering="resource_kind")
    def kind(self, route: Route) -> str:
        """What is stored."""
        return route.resource_kind

    @admin.display(description="project", ordering="project_id", empty_value="all")
    def project(self, route: Route) -> str | None:
        """For which project; all that have no route of their own otherwise."""
        return route.project_id

    @admin.display(description="backend", ordering="backend_type")
    def backend(self, route: Route) -> str:
        """Where."""
        return route.backend_type

    @admin.display(description="health", ordering="health__ok")
    def works(self, route: Route) -> SafeString:
        """Whether requests are served, as the last probe saw it."""
        return health_state(route)

    @admin.display(description="lock")
    def lock(self, route: Route) -> SafeString | str:
        """Whether anything forbids to move it."""
        return state("locked", WARN) if getattr(route, "locked", False) else "-"

    @admin.display(description="last switch", ordering="last_switch_time")
    def switched_at(self, route: Route) -> SafeString:
        """When its data's place changed."""
        return moment(route.last_switch_time, "never")


def health_state(route: Route) -> SafeString:
    """Return in words and colour whether a route's place works."""
    health: RouteHealth | None = getattr(route, "health", None)
    if not route.enabled:
        return state("disabled", QUIET, "Requests find no route here.")
    if health is None or health.ok is None:
        return state("not probed", QUIET, "The server probes it at intervals; Probe now asks at once.")
    if health.ok:
        return state("works", GOOD)
    return state("failing", BAD, f"{health.error_code}: {health.error}")
