"""The back office's own admin site: Django's, under Northstar's name and theme, with a dashboard first and a keyboard palette."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import slugify
from django.views.decorators.cache import never_cache

from northstar.errors import Forbidden
from routing import dashboard
from routing.denials import Attempt, record_denial
from routing.jumping import destinations

View = TypeVar("View", bound=Callable[..., Any])

MODELS_IN_ORDER: Final = (
    "Route",
    "StrategyLock",
    "Tenant",
    "ApiKey",
    "SurfaceAlias",
    "RouteChange",
    "OutboxEntry",
)
"""What an operator opens most comes first; what is not named here follows by name."""


APP_NAMES: Final = {"auth": "People"}
STORES: Final = "Stores"
"""The section of the stores that belong to no app; it comes after routing."""


class Page(Protocol):
    """A page over a store: see `routing.admin.stores`."""

    slug: ClassVar[str]
    title: ClassVar[str]
    section: ClassVar[str]
    lead: ClassVar[str]
    seen_by: ClassVar[str]

    def allows(self, person: Any, group: str) -> bool: ...

    def address(self) -> str: ...

    def get_urls(self) -> list[URLPattern]: ...


@dataclass(frozen=True, slots=True)
class Box:
    """What an app adds to the dashboard for those who hold a permission: figures, drawn by two templates as `box`."""

    permission: str
    figures: Callable[[], Any]
    tile: str
    template: str


class NorthstarAdminSite(AdminSite):
    """Registers nothing by itself: the apps' `admin` packages register with `site`."""

    site_header = "Northstar"
    site_title = "Northstar"
    index_title = "Who stores what where"
    site_url = None
    enable_nav_sidebar = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.pages: list[Page] = []
        self.boxes: list[Box] = []

    def register_page(self, page: Page) -> None:
        """Add a page over a store. Raises ValueError for a slug that another page has."""
        if page.slug in {other.slug for other in self.pages}:
            raise ValueError(f"Two pages have the slug {page.slug}.")
        self.pages.append(page)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return Django's pages, the palette's answers and the pages over stores."""
        own: list[URLPattern | URLResolver] = [
            path("jump/", self.admin_view(self.jump), name="jump"),
            path("stores/", self.admin_view(self.stores), name="stores"),
            *(url for page in self.pages for url in page.get_urls()),
        ]
        return [*own, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Say on every page which deployment this is."""
        return {**super().each_context(request), "deployment": settings.NORTHSTAR_DEPLOYMENT}

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Wrap a page: whoever is turned away is named in the trail."""

        @wraps(view)
        def recorded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                return view(request, *args, **kwargs)
            except PermissionDenied:
                record_denial(attempt_of(request), Forbidden("This person's groups do not allow it."))
                raise

        return super().admin_view(cast("View", recorded), cacheable)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard."""
        boxes = [(box, box.figures()) for box in self.boxes if request.user.has_perm(box.permission)]
        return super().index(request, {**dashboard.figures(request.user), "boxes": boxes, **(extra_context or {})})

    def jump(self, request: HttpRequest) -> JsonResponse:
        """Answer the palette: where could `q` lead?"""
        found = destinations(request.GET.get("q", "")[:100], self.get_app_list(request), request.user)
        return JsonResponse({"items": found})

    def stores(self, request: HttpRequest) -> TemplateResponse:
        """Show which pages over stores there are, by section."""
        seen = [page for page in self.pages if page.allows(request.user, page.seen_by)]
        if not seen:
            raise PermissionDenied
        sections: dict[str, list[Page]] = {}
        for page in sorted(seen, key=_page_place):
            sections.setdefault(page.section, []).append(page)
        context = {**self.each_context(request), "title": "What routes keep", "sections": sections}
        return TemplateResponse(request, "admin/stores/overview.html", context)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may see any page: active staff who have proven a second factor, where one is required."""
        from northstar.second_factor.rule import is_satisfied  # noqa: PLC0415 - its models load after this module

        return super().has_permission(request) and is_satisfied(request)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the login page, or send those who have a step left to it."""
        from northstar.second_factor.rule import next_step  # noqa: PLC0415
        from northstar.second_factor.signing_in import StaffForm, StaffLogin  # noqa: PLC0415

        home = reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(home)
        if request.method == "GET" and super().has_permission(request):
            return HttpResponseRedirect(next_step(request))
        chosen = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME)
        context = {
            **self.each_context(request),
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            REDIRECT_FIELD_NAME: chosen or home,
            **(extra_context or {}),
        }
        page = StaffLogin.as_view(
            extra_context=context, authentication_form=StaffForm, template_name="admin/login.html", next_page=home
        )
        answer = page(request)
        assert isinstance(answer, HttpResponse)
        return answer

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the apps with routing first, its pages in the order of their use."""
        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            app["name"] = APP_NAMES.get(app["app_label"], app["name"])
            app["models"].sort(key=_place)
        if app_label is None:
            self._add_pages(request, apps)
        return sorted(apps, key=lambda app: (app["app_label"] != "routing", app["app_label"] == "auth"))

    def _add_pages(self, request: HttpRequest, apps: list[Any]) -> None:
        """Add the pages that this person may see: to the app that their section is named for, else under a heading."""
        by_name = {app["name"]: app for app in apps}
        for page in sorted(self.pages, key=_page_place):
            if not page.allows(request.user, page.seen_by):
                continue
            if page.section not in by_name:
                by_name[page.section] = _heading(page.section)
                apps.append(by_name[page.section])
            by_name[page.section]["models"].append(_entry(page))


def attempt_of(request: HttpRequest) -> Attempt:
    """Return what somebody tried in the back office."""
    return Attempt(
        actor=f"user:{request.user.get_username()}",
        what=f"{request.method} {request.path}",
        subject="admin",
        request_id=request.headers.get("X-Request-Id", ""),
    )


def _page_place(page: Page) -> tuple[bool, str, str]:
    """Sections by name, the common one first, and their pages by title."""
    return (page.section != STORES, page.section, page.title)


def _heading(section: str) -> dict[str, Any]:
    address = f"{reverse('admin:stores')}#{slugify(section)}"
    return {"name": section, "app_label": slugify(section), "app_url": address, "has_module_perms": True, "models": []}


def _entry(page: Page) -> dict[str, Any]:
    """A page as Django's own templates list a model."""
    return {
        "model": None,
        "name": page.title,
        "object_name": page.slug,
        "perms": {"view": True},
        "admin_url": page.address(),
        "add_url": None,
        "view_only": True,
    }


def _place(model: dict[str, Any]) -> tuple[int, str]:
    name = model["object_name"]
    known = name in MODELS_IN_ORDER
    return (MODELS_IN_ORDER.index(name) if known else len(MODELS_IN_ORDER), name)


site = NorthstarAdminSite(name="admin")
