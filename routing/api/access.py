"""Whose routes a caller may see: its own tenant's, in its key's environments; an operator's, everybody's."""

from typing import Any, TypeVar

from django.db.models import QuerySet

from northstar.authentication import Credential
from northstar.context import RequestContext
from northstar.errors import TenantMismatch
from northstar.modes import SYSTEM_TENANT

Rows = TypeVar("Rows", bound=QuerySet[Any])


def sees_all(credential: Credential, context: RequestContext) -> bool:
    """Whether the caller sees every tenant: an operator that names none."""
    return credential.is_operator and context.tenant_id == SYSTEM_TENANT


def tenant_named(name: str | None, credential: Credential, context: RequestContext) -> str:
    """Return the tenant that a body or query means: the context's unless an operator names another. Raises TenantMismatch."""
    if name is None or name == context.tenant_id:
        return context.tenant_id
    if sees_all(credential, context):
        return name
    raise TenantMismatch(
        f"The request names tenant {name[:64]!a}, but it acts for {context.tenant_id}.",
        fix="Leave tenant_id out, or use a key of that tenant.",
    )


def visible(rows: Rows, credential: Credential, context: RequestContext) -> Rows:
    """Narrow rows with `tenant_id` and `env` down to those that the caller may know of."""
    if not sees_all(credential, context):
        rows = rows.filter(tenant_id=context.tenant_id)
    allowed = credential.key.envs
    return rows.filter(env__in=["", *allowed]) if allowed else rows
