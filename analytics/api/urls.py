"""Every address of analytics below /api/v1."""

from django.urls import URLPattern

from analytics.api import attribution, budget_reservations, budgets, contracts, records

urlpatterns: list[URLPattern] = [
    *attribution.urlpatterns,
    *budgets.urlpatterns,
    *budget_reservations.urlpatterns,
    *contracts.urlpatterns,
    *records.urlpatterns,
]
