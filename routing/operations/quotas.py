"""How far the budgets that count over a route are used, as the last sweep of budgets has left word. Budgets lie above routing.

It is kept in the shared cache: looking at routes asks no store, and what nobody has swept lately is unknown, not empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.core.cache import cache

from routing.models import Route

COUNTING_KIND: Final = "tabular_store"
"""The kind whose routes budgets are counted over."""
REMEMBERED_SECONDS: Final = 900
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """One budget in the window that is on; amounts are decimal texts, None where there is no limit."""

    provider: str
    metric: str
    level: str
    window: str
    used: str
    reserved: str
    limit: str | None


@dataclass(frozen=True, slots=True)
class Quotas:
    """The budgets of a place, and when that was."""

    at: datetime
    quotas: tuple[Quota, ...]


def keep_quotas(tenant_id: str, env: str, project_id: str | None, quotas: Sequence[Quota]) -> None:
    """Leave word of a place's budgets."""
    found = Quotas(datetime.now(UTC), tuple(quotas[:MOST]))
    cache.set(_key(tenant_id, env, project_id), found, timeout=REMEMBERED_SECONDS)


def quotas_of(route: Route) -> Quotas | None:
    """Return what was last heard of the budgets that count over a route; None where nothing was, or where none can."""
    if route.resource_kind != COUNTING_KIND:
        return None
    found: Quotas | None = cache.get(_key(route.tenant_id, route.env, route.project_id))
    return found


def _key(tenant_id: str, env: str, project_id: str | None) -> str:
    return f"northstar.quotas/{tenant_id}/{env}/{project_id or ''}"
