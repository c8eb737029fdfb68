"""What the pages about one route share: the route or a 404, the right to do it, and the frame around it."""

from typing import Any, cast

from django import forms
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

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
