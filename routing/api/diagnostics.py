"""Diagnostics over REST: how routes do, what they used, what that costs, and which process knows which revision."""

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import page
from northstar.instants import instant_text
from routing.api.access import sees_all, tenant_named
from routing.api.base import RouteView
from routing.api.description import parameters_of
from routing.api.diagnostics_bodies import DiagnosticsPage, DiagnosticsQuery
from routing.api.paging import binding_of, read_page
from routing.costs import Estimate, Line
from routing.health_models import UNKNOWN, RouteHealth, ServerProcess
from routing.operations.diagnostics import Diagnosis, diagnose
from routing.operations.processes import server_processes, this_process
from routing.operations.quotas import Quotas
from routing.operations.usage import RouteTotals, first_day, flush_usage
from routing.snapshot import cache
from storage.usage import USAGE_MEASURES


class Diagnostics(RouteView):
    """How the routes do that the caller may see."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read"}

    @extend_schema(
        operation_id="routing_diagnostics", parameters=parameters_of(DiagnosticsQuery), responses=DiagnosticsPage
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Tell of each route its last probe, last error, operations, bytes, latencies, declared limits and estimated cost.
        Counts are those of all processes; another one's reach this answer within NORTHSTAR_REPORT_SECONDS."""
        query = self.query(DiagnosticsQuery)
        tenant_named(query.tenant_id, self.credential, self.context)
        filters = query.model_dump(exclude={"limit", "cursor", "days"}, exclude_none=True)
        flush_usage()
        rows, cursor = read_page(
            self.visible_routes().filter(**filters),
            purpose="diagnostics",
            binding=binding_of(self.credential, self.context, {**filters, "days": query.days}),
            limit=query.limit,
            cursor=query.cursor,
        )
        since = first_day(query.days)
        items = [_told(diagnosis, since) for diagnosis in diagnose(rows, since)]
        return page(items, cursor, answered_by=_answering(), processes=self._processes())

    def _processes(self) -> list[dict[str, Any]] | None:
        if not sees_all(self.credential, self.context):
            return None
        return [_process(process) for process in server_processes()]


def health_summary(health: RouteHealth | None) -> dict[str, Any] | None:
    """Return the last probe as the API tells it; None before the first."""
    if health is None or health.probed_at is None:
        return None
    return {
        "ok": bool(health.ok),
        "at": instant_text(health.probed_at),
        "steps": [{"name": name, "milliseconds": milliseconds} for name, milliseconds in health.steps],
        "error_code": health.error_code,
        "error": health.error,
        "fix": health.fix,
    }


def _told(diagnosis: Diagnosis, since: date) -> dict[str, Any]:
    route, health = diagnosis.route, diagnosis.health
    return {
        "route_id": route.pk,
        "resource_kind": route.resource_kind,
        "tenant_id": route.tenant_id,
        "env": route.env,
        "project_id": route.project_id,
        "backend_type": route.backend_type,
        "enabled": route.enabled,
        "revision": route.revision,
        "tier": route.tier,
        "cost_notes": route.cost_notes,
        "health": health.state if health else UNKNOWN,
        "probe": health_summary(health),
        "failures_in_a_row": health.failures if health else 0,
        "next_probe_at": instant_text(health.next_probe_at) if health and health.probed_at else None,
        "last_error": _failure(health),
        "usage": _usage(diagnosis.totals, since),
        "latency_ms": _latency(diagnosis.totals),
        "limits": diagnosis.limits,
        "estimated_cost": _cost(diagnosis.cost),
        "quotas": _quotas(diagnosis.quotas),
    }


def _failure(health: RouteHealth | None) -> dict[str, Any] | None:
    if health is None or health.failed_at is None:
        return None
    return {
        "at": instant_text(health.failed_at),
        "operation": health.failed_operation,
        "error_code": health.failed_code,
        "error": health.failed_error,
    }


def _usage(totals: RouteTotals, since: date) -> dict[str, Any]:
    used = {measure: totals.used.get(measure, 0) for measure in USAGE_MEASURES}
    return {"since": since.isoformat(), "operations": totals.operations, "errors": totals.errors, **used}


def _latency(totals: RouteTotals) -> dict[str, float] | None:
    if totals.p50 is None or totals.p95 is None or totals.p99 is None:
        return None
    return {"p50": totals.p50, "p95": totals.p95, "p99": totals.p99}


def _cost(cost: Estimate) -> dict[str, Any]:
    return {
        "currency": cost.currency,
        "amount": None if cost.amount is None else _decimal(cost.amount),
        "lines": [_line(line) for line in cost.lines],
        "note": cost.reason,
    }


def _quotas(quotas: Quotas | None) -> dict[str, Any] | None:
    if quotas is None:
        return None
    return {"at": instant_text(quotas.at), "items": [asdict(quota) for quota in quotas.quotas]}


def _line(line: Line) -> dict[str, Any]:
    price = line.price
    return {
        "measure": price.measure,
        "count": line.count,
        "per": price.per,
        "price": _decimal(price.price),
        "amount": _decimal(line.amount),
        "terms": price.terms,
        "source": price.source,
        "source_date": price.date,
        "confidence": price.confidence,
    }


def _decimal(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _answering() -> dict[str, Any]:
    return {
        "name": this_process().name,
        "revision": cache.snapshot.revision,
        "revision_since": instant_text(cache.since),
    }


def _process(process: ServerProcess) -> dict[str, Any]:
    return {
        "name": process.name,
        "role": process.role,
        "started_at": instant_text(process.started_at),
        "revision": process.revision,
        "revision_since": instant_text(process.revision_since),
        "seen_at": instant_text(process.seen_at),
    }
