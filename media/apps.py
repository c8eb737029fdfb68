"""Media outputs as a Django app."""

from django.apps import AppConfig


class MediaConfig(AppConfig):
    """Media outputs: an object, its checksum and the rows that find it."""

    name = "media"
    verbose_name = "Media"
    default_auto_field = "django.db.models.BigAutoField"
