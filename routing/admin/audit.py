"""The audit trail in the back office: who changed what, and whether the trail itself was touched."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from routing.admin.base import ReadOnlyAdmin
from routing.admin_site import site
from routing.chain import verify_chain
from routing.differences import differences
from routing.models import RouteChange
from routing.operations.verification import verify_trail

CHECKED_AT_ONCE = 2_000
"""A longer trail is verified on demand: 100,000 rows take seconds. So is any against its anchors, which asks backends."""

_DIFFERENCE = (
    "<table class='northstar-difference'><thead><tr><th scope='col'>Field</th><th scope='col'>Before</th>"
    "<th scope='col'>After</th></tr></thead><tbody>{}</tbody></table>"
)


@admin.register(RouteChange, site=site)
class RouteChangeAdmin(ReadOnlyAdmin):
    """Read-only for everybody, the database included."""

    list_display = ["at", "action", "subject", "tenant_id", "env", "actor", "rationale"]
    list_filter = ["action", "env", "resource_kind"]
    search_fields = ["actor", "subject", "tenant_id", "rationale", "request_id"]
    date_hierarchy = "at"
    fields = [
        "at",
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
    readonly_fields = ["difference"]
    change_list_template = "admin/routing/routechange/change_list.html"

    @admin.display(description="what changed")
    def difference(self, change: RouteChange) -> SafeString:
        """A table of the fields that differ."""
        rows = format_html_join(
            "",
            "<tr><th scope='row'>{}</th><td class='northstar-before'>{}</td><td class='northstar-after'>{}</td></tr>",
            differences(change.before, change.after),
        )
        return format_html(_DIFFERENCE, rows)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with the state of the hash chain above it."""
        asked = request.method == "POST" and "verify_chain" in request.POST
        rows = RouteChange.objects.count()
        chain = verify_trail() if asked else verify_chain() if rows <= CHECKED_AT_ONCE else None
        context = {"title": "Audit trail", "chain": chain, "chain_rows": rows, **(extra_context or {})}
        return super().changelist_view(request, context)
