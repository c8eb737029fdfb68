"""Probe now: does the place behind a route work, step by step?"""

from django.http import HttpRequest, HttpResponse

from northstar.errors import NorthstarError
from routing.admin.base import AnyModelAdmin
from routing.admin.route_pages import page, route_or_404
from routing.operations.health import probe_and_record


def probe(admin: AnyModelAdmin, request: HttpRequest, route_id: int) -> HttpResponse:
    """Write, read, list and delete in a scratch place of the route's backend, and show how that went."""
    route = route_or_404(request, route_id, "change_route")
    try:
        report = probe_and_record(route_id)
    except NorthstarError as refusal:
        return page(admin, request, route, "probe", "Probe", refusal=refusal)
    return page(admin, request, route, "probe", "Probe", report=report)
