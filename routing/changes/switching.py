"""Switch a route to another backend, or another place on the same one, and say why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from routing import audit
from routing.admission import admit
from routing.audit import Cause
from routing.changes.effects import Effect, check_switch
from routing.changes.routes import RouteUpdate, check_revision, get_route, merged, replace_route
from routing.models import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchTarget:
    """Where a route is to lead. Tier and cost notes stay as they are where they are None."""

    backend_type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    tier: str | None = None
    cost_notes: str | None = None

    def update(self) -> RouteUpdate:
        """Return the switch as a change of the route's fields."""
        return RouteUpdate(
            backend_type=self.backend_type, config=self.config, tier=self.tier, cost_notes=self.cost_notes
        )


def switch_backend(route_id: int, target: SwitchTarget, cause: Cause, *, expected_revision: int | None = None) -> Route:
    """Let a route lead to the target from its next request on; what is stored stays where it is.

    The cause's rationale is required outside of mode lab, also where the target turns out to be the same place: then only
    what else differs is changed. Raises NotFound, VersionConflict, Forbidden (no right to switch), InvalidRequest (no
    rationale), StrategyLocked, and as `routing.admission.admit`.
    """
    with transaction.atomic():
        state = audit.lock()
        stored = get_route(route_id)
        check_revision(stored, expected_revision)
        draft = merged(stored, target.update())
        effect = Effect.of(stored, draft, admit(draft, stored.tenant, stored))
        check_switch(stored, cause)
        return replace_route(state, effect, cause)
