"""Rows come back from the routing registry as they were, under the rules of any change: policy, locks, audit and events hold."""

from django.db import transaction

from northstar.errors import InvalidRequest
from routing import audit
from routing.admission import RouteDraft, admit
from routing.audit import Cause, route_subject, route_summary
from routing.changes.locks import ROUTE_LOCKED, Place, lock_subject, lock_summary, pass_locks
from routing.changes.outbox import announce
from routing.changes.routes import ROUTE_CREATED, get_tenant
from routing.entries import LockData, RouteData
from routing.models import Route, StrategyLock
from routing.sealing import route_scope, unseal


def draft_of(data: RouteData) -> RouteDraft:
    """Return a mirrored route as a draft, its secrets in clear. Raises InvalidConfig when this key ring cannot open them."""
    secrets = unseal(data.sealed_secrets, route_scope(*data.key))
    return RouteDraft(
        resource_kind=data.resource_kind,
        tenant_id=data.tenant_id,
        env=data.env,
        project_id=data.project_id,
        backend_type=data.backend_type,
        config={**data.config, **secrets},
        tier=data.tier,
        cost_notes=data.cost_notes,
        enabled=data.enabled,
    )


def restore_route(data: RouteData, cause: Cause) -> Route:
    """Create a route exactly as it was: revision, times, actors and sealed secrets too. Its four-part key must be free.

    Raises InvalidConfig when this key ring cannot open its secrets, and as `create_route`.
    """
    with transaction.atomic():
        state = audit.lock()
        tenant = get_tenant(data.tenant_id)
        admitted = admit(draft_of(data), tenant, None)
        if admitted.backend_type != data.backend_type:
            raise InvalidRequest(f"backend_type={data.backend_type!a} is not written in its canonical form.")
        pass_locks(state, Place(tenant.pk, data.env, data.resource_kind, data.project_id), cause, reroutes=True)
        route = Route(**data.model_dump())
        route.save(force_insert=True)
        announce(audit.record(state, ROUTE_CREATED, route_subject(route), cause, after=route_summary(route)))
    return route


def restore_lock(data: LockData, cause: Cause) -> StrategyLock:
    """Lock a place again, with the owner, reason, begin and end that the lock had. The same again changes nothing.

    Raises InvalidRequest for an unknown tenant.
    """
    with transaction.atomic():
        state = audit.lock()
        tenant = get_tenant(data.tenant_id)
        fields = data.model_dump(exclude={"tenant_id"})
        known = {name: fields[name] for name in ("env", "resource_kind", "project_id", "created_at")}
        row = StrategyLock.objects.filter(tenant=tenant, **known).first()
        if row is None:
            row = StrategyLock.objects.create(tenant=tenant, **fields)
            announce(audit.record(state, ROUTE_LOCKED, lock_subject(row), cause, after=lock_summary(row)))
    return row
