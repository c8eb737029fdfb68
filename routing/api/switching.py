"""Switch a route, roll it back, read its history; each change can be tried first."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from northstar.api import IF_MATCH, expected_version, page
from northstar.errors import NotFound
from northstar.idempotency import IdempotentPost
from routing.api.access import visible
from routing.api.base import RouteView
from routing.api.bodies import PageQuery
from routing.api.change_bodies import HistoryPage, RollbackIn, RouteOrPlan, SwitchIn
from routing.api.description import parameters_of
from routing.api.paging import binding_of, read_page
from routing.api.probes import probe_summary
from routing.api.reading import change_summary
from routing.api.routes import answer
from routing.changes import SwitchTarget, roll_back, switch_backend
from routing.differences import differences
from routing.models import Route, RouteChange
from routing.operations.switching import Blocker, SwitchPlan, plan_rollback, plan_switch


class Switch(IdempotentPost, RouteView):
    """Lead a route elsewhere."""

    scopes: ClassVar[dict[str, str]] = {"POST": "routes:switch"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"POST": frozenset({IF_MATCH})}

    @extend_schema(operation_id="routes_switch", request=SwitchIn, responses=RouteOrPlan)
    def post(self, request: Request, route_id: int) -> Response:
        """Switch a route to another backend, or another place on it; what is stored stays where it is. With `dry_run` it answers
        what would change, whether the target works, what stays behind and what blocks it, and changes nothing."""
        body = self.body(SwitchIn)
        route = self.find(route_id)
        cause = self.cause(body.switch_rationale, override=body.override_lock)
        target = SwitchTarget(
            backend_type=body.backend_type, config=body.config, tier=body.tier, cost_notes=body.cost_notes
        )
        if body.dry_run:
            return _plan_answer(plan_switch(route.pk, target, cause))
        return answer(switch_backend(route.pk, target, cause, expected_revision=expected_version(request)))


class Rollback(IdempotentPost, RouteView):
    """Return to an earlier revision."""

    scopes: ClassVar[dict[str, str]] = {"POST": "routes:switch"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"POST": frozenset({IF_MATCH})}

    @extend_schema(operation_id="routes_rollback", request=RollbackIn, responses=RouteOrPlan)
    def post(self, request: Request, route_id: int) -> Response:
        """Make a route what it was at an earlier revision, as a new revision, under the rules of any change. With `dry_run` it
        answers as a switch does. A secret that is not stored any more must be given again in `secrets`."""
        body = self.body(RollbackIn)
        route = self.find(route_id)
        cause = self.cause(body.switch_rationale, override=body.override_lock)
        if body.dry_run:
            return _plan_answer(plan_rollback(route.pk, body.revision, cause, secrets=body.secrets))
        expected = expected_version(request)
        return answer(roll_back(route.pk, body.revision, cause, secrets=body.secrets, expected_revision=expected))


class History(RouteView):
    """What became of a route."""

    scopes: ClassVar[dict[str, str]] = {"GET": "audit:read"}

    @extend_schema(operation_id="routes_history", parameters=parameters_of(PageQuery), responses=HistoryPage)
    def get(self, request: Request, route_id: int) -> Response:  # noqa: ARG002
        """List the changes of a route, the newest first, each with its differences; a deleted route keeps its history."""
        query = self.query(PageQuery)
        changes = visible(RouteChange.objects.filter(route_id=route_id), self.credential, self.context)
        rows, cursor = read_page(
            changes,
            purpose="history",
            binding=binding_of(self.credential, self.context, {"route": route_id}),
            limit=query.limit,
            cursor=query.cursor,
            newest_first=True,
        )
        if not rows and query.cursor is None:
            raise NotFound(f"There is no route {route_id}.")
        now = Route.objects.filter(pk=route_id).values_list("revision", flat=True).first()
        return page([_entry(row, now) for row in rows], cursor)


def _entry(row: RouteChange, now: int | None) -> dict[str, Any]:
    after = row.after or {}
    revision = after.get("revision")
    return {
        **change_summary(row),
        "revision": revision,
        "can_roll_back": now is not None and revision is not None and revision < now,
        "differences": _differences(row),
    }


def _differences(row: RouteChange) -> list[dict[str, str]]:
    told = differences(row.before, row.after)
    return [{"name": name, "before": before, "after": after} for name, before, after in told]


def _plan_answer(plan: SwitchPlan) -> Response:
    told = {
        "dry_run": True,
        "route_id": plan.route_id,
        "revision": plan.revision,
        "action": plan.action,
        "allowed": plan.allowed,
        "ready": plan.ready,
        "changes": [asdict(one) for one in plan.changes],
        "capabilities": [asdict(one) for one in plan.capabilities],
        "probe": plan.probe and probe_summary(plan.probe),
        "left_behind": plan.left_behind and asdict(plan.left_behind),
        "blockers": [_blocker(one) for one in plan.blockers],
        "before": plan.before,
        "after": plan.after,
    }
    return Response(told, headers={"ETag": f'"{plan.revision}"'})


def _blocker(blocker: Blocker) -> dict[str, Any]:
    return {
        "error_code": blocker.error_code,
        "detail": blocker.detail,
        "fix": blocker.fix,
        "enforced": blocker.enforced,
        "errors": [asdict(error) for error in blocker.errors],
        "locks": blocker.facts.get("locks", ()),
    }
