"""The dashboard's box of budgets near their limit: one query, and no store is asked."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from analytics.budgets.near import near_limits
from analytics.models import BudgetNearLimit
from routing.admin_site import Box, site
from routing.roles import STORED, VIEWER

SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Near:
    """How many budgets are near their limit, and the nearest with what is taken and the address of their page."""

    total: int
    rows: list[tuple[BudgetNearLimit, str, str]]


def figures() -> Near:
    """Read what the last sweeps noted."""
    found = near_limits()
    return Near(len(found), [(row, _taken(row), _address(row)) for row in found[:SHOWN]])


def _taken(row: BudgetNearLimit) -> str:
    amounts = [f"{Decimal(amount):,f}" for amount in (row.taken, row.limit) if amount]
    return " of ".join(amounts)


def _address(row: BudgetNearLimit) -> str:
    place = {"tenant": row.tenant_id, "env": row.env, "project": row.project_id, "user": row.user_id}
    query = {name: value for name, value in place.items() if value} | {"provider": row.provider}
    return f"{reverse('admin:stores_budgets')}?{urlencode(query)}"


site.boxes.append(
    Box(STORED[VIEWER], figures, "admin/analytics/near_tile.html", "admin/analytics/near_box.html"),
)
