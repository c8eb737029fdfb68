"""Switch and rollback: say where to and why, see the dry run, confirm exactly that."""

from dataclasses import astuple
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from northstar.errors import NorthstarError, NotFound
from routing.admin.base import AnyModelAdmin, Refusable, denied, next_step, told
from routing.admin.planned import Planned, opened
from routing.admin.route_form import SEEN_REVISION
from routing.admin.route_pages import address, page, route_or_404, shown
from routing.admin.switch_form import RollbackForm, SwitchForm, rollback_form, switch_form
from routing.audit import route_summary
from routing.changes.rollback import state_at
from routing.differences import differences
from routing.models import Route
from routing.operations.switching import Blocker, SwitchPlan

SEALED = "sealed"


def switch(admin: AnyModelAdmin, request: HttpRequest, route_id: int) -> HttpResponse:
    """Ask where the route shall lead; a good answer is tried dry."""
    route = route_or_404(request, route_id, "change_route")
    form = switch_form(route, request)(request.POST or None, instance=_copy(route), initial=_now(route))
    if request.method == "POST" and form.is_valid():
        return _tried(admin, request, route, form, form.planned())
    return _asked(admin, request, route, form)


def roll_back(admin: AnyModelAdmin, request: HttpRequest, route_id: int, revision: int) -> HttpResponse:
    """Show what the route said at a revision beside what it says now, and ask why it shall go back."""
    route = route_or_404(request, route_id, "change_route")
    try:
        then = state_at(route, revision)
    except NotFound:
        raise Http404 from None
    form = rollback_form(route, then, request)(request.POST or None, initial=_now(route))
    if request.method == "POST" and form.is_valid():
        return _tried(admin, request, route, form, form.planned(route, revision))
    return _asked(admin, request, route, form, then=then)


def confirm(admin: AnyModelAdmin, request: HttpRequest, route_id: int) -> HttpResponse:
    """Carry out the change that was tried dry."""
    route = route_or_404(request, route_id, "change_route")
    try:
        done = opened(request, route_id, request.POST.get(SEALED, "")).carry_out(request)
    except NorthstarError as refusal:
        denied(request, refusal)
        admin.message_user(request, told(refusal), messages.ERROR)
        return HttpResponseRedirect(address("switch", route_id))
    if done.revision == route.revision:
        admin.message_user(request, "Nothing had to change.", messages.INFO)
    else:
        stays = "What was stored so far stays where it was." if done.last_switch_time != route.last_switch_time else ""
        said = f"Revision {done.revision} is in force: {done}. {stays}"
        admin.message_user(request, said.strip(), messages.SUCCESS)
    return HttpResponseRedirect(address("history", route_id))


def _tried(
    admin: AnyModelAdmin, request: HttpRequest, route: Route, form: SwitchForm | RollbackForm, planned: Planned
) -> HttpResponse:
    """Make the dry run; show it with the button that does it, or with the form where something stands in the way."""
    plan = planned.try_dry(request)
    if plan.allowed and plan.action is not None:
        title = f"Roll back to revision {planned.back_to}?" if planned.target is None else "Switch this route?"
        sealed = planned.sealed(request)
        return page(admin, request, route, "confirm", title, planned=planned, sealed=sealed, **_told(plan))
    for blocker in plan.blockers:
        _explain(form, blocker)
    return _asked(admin, request, route, form, plan=plan)


def _explain(form: Refusable, blocker: Blocker) -> None:
    """Put what a blocker says of fields on these fields; the plan above the form tells the rest."""
    for error in blocker.errors:
        name = form.field_for(error.field)
        if name in form.fields and name not in form.errors:
            form.tell(name, error.detail)


def _asked(
    admin: AnyModelAdmin,
    request: HttpRequest,
    route: Route,
    form: SwitchForm | RollbackForm,
    *,
    plan: SwitchPlan | None = None,
    then: dict[str, Any] | None = None,
) -> HttpResponse:
    title = "Roll back" if isinstance(form, RollbackForm) else "Switch"
    told = {} if plan is None else _told(plan)
    compared = None if then is None else differences(_restorable(route_summary(route)), _restorable(then))
    adminform = shown(form, form.fieldsets(), admin)
    return page(admin, request, route, "switch", title, adminform=adminform, then=then, compared=compared, **told)


def _told(plan: SwitchPlan) -> dict[str, Any]:
    """What the pages say of a plan."""
    blockers = [(blocker, next_step(blocker.error_code, blocker.fix)) for blocker in plan.blockers]
    return {
        "plan": plan,
        "blockers": blockers,
        "changes": [astuple(change) for change in plan.changes],
        "capabilities": [astuple(change) for change in plan.capabilities],
    }


def _restorable(state: dict[str, Any]) -> dict[str, Any]:
    return {name: state[name] for name in ("backend_type", "config", "tier", "cost_notes", "enabled")}


def _now(route: Route) -> dict[str, Any]:
    return {SEEN_REVISION: route.revision, "backend_type": route.backend_type}


def _copy(route: Route) -> Route:
    """Return the route for a form, which writes into what it is given."""
    return Route.objects.get(pk=route.pk)
