"""Every address of analytics below /api/v1."""

from django.urls import URLPattern

from analytics.api import attribution, contracts

urlpatterns: list[URLPattern] = [
    *attribution.urlpatterns,
    *contracts.urlpatterns,
]
