"""Every address of analytics below /api/v1."""

from django.urls import URLPattern

from analytics.api import budget_reservations, budgets, records

urlpatterns: list[URLPattern] = [*budgets.urlpatterns, *budget_reservations.urlpatterns, *records.urlpatterns]
