"""The edge as a Django app."""

from django.apps import AppConfig


class NorthstarConfig(AppConfig):
    """What every request shares, and the commands of a deployment."""

    name = "northstar"
    verbose_name = "Northstar"

    def ready(self) -> None:
        """Listen to what becomes of second factors."""
        from northstar.second_factor import trail  # noqa: F401, PLC0415 - its models exist only now
