"""The back office's own admin site: Django's, under Northstar's name and theme."""

from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest

MODELS_IN_ORDER: Final = ("Route", "Tenant", "ApiKey", "SurfaceAlias", "RouteChange", "OutboxEntry")
"""What an operator opens most comes first; what is not named here follows by name."""


class NorthstarAdminSite(AdminSite):
    """Registers nothing by itself: the apps' `admin` packages register with `site`."""

    site_header = "Northstar"
    site_title = "Northstar"
    index_title = "Who stores what where"
    site_url = None
    enable_nav_sidebar = True

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
