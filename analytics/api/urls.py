"""Every address of analytics below /api/v1."""

from django.urls import URLPattern

from analytics.api import attribution, contracts, records

urlpatterns: list[URLPattern] = [
    *attribution.urlpatterns,
    *contracts.urlpatterns,
    *records.urlpatterns,
]
