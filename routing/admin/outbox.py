"""Control-plane events on their way to their streams, for seeing what waits and why."""

from django.contrib import admin

from routing.admin.base import ReadOnlyAdmin, moment_filter
from routing.admin_site import site
from routing.models import OutboxEntry


@admin.register(OutboxEntry, site=site)
class OutboxEntryAdmin(ReadOnlyAdmin):
    """Nothing is lost while an entry waits: it is delivered as soon as its stream has a route that answers."""

    list_display = ["created_at", "action", "tenant_id", "env", "stream_id", "delivery"]
    list_filter = [
        moment_filter("delivered_at", "delivery", missing="waiting", present="delivered"),
        "tenant_id",
        "stream_id",
    ]
    list_select_related = ["change"]
    ordering = ["-id"]

    @admin.display(description="event")
    def action(self, entry: OutboxEntry) -> str:
        """The event's type."""
        return entry.change.action

    @admin.display(description="delivered")
    def delivery(self, entry: OutboxEntry) -> str:
        """When it arrived, or why it has not yet."""
        if entry.delivered_at:
            return f"{entry.delivered_at:%Y-%m-%d %H:%M:%S}"
        return f"Waits after {entry.attempts} attempts. {entry.last_error}".strip()
