"""The control plane's call that the earlier engines had, at the root of the site."""

from django.urls import path

from routing.api.routes import Routes

urlpatterns = [path("routing/routes", Routes.as_view())]
