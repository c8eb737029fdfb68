"""Every address of analytics below /api/v1."""

from django.urls import URLPattern

from analytics.api import contracts

urlpatterns: list[URLPattern] = [
    *contracts.urlpatterns,
]
