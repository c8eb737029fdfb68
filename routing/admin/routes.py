"""Routes in the back office."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from routing.admin.base import AnyModelForm, ChangesAdmin, cause_of
from routing.admin.config_fields import config_groups
from routing.admin.route_form import RATIONALE, SEEN_REVISION, RouteForm, config_of, route_form
from routing.admin_site import site
from routing.changes import create_route, delete_route, update_route
from routing.models import Route
from storage.registry import BACKENDS, CLOUD

KEY_FIELDS = ["resource_kind", "tenant", "env", "project_id"]
HISTORY_FIELDS = [
    "revision",
    "previous_backend_type",
    "switch_rationale",
    "last_switch_time",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
]
_HISTORY: tuple[str, dict[str, Any]] = ("History", {"fields": HISTORY_FIELDS})
_NOTES_SHOWN: tuple[str, dict[str, Any]] = ("Notes", {"fields": ["tier", "cost_notes"]})


@admin.register(Route, site=site)
class RouteAdmin(ChangesAdmin):
    """Same validation, guard, audit and events as the API. The key of a route is fixed: another key is another route."""

    form = RouteForm
    raw_id_fields = ["tenant"]
    list_select_related = ["tenant"]
    list_display = [
        "resource_kind",
        "tenant",
        "env",
        "project_id",
        "backend_type",
        "tier",
        "revision",
        "enabled",
        "last_switch_time",
        "updated_by",
    ]
    list_display_links = ["resource_kind"]
    list_filter = ["resource_kind", "backend_type", "env", "enabled", "tenant__mode"]
    search_fields = ["tenant__tenant_id", "tenant__name", "project_id", "backend_type", "tier", "cost_notes"]
    save_on_top = False

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[AnyModelForm]:
        """Return the form with the config fields of every backend."""
        return super().get_form(request, obj, change, **{**kwargs, "form": route_form(obj)})

    def get_fieldsets(self, request: HttpRequest, obj: Route | None = None) -> Any:
        """Return the key, the backend, a group per backend's config, what it costs, and the history."""
        sets: list[tuple[str | None, dict[str, Any]]] = [
            (None, {"fields": KEY_FIELDS}),
            ("Backend", {"fields": ["backend_type", "enabled"]}),
        ]
        if not (self.has_change_permission(request, obj) if obj else self.has_add_permission(request)):
            return [*sets, ("Config", {"fields": ["config_shown"]}), _NOTES_SHOWN, _HISTORY]
        sets[1][1]["fields"].append(SEEN_REVISION)
        sets += [
            (group.title, {"fields": group.form_names(config_of(obj, group)), "classes": group.css_classes})
            for group in config_groups()
        ]
        sets.append(("Notes", {"fields": ["tier", "cost_notes", RATIONALE]}))
        if obj is not None:
            sets.append(_HISTORY)
        return sets

    def get_readonly_fields(self, request: HttpRequest, obj: Route | None = None) -> list[str]:
        """Return what a form cannot change."""
        return [] if obj is None else [*KEY_FIELDS, *HISTORY_FIELDS, "config_shown"]

    @admin.display(description="config")
    def config_shown(self, route: Route) -> str:
        """The config for those who only look: a secret is `****`, as it is stored."""
        return "\n".join(f"{name}: {value}" for name, value in route.config.items()) or "The backend's defaults."

    def save_model(self, request: HttpRequest, obj: Route, form: Any, change: bool) -> None:
        """Create or update the route."""
        cause = cause_of(request, form.cleaned_data[RATIONALE])
        if change:
            route = update_route(obj.pk, form.update(), cause, expected_revision=form.cleaned_data[SEEN_REVISION])
        else:
            route = create_route(form.draft(), cause)
        if not change or route.last_switch_time != obj.last_switch_time:
            self._say_what_is_next(request, route, moved=change)
        obj.pk = route.pk
        obj.refresh_from_db()

    def _say_what_is_next(self, request: HttpRequest, route: Route, *, moved: bool) -> None:
        """A cloud's table or container is made by a command, and a switch leaves data behind: neither can be seen here."""
        said = ["What was stored so far stays where it was."] if moved else []
        if BACKENDS[route.backend_type].backend_class == CLOUD:
            command = f"routes prepare --tenant {route.tenant_id} --env {route.env} --kind {route.resource_kind}"
            said.append(f"Create what its service needs: python manage.py {command}")
        if said:
            self.message_user(request, " ".join(said), messages.INFO)

    def delete_model(self, request: HttpRequest, obj: Route) -> None:
        """Delete the route; the data behind it stays where it is."""
        delete_route(obj.pk, cause_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> None:
        """Delete the routes, each with its audit entry."""
        for route in queryset:
            delete_route(route.pk, cause_of(request))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show the route's part of the audit trail: Django's own history knows only of the admin."""
        return HttpResponseRedirect(f"{reverse('admin:routing_routechange_changelist')}?route_id={object_id}")
