"""The keyboard palette's answers: pages and routes that fit what was typed."""

from functools import reduce
from operator import and_
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db.models import Q
from django.urls import reverse

from routing.models import Route

ROUTES_SHOWN: Final = 12
FIELDS: Final = ("tenant__tenant_id", "env", "resource_kind", "project_id", "backend_type")


def destinations(
    typed: str, apps: list[dict[str, Any]], person: AbstractBaseUser | AnonymousUser
) -> list[dict[str, str]]:
    """Return `{label, hint, url}` of the pages and routes that hold every word typed, pages first; without words all pages."""
    words = typed.lower().split()
    found = [page for page in _pages(apps) if all(word in f"{page['label']} {page['hint']}".lower() for word in words)]
    may_see = isinstance(person, PermissionsMixin) and person.has_perm("routing.view_route")
    return [*found, *(_routes(words) if words and may_see else [])]


def _pages(apps: list[dict[str, Any]]) -> list[dict[str, str]]:
    pages = [{"label": "Dashboard", "hint": "page", "url": reverse("admin:index")}]
    for model in (model for app in apps for model in app["models"]):
        if model["admin_url"]:
            pages.append({"label": str(model["name"]), "hint": "page", "url": model["admin_url"]})
        if model["add_url"]:
            named = model["model"]._meta.verbose_name
            pages.append({"label": f"Add {named}", "hint": "action", "url": model["add_url"]})
    return pages


def _routes(words: list[str]) -> list[dict[str, str]]:
    held = [reduce(lambda so_far, name: so_far | Q(**{f"{name}__icontains": word}), FIELDS, Q()) for word in words]
    found = Route.objects.filter(reduce(and_, held))[:ROUTES_SHOWN]
    return [
        {"label": str(route), "hint": "route", "url": reverse("admin:routing_route_change", args=[route.pk])}
        for route in found
    ]
