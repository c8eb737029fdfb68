"""The control plane's calls, below /api/v1/."""

from django.urls import path

from routing.api.diagnostics import Diagnostics
from routing.api.probes import ProbeRoute
from routing.api.reading import Audit, AuditVerification, Explain, Kinds
from routing.api.routes import OneRoute, Routes

urlpatterns = [
    path("routing/routes", Routes.as_view()),
    path("routing/routes/<int:route_id>", OneRoute.as_view()),
    path("routing/routes/<int:route_id>/probe", ProbeRoute.as_view()),
    path("routing/kinds", Kinds.as_view()),
    path("routing/audit", Audit.as_view()),
    path("routing/audit/verify", AuditVerification.as_view()),
    path("routing/diagnostics", Diagnostics.as_view()),
    path("routing/explain", Explain.as_view()),
]
