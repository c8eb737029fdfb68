"""The rules store's services as a Django app."""

from django.apps import AppConfig


class RulesConfig(AppConfig):
    """Payroll and retirement-plan rules: seeds, cache, files and the persistence that agents use."""

    name = "rules"
    verbose_name = "Rules"
    default_auto_field = "django.db.models.BigAutoField"
