"""What a switch or a rollback would do: what changes, whether the target answers, what stays behind, what blocks it.

Nothing of the control plane is written here.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from northstar.errors import FieldError, NorthstarError
from routing.admission import admit
from routing.audit import Cause, route_summary
from routing.changes.effects import Effect, check_switch
from routing.changes.locks import Place, check_locks
from routing.changes.rollback import update_to
from routing.changes.routes import RouteUpdate, get_route, merged
from routing.changes.switching import SwitchTarget
from routing.differences import differences
from routing.models import Route
from routing.operations.leftovers import Leftovers, left_behind
from routing.operations.probing import ProbeReport, probe_target
from routing.snapshot import resolved
from storage.registry import driver_class

T = TypeVar("T")

PROBE_FIX: Final = "Correct the target, or prepare its service (`manage.py routes prepare`), and try again."
NOT_TOLD: Final = frozenset({"revision", "updated_at", "updated_by", "last_switch_time", "switch_rationale"})
"""What every change changes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, a capability or a limit that is another one afterwards; in words, secrets as `****`."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why the change should not be made. `enforced`: it would be refused; else it is a warning to heed."""

    error_code: str
    detail: str
    fix: str
    enforced: bool
    errors: tuple[FieldError, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """What would happen. `action` is None when nothing would change; `after` is None when the target is not admitted."""

    route_id: int
    revision: int
    before: dict[str, Any]
    blockers: tuple[Blocker, ...]
    after: dict[str, Any] | None = None
    action: str | None = None
    changes: tuple[Difference, ...] = ()
    capabilities: tuple[Difference, ...] = ()
    probe: ProbeReport | None = None
    left_behind: Leftovers | None = None

    @property
    def allowed(self) -> bool:
        """Whether the change would be accepted."""
        return not any(blocker.enforced for blocker in self.blockers)

    @property
    def ready(self) -> bool:
        """Whether nothing at all speaks against it."""
        return not self.blockers


def plan_switch(route_id: int, target: SwitchTarget, cause: Cause) -> SwitchPlan:
    """Say what `routing.changes.switch_backend` would do. Raises NotFound; what would be refused is told, not raised."""
    return _plan(get_route(route_id), lambda _route: target.update(), cause)


def plan_rollback(
    route_id: int, revision: int, cause: Cause, *, secrets: Mapping[str, Any] | None = None
) -> SwitchPlan:
    """Say what `routing.changes.roll_back` would do, as `plan_switch` does."""
    return _plan(get_route(route_id), lambda route: update_to(route, revision, secrets or {}), cause)


def _plan(route: Route, wanted: Callable[[Route], RouteUpdate], cause: Cause) -> SwitchPlan:
    refusals = _Refusals()
    refusals.ask(lambda: check_switch(route, cause))
    effect = refusals.ask(lambda: _effect(route, wanted(route)))
    if effect is None:
        return SwitchPlan(route.pk, route.revision, before=route_summary(route), blockers=refusals.blockers())
    if effect.may_move:
        refusals.ask(lambda: check_locks(Place.of(route), cause, reroutes=effect.reroutes))
    after = _after(effect, cause)
    report = refusals.ask(lambda: _probed(effect), enforced=False) if effect.switches else None
    return SwitchPlan(
        route.pk,
        route.revision,
        before=route_summary(route),
        after=route_summary(after),
        action=effect.action,
        changes=_told(differences(route_summary(route), route_summary(after))),
        capabilities=_capabilities(route, after),
        probe=report,
        left_behind=_left_behind(route) if effect.switches else None,
        blockers=refusals.blockers(report),
    )


class _Refusals:
    """What speaks against the change, all of it: each question is asked, whatever the others answered."""

    def __init__(self) -> None:
        self._blockers: list[Blocker] = []

    def ask(self, question: Callable[[], T], *, enforced: bool = True) -> T | None:
        try:
            return question()
        except NorthstarError as error:
            self._blockers.append(Blocker(error.code, error.detail, error.fix, enforced, error.errors, error.facts()))
            return None

    def blockers(self, report: ProbeReport | None = None) -> tuple[Blocker, ...]:
        if report is None or report.ok:
            return tuple(self._blockers)
        failed = Blocker(report.error_code, f"The target does not work: {report.error}", report.fix or PROBE_FIX, False)
        return (*self._blockers, failed)


def _effect(route: Route, update: RouteUpdate) -> Effect:
    draft = merged(route, update)
    return Effect.of(route, draft, admit(draft, route.tenant, route))


def _after(effect: Effect, cause: Cause) -> Route:
    """The route as it would be; the stored one is left alone."""
    after = copy(effect.route)
    if effect.action is not None:
        replace(effect, route=after).apply(cause, datetime.now(UTC))
    return after


def _probed(effect: Effect) -> ProbeReport:
    route, target = effect.route, effect.admitted
    return probe_target(route.resource_kind, target.backend_type, target.config, mode=route.tenant.effective_mode)


def _left_behind(route: Route) -> Leftovers:
    mode = route.tenant.effective_mode
    return left_behind(resolved(route, mode), mode)


def _told(found: Iterable[tuple[str, str, str]]) -> tuple[Difference, ...]:
    return tuple(Difference(*one) for one in found if one[0] not in NOT_TOLD)


def _capabilities(before: Route, after: Route) -> tuple[Difference, ...]:
    """What the two drivers declare otherwise; nothing where the old one cannot be asked any more."""
    try:
        old = driver_class(before.resource_kind, before.backend_type).limits
    except NorthstarError:
        return ()
    new = driver_class(after.resource_kind, after.backend_type).limits
    return _told(differences(asdict(old), asdict(new)))
