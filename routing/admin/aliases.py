"""Surface aliases in the back office."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from routing.admin.base import ChangesAdmin, RefusableForm, cause_of
from routing.admin_site import site
from routing.changes import delete_alias, set_alias
from routing.models import SurfaceAlias
from routing.showing import moment


@admin.register(SurfaceAlias, site=site)
class SurfaceAliasAdmin(ChangesAdmin):
    """The next request uses what is saved here."""

    form = RefusableForm
    fields = ["alias", "canonical"]
    list_display = ["alias", "canonical", "created"]
    search_fields = ["alias", "canonical"]

    @admin.display(description="created", ordering="created_at")
    def created(self, alias: SurfaceAlias) -> SafeString:
        """When the alias was made."""
        return moment(alias.created_at)

    def get_readonly_fields(self, request: HttpRequest, obj: SurfaceAlias | None = None) -> list[str]:
        """Return the alias itself once it exists."""
        return [] if obj is None else ["alias"]

    def audit_subject(self, object_id: str) -> str:
        """Return what the audit trail calls an alias."""
        alias = SurfaceAlias.objects.filter(pk=object_id).values_list("alias", flat=True).first()
        return f"alias:{alias}"

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
