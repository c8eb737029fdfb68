"""Every address of analytics below /api/v1."""

from django.urls import URLPattern

from analytics.api import records

urlpatterns: list[URLPattern] = [*records.urlpatterns]
