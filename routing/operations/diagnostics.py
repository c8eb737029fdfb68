"""How routes do: the last probe, the last failure, what their requests used, and what that costs by estimate."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from northstar.errors import BackendNotImplemented, UnsupportedBackend
from routing.costs import Estimate, estimate
from routing.health_models import RouteHealth
from routing.models import Route
from routing.operations.quotas import Quotas, quotas_of
from routing.operations.usage import RouteTotals, usage_since
from storage.registry import driver_class

_UNUSED = RouteTotals(0, 0, {}, None, None, None)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One route. `health` is None before its first probe and failure; `limits` are those that its driver declares.

    `quotas` is what was last heard of the budgets that count over it.
    """

    route: Route
    health: RouteHealth | None
    totals: RouteTotals
    limits: dict[str, Any]
    cost: Estimate
    quotas: Quotas | None = None


def diagnose(routes: Iterable[Route], since: date) -> list[Diagnosis]:
    """Return a diagnosis per route, in their order, with the usage from a day (UTC) on.

    What other processes count reaches it at their next report. Raises InvalidConfig for an unusable price table.
    """
    wanted = list(routes)
    totals = usage_since(since, [route.pk for route in wanted])
    health = RouteHealth.objects.in_bulk([route.pk for route in wanted])
    return [_diagnosis(route, health.get(route.pk), totals.get(route.pk, _UNUSED)) for route in wanted]


def _diagnosis(route: Route, health: RouteHealth | None, totals: RouteTotals) -> Diagnosis:
    cost = estimate(route.backend_type, totals.used)
    return Diagnosis(route, health, totals, _limits(route), cost, quotas_of(route))


def _limits(route: Route) -> dict[str, Any]:
    try:
        return asdict(driver_class(route.resource_kind, route.backend_type).limits)
    except (UnsupportedBackend, BackendNotImplemented):
        return {}
