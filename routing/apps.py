"""The control plane as a Django app."""

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    """Tenants, keys, routes, their audit trail, and the snapshot that resolves them."""

    name = "routing"
    verbose_name = "Routing"
    default_auto_field = "django.db.models.BigAutoField"
