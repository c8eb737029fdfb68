"""Tenants: who there is, and in which mode."""

import re
from typing import Any

from django.conf import settings
from django.db import transaction

from northstar.errors import AlreadyExists, FieldError, Forbidden, InvalidRequest, NotFound
from northstar.modes import MODES, SELLABLE_MODES, SYSTEM_TENANT, T_SYSTEM
from routing import audit
from routing.audit import Cause, Subject
from routing.models import LAB_DEPLOYMENT, Route, Tenant
from routing.patterns import TENANT_PATTERN
from routing.policy import refuse_embedded
from storage.registry import BACKENDS, EMBEDDED, backends_for

TENANT_CREATED = "TENANT_CREATED"
TENANT_UPDATED = "TENANT_UPDATED"


def create_tenant(tenant_id: str, name: str, mode: str, cause: Cause) -> Tenant:
    """Create a tenant. Raises InvalidRequest (id or mode) or AlreadyExists."""
    with transaction.atomic():
        state = audit.lock()
        _check(tenant_id, mode)
        if Tenant.objects.filter(pk=tenant_id).exists():
            raise AlreadyExists(f"The tenant {tenant_id} exists already.")
        tenant = Tenant(tenant_id=tenant_id, name=name, mode=mode)
        tenant.save(force_insert=True)
        audit.record(state, TENANT_CREATED, _subject(tenant), cause, after=_summary(tenant))
    return tenant


def update_tenant(tenant_id: str, cause: Cause, *, name: str | None = None, mode: str | None = None) -> Tenant:
    """Rename a tenant or, in a lab deployment, change its mode; the same again changes nothing.

    Raises NotFound, Forbidden (mode outside a lab deployment), InvalidRequest, or ForbiddenBackendClass when a route of the
    tenant would not be allowed in the new mode.
    """
    with transaction.atomic():
        state = audit.lock()
        tenant = Tenant.objects.filter(pk=tenant_id).first()
        if tenant is None:
            raise NotFound(f"There is no tenant {tenant_id!a}.")
        before = _summary(tenant)
        tenant.name = tenant.name if name is None else name
        if mode is not None and mode != tenant.mode:
            _check_mode_change(tenant, mode)
            tenant.mode = mode
        after = _summary(tenant)
        if after != before:
            tenant.save()
            audit.record(state, TENANT_UPDATED, _subject(tenant), cause, before=before, after=after)
    return tenant


def _check(tenant_id: str, mode: str) -> None:
    errors = []
    if not re.fullmatch(TENANT_PATTERN, tenant_id):
        errors.append(FieldError("tenant_id", "pattern", "Use 1 to 64 letters, digits, dots, dashes or underscores."))
    if mode not in MODES:
        errors.append(FieldError("mode", "choice", f"Use one of: {', '.join(MODES)}."))
    elif (mode == T_SYSTEM) != (tenant_id == SYSTEM_TENANT):
        errors.append(
            FieldError("mode", "choice", f"The mode {T_SYSTEM} is that of tenant {SYSTEM_TENANT}, and only of it.")
        )
    if errors:
        raise InvalidRequest("The tenant is not valid.", fix="Correct the fields in `errors`.", errors=errors)


def _check_mode_change(tenant: Tenant, mode: str) -> None:
    if settings.NORTHSTAR_DEPLOYMENT != LAB_DEPLOYMENT:
        raise Forbidden(
            f"The mode of tenant {tenant.tenant_id} cannot be changed in this deployment.",
            fix="Create a tenant of the other mode and move the data to it.",
        )
    _check(tenant.tenant_id, mode)
    if mode not in SELLABLE_MODES:
        return
    embedded = [name for name, backend in BACKENDS.items() if backend.backend_class == EMBEDDED]
    route = Route.objects.filter(tenant=tenant, backend_type__in=embedded).first()
    if route is not None:
        allowed = backends_for(route.resource_kind, mode)
        refuse_embedded(route.backend_type, mode, allowed, resource_kind=route.resource_kind)


def _subject(tenant: Tenant) -> Subject:
    return Subject(f"tenant:{tenant.tenant_id}", tenant_id=tenant.tenant_id)


def _summary(tenant: Tenant) -> dict[str, Any]:
    return {"tenant_id": tenant.tenant_id, "name": tenant.name, "mode": tenant.mode}
