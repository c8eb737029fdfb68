"""Routes in the back office."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from northstar.second_factor.rule import fresh_proof_required
from routing.admin import history, locks, probing, switching
from routing.admin.base import AnyModelForm, ChangesAdmin, cause_of
from routing.admin.config_fields import config_groups
from routing.admin.confirming import confirmed
from routing.admin.diagnosis import diagnosis
from routing.admin.route_form import RATIONALE, SEEN_REVISION, RouteForm, config_of, route_form
from routing.admin.route_list import RouteList
from routing.admin.route_pages import address
from routing.admin_site import site
from routing.changes import create_route, delete_route, update_route
from routing.changes.lock_reach import Place, active_locks
from routing.models import Route
from routing.showing import moment
from storage.registry import BACKENDS, CLOUD

KEY_FIELDS = ["resource_kind", "tenant", "env", "project_id"]
HISTORY_ROWS = [("revision", "previous_backend_type", "switched"), "switch_rationale", ("created", "updated")]
HISTORY_FIELDS = ["revision", "previous_backend_type", "switched", "switch_rationale", "created", "updated"]
_HISTORY: tuple[str, dict[str, Any]] = ("History", {"fields": HISTORY_ROWS})
_NOTES_SHOWN: tuple[str, dict[str, Any]] = ("Notes", {"fields": ["tier", "cost_notes"]})


@admin.register(Route, site=site)
class RouteAdmin(RouteList, ChangesAdmin):
    """Same validation, guard, audit and events as the API. The key of a route is fixed: another key is another route."""

    form = RouteForm
    raw_id_fields = ["tenant"]
    save_on_top = False
    actions = ["switch_selected"]

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages and those about one route."""
        pages = (
            ("switch/", confirmed(partial(switching.switch, self)), "switch"),
            ("confirm/", require_POST(fresh_proof_required(partial(switching.confirm, self))), "confirm"),
            ("rollback/<int:revision>/", confirmed(partial(switching.roll_back, self)), "rollback"),
            ("lock/", partial(locks.lock, self), "lock"),
            ("probe/", require_POST(partial(probing.probe, self)), "probe"),
            ("history/", partial(history.history, self), "history"),
        )
        own = [
            path(f"<int:route_id>/{end}", self.admin_site.admin_view(view), name=f"routing_route_{name}")
            for end, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[AnyModelForm]:
        """Return the form with the config fields of every backend."""
        return super().get_form(request, obj, change, **{**kwargs, "form": route_form(obj)})

    def get_fieldsets(self, request: HttpRequest, obj: Route | None = None) -> Any:
        """Return the key, the backend, a group per backend's config, what it costs, and the history."""
        sets: list[tuple[str | None, dict[str, Any]]] = [
            (None, {"fields": [tuple(KEY_FIELDS)] if obj else KEY_FIELDS}),
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

    @admin.display(description="last switch")
    def switched(self, route: Route) -> SafeString:
        """When its data's place changed last."""
        return moment(route.last_switch_time, "never")

    @admin.display(description="created")
    def created(self, route: Route) -> SafeString:
        """When, and by whom."""
        return format_html("{} by {}", moment(route.created_at), route.created_by)

    @admin.display(description="last change")
    def updated(self, route: Route) -> SafeString:
        """When, and by whom."""
        return format_html("{} by {}", moment(route.updated_at), route.updated_by)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form, below the locks that hold the route."""
        route = kwargs.get("obj")
        about = {"locks": active_locks(Place.of(route)), "diagnosis": diagnosis(route), "route": route} if route else {}
        return super().render_change_form(request, {**context, **about}, *args, **kwargs)

    @admin.action(description="Switch, after a dry run (one route)", permissions=["change"])
    def switch_selected(self, request: HttpRequest, queryset: QuerySet[Route]) -> HttpResponse | None:
        """Lead to the page that switches the chosen route."""
        chosen = list(queryset[:2])
        if len(chosen) == 1:
            return HttpResponseRedirect(address("switch", chosen[0].pk))
        self.message_user(request, "Choose one route: each switch has its own dry run and rationale.", messages.ERROR)
        return None

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

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the routes alone: what is known of their health goes with them, and their data stays."""
        found, counts, permissions, protected = super().get_deleted_objects(objs, request)
        routes = {name: count for name, count in counts.items() if name == self.opts.verbose_name_plural}
        named: list[Any] = list(found)  # what goes with a route is a list of its own
        return [one for one in named if not isinstance(one, list)], routes, permissions, protected

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask who it is, then whether; then delete."""
        return confirmed(super().delete_view)(request, object_id=object_id, extra_context=extra_context)

    def delete_model(self, request: HttpRequest, obj: Route) -> None:
        """Delete the route; the data behind it stays where it is."""
        delete_route(obj.pk, cause_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[Route]) -> None:
        """Delete the routes, each with its audit entry."""
        for route in queryset:
            delete_route(route.pk, cause_of(request))
