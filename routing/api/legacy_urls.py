"""The control plane's call that the earlier engines had, at the root of the site."""

from django.urls import path

from routing.api.routes import EarlierRoutes

urlpatterns = [path("routing/routes", EarlierRoutes.as_view())]
