"""A change that was tried dry and waits for its confirmation: sealed into the page, so that what is confirmed is what was seen.

The seal hides secrets that were typed, and fits one person, one route and a short time.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest

from northstar.errors import Conflict, InvalidConfig
from routing.admin.base import cause_of
from routing.changes import Cause, SwitchTarget, roll_back, switch_backend
from routing.models import Route
from routing.operations.switching import SwitchPlan, plan_rollback, plan_switch
from routing.sealing import seal, unseal

GOOD_FOR: Final = timedelta(minutes=15)
"""A dry run says how things were; after this time it says too little."""
_PLAN: Final = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A switch to `target`, or a rollback to the revision `back_to` with `secrets`, of a route as it was at `seen_revision`."""

    route_id: int
    seen_revision: int
    rationale: str
    override: bool
    target: dict[str, Any] | None = None
    back_to: int = 0
    secrets: dict[str, Any] = field(default_factory=dict)

    def try_dry(self, request: HttpRequest) -> SwitchPlan:
        """Say what would happen."""
        if self.target is None:
            return plan_rollback(self.route_id, self.back_to, self._cause(request), secrets=self.secrets)
        return plan_switch(self.route_id, SwitchTarget(**self.target), self._cause(request))

    def carry_out(self, request: HttpRequest) -> Route:
        """Make the change. Raises as `routing.changes.switch_backend` and `roll_back`."""
        cause, seen = self._cause(request), self.seen_revision
        if self.target is None:
            return roll_back(self.route_id, self.back_to, cause, secrets=self.secrets, expected_revision=seen)
        return switch_backend(self.route_id, SwitchTarget(**self.target), cause, expected_revision=seen)

    def sealed(self, request: HttpRequest) -> str:
        """Return the change as a text for a hidden field, of use to this person alone."""
        whole = {"at": datetime.now(UTC).isoformat(), **asdict(self)}
        return seal({_PLAN: json.dumps(whole)}, _scope(request, self.route_id))

    def _cause(self, request: HttpRequest) -> Cause:
        return cause_of(request, self.rationale, override=self.override)


def opened(request: HttpRequest, route_id: int, text: str) -> Planned:
    """Return the change that was sealed. Raises Conflict when it is too old, another's, or no seal of ours."""
    again = "Nothing was changed. Make the dry run again."
    try:
        whole = json.loads(unseal(text, _scope(request, route_id)).get(_PLAN, "null"))
    except InvalidConfig:
        whole = None
    if whole is None:
        raise Conflict("This dry run cannot be read.", fix=again)
    if datetime.now(UTC) - datetime.fromisoformat(whole.pop("at")) > GOOD_FOR:
        raise Conflict(f"This dry run is older than {GOOD_FOR.seconds // 60} minutes.", fix=again)
    return Planned(**whole)


def _scope(request: HttpRequest, route_id: int) -> bytes:
    return json.dumps(["routing.admin.planned", request.user.pk, route_id]).encode()
