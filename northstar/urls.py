"""Every URL of Northstar: the API below /api/v1, the addresses of the earlier engines at the root, the admin, health, metrics."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from northstar.health import healthz, readyz
from northstar.metrics import metrics
from northstar.views import ContextView, DocsView, SchemaView
from routing.admin_site import site

V1: Final = ("routing.api.urls", "storage.api.objects", "storage.api.streams", "storage.api.tables")
EARLIER_ENGINES: Final = ("routing.api.legacy_urls", "storage.api.legacy_objects", "storage.api.legacy_documents")


def _patterns(modules: tuple[str, ...]) -> list[Any]:
    return [pattern for name in modules if find_spec(name) for pattern in import_module(name).urlpatterns]


urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path("api/v1/", include([path("context", ContextView.as_view()), *_patterns(V1)])),
    *_patterns(EARLIER_ENGINES),
]

handler400 = "northstar.problems.bad_request"
handler403 = "northstar.problems.permission_denied"
handler404 = "northstar.problems.not_found"
handler500 = "northstar.problems.server_error"
