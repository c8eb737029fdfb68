"""What an admitted draft would do to a stored route: nothing, an update, or a switch; and whether a lock has a say in it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from northstar.errors import BackendNotImplemented, FieldError, Forbidden, InvalidRequest
from northstar.modes import LAB
from routing.admission import Admitted, RouteDraft, stored_secrets
from routing.audit import Cause
from routing.configs import parse_config, split_config
from routing.models import Route
from routing.sealing import route_scope, seal
from storage.config import BackendConfig

ROUTE_UPDATED: Final = "ROUTE_UPDATED"
ROUTE_BACKEND_SWITCHED: Final = "ROUTE_BACKEND_SWITCHED"


@dataclass(frozen=True, slots=True)
class Effect:
    """A stored route beside what is asked of it. `old` is its config, None when that is not valid any more."""

    route: Route
    draft: RouteDraft
    admitted: Admitted
    old: BackendConfig | None

    @classmethod
    def of(cls, route: Route, draft: RouteDraft, admitted: Admitted) -> "Effect":
        """Compare the draft with the route."""
        return cls(route, draft, admitted, stored_config(route))

    @property
    def action(self) -> str | None:
        """What the trail will call it; None when nothing changes."""
        if self.switches:
            return ROUTE_BACKEND_SWITCHED
        kept = (self.route.tier, self.route.cost_notes, self.route.enabled)
        asked = (self.draft.tier, self.draft.cost_notes, self.draft.enabled)
        return None if kept == asked and self.admitted.config == self.old else ROUTE_UPDATED

    @property
    def switches(self) -> bool:
        """Whether the data's place changes. Where the stored config is not valid, nobody can say that it does not."""
        if self.old is None or self.admitted.backend_type != self.route.backend_type:
            return True
        return self.admitted.config.location() != self.old.location()

    @property
    def reroutes(self) -> bool:
        """Whether the route begins or ceases to answer requests."""
        return self.draft.enabled != self.route.enabled

    @property
    def may_move(self) -> bool:
        """Whether it could move data, so that a lock forbids it: all but tier, cost notes and new values of its secrets."""
        if self.switches or self.reroutes:
            return True
        return self.old is None or _without_secret_values(self.admitted.config) != _without_secret_values(self.old)

    def apply(self, cause: Cause, now: datetime) -> None:
        """Write it into the route's fields; nothing is saved."""
        if self.switches:
            self.route.previous_backend_type = self.route.backend_type
            self.route.switch_rationale = cause.rationale
            self.route.last_switch_time = now
        self.route.revision += 1
        fill(self.route, self.draft, self.admitted, cause, now)


def fill(route: Route, draft: RouteDraft, admitted: Admitted, cause: Cause, now: datetime) -> None:
    """Write what a draft says into a route's fields; nothing is saved."""
    split = split_config(admitted.config)
    scope = route_scope(route.resource_kind, route.tenant_id, route.env, route.project_id)
    route.backend_type = admitted.backend_type
    route.config = split.public
    route.sealed_secrets = seal(split.secrets, scope)
    route.tier, route.cost_notes, route.enabled = draft.tier, draft.cost_notes, draft.enabled
    route.updated_at, route.updated_by = now, cause.actor


def stored_config(route: Route) -> BackendConfig | None:
    """Return the config as stored, with its secrets, or None when it is not valid any more."""
    try:
        return parse_config(route.resource_kind, route.backend_type, {**route.config, **stored_secrets(route)})
    except (InvalidRequest, BackendNotImplemented):
        return None


def check_switch(route: Route, cause: Cause) -> None:
    """Refuse a switch that nobody may make or that has no reason.

    Raises Forbidden without the right to switch, InvalidRequest without a rationale outside of mode lab.
    """
    check_right(
        cause, f"This would switch resource_kind={route.resource_kind} away from backend_type={route.backend_type}."
    )
    if cause.rationale.strip() or route.tenant.effective_mode == LAB:
        return
    detail = "A switch needs a rationale outside of mode lab."
    raise InvalidRequest(
        f"{detail} (resource_kind={route.resource_kind}, backend_type={route.backend_type})",
        fix="Say in switch_rationale why the data moves.",
        errors=[FieldError("switch_rationale", "required", detail)],
    )


def check_right(cause: Cause, what: str) -> None:
    """Refuse what leads requests elsewhere, or nowhere, to who may only write routes. Raises Forbidden, saying `what`."""
    if not cause.may_switch:
        raise Forbidden(what, fix="Use an API key with the scope routes:switch.")


def _without_secret_values(config: BackendConfig) -> dict[str, Any]:
    secret = config.secret_fields()
    return {
        name: getattr(config, name) is not None if name in secret else getattr(config, name)
        for name in type(config).model_fields
    }
