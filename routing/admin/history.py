"""A route's history: each change with its reason and its difference, and the way back."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from routing.admin.base import AnyModelAdmin
from routing.admin.route_pages import page, require, route_or_404
from routing.differences import differences
from routing.models import RouteChange
from routing.operations.switching import NOT_TOLD

CHANGES_ON_A_PAGE = 25


def history(admin: AnyModelAdmin, request: HttpRequest, route_id: int) -> HttpResponse:
    """Show the route's part of the audit trail, the newest change first."""
    route = route_or_404(request, route_id, "view_route")
    require(request, "view_routechange")
    rows = RouteChange.objects.filter(route_id=route_id)
    pages = Paginator(rows, CHANGES_ON_A_PAGE).get_page(request.GET.get("p"))
    may_roll_back = admin.has_change_permission(request, route)
    changes = [_told(change, route.revision if may_roll_back else 0) for change in pages]
    return page(admin, request, route, "history", "History", changes=changes, pages=pages)


def _told(change: RouteChange, now: int) -> dict[str, Any]:
    """A change as the page shows it; `back_to` is its revision where one may go back to it, else None."""
    revision = (change.after or {}).get("revision")
    return {
        "change": change,
        "difference": _difference(change),
        "revision": revision,
        "back_to": revision if revision is not None and revision < now else None,
    }


def _difference(change: RouteChange) -> list[tuple[str, str, str]] | None:
    """What the page shows of a change; nothing of a first state, nor of what its heading says already."""
    if change.before is None:
        return None
    return [row for row in differences(change.before, change.after) if row[0] not in NOT_TOLD]
