"""Surface aliases in the back office."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from routing.admin.base import ChangesAdmin, RefusableForm, cause_of
from routing.admin_site import site
from routing.changes import delete_alias, set_alias
from routing.models import SurfaceAlias


@admin.register(SurfaceAlias, site=site)
class SurfaceAliasAdmin(ChangesAdmin):
    """The next request uses what is saved here."""

    form = RefusableForm
    fields = ["alias", "canonical"]
    list_display = ["alias", "canonical", "created_at"]
    search_fields = ["alias", "canonical"]

    def get_readonly_fields(self, request: HttpRequest, obj: SurfaceAlias | None = None) -> list[str]:
        """Return the alias itself once it exists."""
        return [] if obj is None else ["alias"]

    def save_model(self, request: HttpRequest, obj: SurfaceAlias, form: Any, change: bool) -> None:
        """Create the alias or point it elsewhere."""
        obj.pk = set_alias(obj.alias, obj.canonical, cause_of(request)).pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: SurfaceAlias) -> None:
        """Remove the alias."""
        delete_alias(obj.alias, cause_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SurfaceAlias]) -> None:
        """Remove the aliases, each with its audit entry."""
        for alias in queryset:
            delete_alias(alias.alias, cause_of(request))
