"""The control plane's calls, below /api/v1/."""

from django.urls import path

from routing.api.diagnostics import Diagnostics
from routing.api.locks import Locks, OneLock, RouteLock
from routing.api.probes import ProbeRoute
from routing.api.reading import Audit, AuditVerification, Explain, Kinds
from routing.api.routes import OneRoute, Routes
from routing.api.switching import History, Rollback, Switch
from routing.api.view import SystemView

urlpatterns = [
    path("routing/routes", Routes.as_view()),
    path("routing/routes/<int:route_id>", OneRoute.as_view()),
    path("routing/routes/<int:route_id>/probe", ProbeRoute.as_view()),
    path("routing/routes/<int:route_id>/history", History.as_view()),
    path("routing/routes/<int:route_id>/lock", RouteLock.as_view()),
    path("routing/routes/<int:route_id>/rollback", Rollback.as_view()),
    path("routing/routes/<int:route_id>/switch", Switch.as_view()),
    path("routing/locks", Locks.as_view()),
    path("routing/locks/<int:lock_id>", OneLock.as_view()),
    path("routing/view", SystemView.as_view()),
    path("routing/kinds", Kinds.as_view()),
    path("routing/audit", Audit.as_view()),
    path("routing/audit/verify", AuditVerification.as_view()),
    path("routing/diagnostics", Diagnostics.as_view()),
    path("routing/explain", Explain.as_view()),
]
