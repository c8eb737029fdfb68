"""The back office's own admin site: Django's, under Northstar's name and theme."""

from typing import Any, Final

from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

MODELS_IN_ORDER: Final = ("Route", "Tenant", "ApiKey", "SurfaceAlias", "RouteChange", "OutboxEntry")
"""What an operator opens most comes first; what is not named here follows by name."""


class NorthstarAdminSite(AdminSite):
    """Registers nothing by itself: the apps' `admin` packages register with `site`."""

    site_header = "Northstar"
    site_title = "Northstar"
    index_title = "Who stores what where"
    site_url = None
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may see any page: active staff who have proven a second factor, where one is required."""
        from northstar.second_factor.rule import is_satisfied  # noqa: PLC0415 - its models load after this module

        return super().has_permission(request) and is_satisfied(request)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the login page, or send those who have a step left to it."""
        from northstar.second_factor.rule import next_step  # noqa: PLC0415
        from northstar.second_factor.signing_in import StaffForm, StaffLogin  # noqa: PLC0415

        home = reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(home)
        if request.method == "GET" and super().has_permission(request):
            return HttpResponseRedirect(next_step(request))
        chosen = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME)
        context = {
            **self.each_context(request),
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            REDIRECT_FIELD_NAME: chosen or home,
            **(extra_context or {}),
        }
        page = StaffLogin.as_view(
            extra_context=context, authentication_form=StaffForm, template_name="admin/login.html", next_page=home
        )
        answer = page(request)
        assert isinstance(answer, HttpResponse)
        return answer

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the apps with routing first, its pages in the order of their use."""
        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=_place)
        return sorted(apps, key=lambda app: app["app_label"] != "routing")


def _place(model: dict[str, Any]) -> tuple[int, str]:
    name = model["object_name"]
    known = name in MODELS_IN_ORDER
    return (MODELS_IN_ORDER.index(name) if known else len(MODELS_IN_ORDER), name)


site = NorthstarAdminSite(name="admin")
