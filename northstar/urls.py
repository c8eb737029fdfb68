"""Every URL of Northstar: the API below /api/v1, the addresses of the earlier engines at the root, the admin, health, metrics."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from analytics.api import urls as analytics
from media.api import urls as media
from northstar.health import healthz, readyz
from northstar.metrics import metrics
from northstar.second_factor import urls as second_factor
from northstar.views import ContextView, DocsView, SchemaView
from routing.admin_site import site
from routing.api import legacy_urls as legacy_routes
from routing.api import urls as routes
from rules.api import urls as rules
from storage.api import (
    blackboards,
    legacy_documents,
    legacy_objects,
    objects,
    presigned,
    sessions,
    streams,
    tables,
    user_memory,
)
from storage.api import metrics as metric_values

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/second-factor/", include(second_factor.urlpatterns)),
    path("admin/", site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path(
        "api/v1/",
        include(
            [
                path("context", ContextView.as_view()),
                *routes.urlpatterns,
                *streams.urlpatterns,
                *tables.urlpatterns,
                *sessions.urlpatterns,
                *blackboards.urlpatterns,
                *user_memory.urlpatterns,
                *metric_values.urlpatterns,
                *presigned.urlpatterns,
                *objects.urlpatterns,
                *analytics.urlpatterns,
                *media.urlpatterns,
                *rules.urlpatterns,
            ]
        ),
    ),
    *legacy_routes.urlpatterns,
    *legacy_documents.urlpatterns,
    *legacy_objects.urlpatterns,
]

handler400 = "northstar.problems.bad_request"
handler403 = "northstar.problems.permission_denied"
handler404 = "northstar.problems.not_found"
handler500 = "northstar.problems.server_error"
