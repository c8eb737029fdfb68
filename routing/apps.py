"""The control plane as a Django app."""

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    """Tenants, keys, routes, their audit trail, and the snapshot that resolves them."""

    name = "routing"
    verbose_name = "Routing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell other processes of changes from now on, where they can be told."""
        from northstar.propagation import announce_changes  # noqa: PLC0415 - models are not there before

        announce_changes()
