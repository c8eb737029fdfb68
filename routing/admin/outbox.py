"""Control-plane events on their way to their streams, for seeing what waits and why."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from routing.admin.base import ReadOnlyAdmin, moment_filter
from routing.admin_site import site
from routing.dashboard import relay
from routing.models import OutboxEntry
from routing.showing import QUIET, WARN, moment, state


@admin.register(OutboxEntry, site=site)
class OutboxEntryAdmin(ReadOnlyAdmin):
    """Nothing is lost while an entry waits: it is delivered as soon as its stream has a route that answers."""

    list_display = ["owed", "action", "tenant_id", "env", "stream_id", "delivery"]
    list_filter = [
        moment_filter("delivered_at", "delivery", missing="waiting", present="delivered"),
        "tenant_id",
        "stream_id",
    ]
    list_select_related = ["change"]
    change_list_template = "admin/routing/outboxentry/change_list.html"
    ordering = ["-id"]

    @admin.display(description="event")
    def action(self, entry: OutboxEntry) -> str:
        """The event's type."""
        return entry.change.action

    @admin.display(description="delivered")
    def delivery(self, entry: OutboxEntry) -> SafeString:
        """When it arrived, or why it has not yet."""
        if entry.delivered_at:
            return moment(entry.delivered_at)
        if not entry.attempts:
            return state("waits", QUIET, "Its turn has not come: events of a stream keep their order.")
        told = f"Waits after {entry.attempts} attempts. {entry.last_error}".strip()
        return format_html("{} {}", state("held up", WARN), told)

    @admin.display(description="since", ordering="id")
    def owed(self, entry: OutboxEntry) -> SafeString:
        """When the change was made."""
        return moment(entry.created_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below what waits, stream by stream."""
        context = {"title": "Events on their way", "relay": relay(), **(extra_context or {})}
        return super().changelist_view(request, context)
