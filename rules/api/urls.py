"""Every address of rules below /api/v1."""

from django.urls import URLPattern

from rules.api import publishing, reading, records

urlpatterns: list[URLPattern] = [*reading.urlpatterns, *publishing.urlpatterns, *records.urlpatterns]
