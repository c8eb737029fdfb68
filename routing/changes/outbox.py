"""The events that a change owes, written in its transaction so that none is lost."""

from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Min

from northstar.modes import SYSTEM_TENANT
from routing.audit import timestamp
from routing.models import OutboxEntry, RegistryMirror, RouteChange

ROUTING_STREAM: Final = "routing"
"""Of tenant t_system: every change of every tenant's routes."""
TENANT_STREAM: Final = "tenant_timeline"
"""Of the tenant concerned."""


def announce(change: RouteChange) -> None:
    """Owe the change's event to both streams, in the caller's transaction.

    What waited for the tenant's events, or for the registry, gets its next attempt at once: this change may be the route that was
    missing.
    """
    now = datetime.now(UTC)
    payload = event_data(change)
    OutboxEntry.objects.bulk_create(
        OutboxEntry(
            change=change,
            tenant_id=tenant_id,
            env=change.env,
            stream_id=stream_id,
            payload=payload,
            created_at=now,
            next_attempt_at=now,
        )
        for tenant_id, stream_id in ((SYSTEM_TENANT, ROUTING_STREAM), (change.tenant_id, TENANT_STREAM))
    )
    waiting = OutboxEntry.objects.filter(tenant_id=change.tenant_id, delivered_at=None).order_by()
    firsts = waiting.values("env", "stream_id").annotate(first=Min("id")).values("first")
    OutboxEntry.objects.filter(pk__in=firsts).update(next_attempt_at=now)  # what came later waits for them
    if change.tenant_id == SYSTEM_TENANT:
        RegistryMirror.objects.update(next_attempt_at=None)


def event_data(change: RouteChange) -> dict[str, Any]:
    """Return the data of the control-plane event: what changed, by whom and why, with secrets as `****`.

    `audit_row` and `audit_hash` anchor the audit trail outside of its database.
    """
    now = change.after or change.before or {}
    return {
        "change_id": str(change.change_id),
        "audit_row": change.pk,
        "audit_hash": change.hash,
        "action": change.action,
        "at": timestamp(change.at),
        "actor": change.actor,
        "request_id": change.request_id,
        "rationale": change.rationale,
        "route_id": change.route_id,
        "resource_kind": change.resource_kind,
        "tenant_id": change.tenant_id,
        "env": change.env,
        "project_id": change.project_id,
        "revision": now.get("revision"),
        "backend_type": now.get("backend_type"),
        "previous_backend_type": now.get("previous_backend_type"),
        "before": change.before,
        "after": change.after,
    }
