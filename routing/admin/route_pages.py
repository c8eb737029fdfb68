"""What the pages about one route share: the route or a 404, the right to do it, and the frame around it."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from northstar.second_factor.rule import fresh_proof_required
from routing.admin.base import AnyModelAdmin, AnyModelForm
from routing.admin.switch_form import Fieldset
from routing.changes.lock_reach import Place, active_locks
from routing.models import Route


def route_or_404(request: HttpRequest, route_id: int, permission: str) -> Route:
    """Return the route with its tenant. Raises PermissionDenied without the right, whether there is a route or not."""
    require(request, permission)
    route = Route.objects.select_related("tenant").filter(pk=route_id).first()
    if route is None:
        raise Http404
    return route


def require(request: HttpRequest, *permissions: str) -> None:
    """Raise PermissionDenied unless whoever asks may do all of this."""
    if not request.user.has_perms([f"routing.{name}" for name in permissions]):
        raise PermissionDenied


def confirmed(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a page be opened only by somebody who has just confirmed the second factor.

    A form that is sent is let through: held back until the confirmation, its secrets would lie in the session meanwhile.
    What it asks for needs a fresh proof as well (`cause_of`).
    """
    asked_first = fresh_proof_required(view)

    def by_method(request: HttpRequest, **options: Any) -> HttpResponse:
        return (asked_first if request.method == "GET" else view)(request, **options)

    return by_method


def page(
    admin: AnyModelAdmin, request: HttpRequest, route: Route, name: str, title: str, **context: Any
) -> TemplateResponse:
    """Return a page about a route from its template, with the locks that hold it now."""
    frame = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": title,
        "subtitle": str(route),
        "route": route,
        "locks": active_locks(Place.of(route)),
        **context,
    }
    return TemplateResponse(request, f"admin/routing/route/{name}.html", frame)


def shown(form: forms.BaseForm, fieldsets: list[Fieldset], admin: AnyModelAdmin) -> AdminForm:
    """Return the form as the admin's own templates show one."""
    return AdminForm(cast("AnyModelForm", form), fieldsets, {}, (), model_admin=admin)


def address(name: str, *parts: object) -> str:
    """Return the address of a page about a route."""
    return reverse(f"admin:routing_route_{name}", args=parts)
