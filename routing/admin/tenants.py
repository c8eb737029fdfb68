"""Tenants in the back office."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from routing.admin.base import ChangesAdmin, RefusableForm, cause_of
from routing.admin_site import site
from routing.changes import create_tenant, update_tenant
from routing.models import LAB_DEPLOYMENT, Tenant
from routing.showing import moment


@admin.register(Tenant, site=site)
class TenantAdmin(ChangesAdmin):
    """A tenant is never deleted here: its data and its audit trail outlive any mistake. Its mode is fixed outside of a lab."""

    form = RefusableForm
    fields = ["tenant_id", "name", "mode", "effective_mode", "created"]
    list_display = ["tenant_id", "name", "mode", "effective_mode", "created"]
    list_filter = ["mode"]
    search_fields = ["tenant_id", "name"]

    @admin.display(description="mode in this deployment")
    def effective_mode(self, tenant: Tenant) -> str:
        """The mode that policy asks about."""
        return tenant.effective_mode if tenant.pk else "-"

    @admin.display(description="created", ordering="created_at")
    def created(self, tenant: Tenant) -> SafeString:
        """When the tenant was made."""
        return moment(tenant.created_at)

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        """Return what cannot be changed: the id always, the mode outside of a lab deployment."""
        fixed = ["effective_mode", "created"]
        if obj is not None:
            fixed.append("tenant_id")
            if settings.NORTHSTAR_DEPLOYMENT != LAB_DEPLOYMENT:
                fixed.append("mode")
        return fixed

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        """Create or update the tenant."""
        if change:
            update_tenant(obj.pk, cause_of(request), name=obj.name, mode=obj.mode)
        else:
            create_tenant(obj.tenant_id, obj.name, obj.mode, cause_of(request))
        obj.refresh_from_db()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False
