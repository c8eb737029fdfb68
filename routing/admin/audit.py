"""The audit trail in the back office: who changed what, and whether the trail itself was touched."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from routing.admin.base import NamedValues, ReadOnlyAdmin
from routing.admin_site import site
from routing.chain import verify_chain
from routing.differences import differences
from routing.models import RouteChange
from routing.operations.verification import verify_trail
from routing.showing import difference_table, moment

CHECKED_AT_ONCE = 2_000
"""A longer trail is verified on demand: 100,000 rows take seconds. So is any against its anchors, which asks backends."""


@admin.register(RouteChange, site=site)
class RouteChangeAdmin(ReadOnlyAdmin):
    """Read-only for everybody, the database included."""

    list_display = ["when", "action", "subject", "where", "actor", "rationale"]
    list_filter = ["action", ("env", NamedValues), ("resource_kind", NamedValues)]
    search_fields = ["actor", "subject", "tenant_id", "rationale", "request_id"]
    date_hierarchy = "at"
    fields = [
        "when",
        "action",
        "subject",
        "difference",
        "rationale",
        "actor",
        "request_id",
        "tenant_id",
        "env",
        "project_id",
        "resource_kind",
        "change_id",
        "previous_hash",
        "hash",
    ]
    readonly_fields = ["difference", "when"]
    change_list_template = "admin/routing/routechange/change_list.html"

    @admin.display(description="when", ordering="id")
    def when(self, change: RouteChange) -> SafeString:
        """When it was made."""
        return moment(change.at)

    @admin.display(description="where")
    def where(self, change: RouteChange) -> str:
        """Whose routes it is about."""
        parts = [change.tenant_id, change.env, change.project_id]
        place = "/".join(part for part in parts if part) or "-"
        return f"{change.resource_kind} in {place}" if change.resource_kind else place

    @admin.display(description="what changed")
    def difference(self, change: RouteChange) -> SafeString:
        """A table of the fields that differ."""
        return difference_table(differences(change.before, change.after))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with the state of the hash chain above it."""
        asked = request.method == "POST" and "verify_chain" in request.POST
        rows = RouteChange.objects.count()
        chain = verify_trail() if asked else verify_chain() if rows <= CHECKED_AT_ONCE else None
        context = {
            "title": "Audit trail",
            "chain": chain,
            "chain_rows": rows,
            "anchors_asked": asked,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)
