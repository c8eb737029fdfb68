"""What the control plane tells over REST: kinds and backends, the audit trail, why a route was chosen."""

from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import ApiView, page
from routing.api.access import sees_all, tenant_named, visible
from routing.api.bodies import AuditQuery, ChainOut, ChangePage, ExplanationOut, KindPage, KindQuery
from routing.api.description import parameters_of
from routing.api.paging import binding_of, read_page
from routing.audit import ChainStatus, timestamp, verify_chain
from routing.models import RouteChange
from routing.resolve import Candidate, explain
from storage.registry import BACKENDS, KINDS, Backend, Kind, backends_for, load


class Kinds(ApiView):
    """Resource kinds and the backends that could serve them."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read"}

    @extend_schema(operation_id="routing_kinds", responses=KindPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List kinds and their backends: what is available, allowed in the caller's mode, its config schema and its limits."""
        return page([_kind(name, kind, self.context.mode) for name, kind in KINDS.items()], None)


class Audit(ApiView):
    """The audit trail of the caller's tenant."""

    scopes: ClassVar[dict[str, str]] = {"GET": "audit:read"}

    @extend_schema(operation_id="routing_audit", parameters=parameters_of(AuditQuery), responses=ChangePage)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List changes, the newest first. An operator that names no tenant sees those of all."""
        query = self.query(AuditQuery)
        tenant_named(query.tenant_id, self.credential, self.context)
        named = {"route_id": query.route, "actor": query.actor, "at__gte": query.since, "tenant_id": query.tenant_id}
        filters = {name: value for name, value in named.items() if value is not None}
        rows, cursor = read_page(
            visible(RouteChange.objects.all(), self.credential, self.context).filter(**filters),
            purpose="audit",
            binding=binding_of(self.credential, self.context, filters),
            limit=query.limit,
            cursor=query.cursor,
            newest_first=True,
        )
        return page([change_summary(row) for row in rows], cursor)


class AuditVerification(ApiView):
    """Whether the audit trail was touched."""

    scopes: ClassVar[dict[str, str]] = {"GET": "audit:read"}

    @extend_schema(operation_id="routing_audit_verify", responses=ChainOut)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Verify the whole hash chain. How long it is and where it breaks concerns all tenants, so only operators see that."""
        chain = verify_chain()
        if not sees_all(self.credential, self.context):
            reason = "The chain holds." if chain.ok else "The chain is broken: ask the operator of this deployment."
            return Response({"ok": chain.ok, "reason": reason, "rows": None, "first_broken": None})
        return Response({"ok": chain.ok, "reason": chain.reason, "rows": chain.rows, "first_broken": _change_id(chain)})


class Explain(ApiView):
    """Why a look-up in the caller's context gives what it gives."""

    scopes: ClassVar[dict[str, str]] = {"GET": "routes:read"}

    @extend_schema(operation_id="routing_explain", parameters=parameters_of(KindQuery), responses=ExplanationOut)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Say which route serves the kind, and of every other route of the tenant why it is not that one."""
        told = explain(self.query(KindQuery).resource_kind, self.context)
        allowed = self.credential.key.envs
        return Response(
            {
                "resource_kind": told.resource_kind,
                "tenant_id": self.context.tenant_id,
                "env": self.context.env,
                "project_id": self.context.project_id,
                "mode": self.context.mode,
                "snapshot_revision": told.snapshot_revision,
                "route_id": told.chosen and told.chosen.id,
                "revision": told.chosen and told.chosen.revision,
                "backend_type": told.chosen and told.chosen.backend_type,
                "candidates": [_candidate(item) for item in told.candidates if not allowed or item.env in allowed],
                "error": told.error
                and {"error_code": told.error.code, "detail": told.error.detail, "fix": told.error.fix},
            }
        )


def _change_id(chain: ChainStatus) -> str | None:
    if chain.first_broken is None:
        return None
    return str(RouteChange.objects.get(pk=chain.first_broken).change_id)


def _kind(name: str, kind: Kind, mode: str) -> dict[str, Any]:
    allowed = backends_for(name, mode)
    return {
        "resource_kind": name,
        "title": kind.title,
        "primitive": kind.primitive,
        "needs": kind.needs,
        "backends": [
            _backend(backend_type, backend, kind, backend_type in allowed)
            for backend_type, backend in BACKENDS.items()
            if kind.primitive in backend.serves
        ],
    }


def _backend(backend_type: str, backend: Backend, kind: Kind, allowed: bool) -> dict[str, Any]:
    path = backend.serves[kind.primitive]
    driver = load(path) if path else None
    return {
        "backend_type": backend_type,
        "title": backend.title,
        "backend_class": backend.backend_class,
        "available": driver is not None and backend.installed,
        "allowed": allowed,
        "config_schema": driver and driver.Config.model_json_schema(),
        "limits": driver and asdict(driver.limits),
    }


def change_summary(row: RouteChange) -> dict[str, Any]:
    """Return an audit row as it is answered."""
    return {
        "change_id": str(row.change_id),
        "at": timestamp(row.at),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "route_id": row.route_id,
        "resource_kind": row.resource_kind,
        "tenant_id": row.tenant_id,
        "env": row.env,
        "project_id": row.project_id,
        "before": row.before,
        "after": row.after,
        "rationale": row.rationale,
        "request_id": row.request_id,
        "previous_hash": row.previous_hash,
        "hash": row.hash,
    }


def _candidate(item: Candidate) -> dict[str, Any]:
    return {
        "verdict": item.verdict,
        "reason": item.reason,
        "env": item.env,
        "project_id": item.project_id,
        "route_id": item.route and item.route.id,
        "revision": item.route and item.route.revision,
        "backend_type": item.route and item.route.backend_type,
    }
