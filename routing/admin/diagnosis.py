"""How a route does, for its page: last probe, last failure, use, latency and estimated cost of the last days."""

from datetime import date
from typing import Any, Final

from northstar.errors import NorthstarError
from routing.admin.base import told
from routing.admin.route_list import health_state
from routing.models import Route
from routing.operations.diagnostics import diagnose
from routing.operations.usage import first_day

DAYS: Final = 14


def diagnosis(route: Route) -> dict[str, Any]:
    """Return what the page shows of a route's health and use; where they cannot be told, why."""
    since: date = first_day(DAYS)
    try:
        found = diagnose([route], since)[0]
    except NorthstarError as unusable:  # the price table
        return {"refusal": told(unusable)}
    used = sorted((measure.replace("_", " "), amount) for measure, amount in found.totals.used.items() if amount)
    return {"state": health_state(route), "found": found, "used": used, "since": since, "days": DAYS}
