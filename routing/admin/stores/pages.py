"""Pages over a store: what a tenant's route keeps, as an app declares it once and the back office lists it everywhere.

A page is a class, registered with `@store_page`. Its views get a `Visit`: the place is chosen, the right is checked, and
whatever a store refuses is shown with its next step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from northstar.errors import ForbiddenBackendClass, NoRouteConfigured, NorthstarError, NotFound
from routing.admin.base import denied, next_step
from routing.admin.stores.actions import StoreAction, perform
from routing.admin.stores.places import Place, PlaceForm, keep, kept_place, offered
from routing.admin.stores.visits import Visit
from routing.admin_site import site
from routing.models import Route
from routing.roles import OPERATOR, STORED, VIEWER
from storage.errors import BackendUnavailable
from storage.registry import KINDS, SURFACE

View = Callable[[Visit], HttpResponse]


class StorePage:
    """A page over a store.

    `slug` is its part of the address, `section` the heading in the navigation, `lead` one sentence on what it shows. `seen_by`
    and `acted_by` name the first group that may: those after it may too. `by_user`: what is kept is each user's own, so the
    place may name one; `by_surface`: each surface's own, where the kind parts by it. `views` names methods by the rest of
    their address; each takes a Visit and returns what `visit.answer` made.
    """

    slug: ClassVar[str]
    title: ClassVar[str]
    section: ClassVar[str]
    lead: ClassVar[str]
    kind: ClassVar[str]
    seen_by: ClassVar[str] = VIEWER
    acted_by: ClassVar[str] = OPERATOR
    by_user: ClassVar[bool] = False
    by_surface: ClassVar[bool] = True
    views: ClassVar[dict[str, str]] = {}
    actions: ClassVar[tuple[type[StoreAction], ...]] = ()

    def show(self, visit: Visit) -> HttpResponse:
        """Answer with the page itself."""
        raise NotImplementedError

    @property
    def without(self) -> tuple[str, ...]:
        """The parts of a place that this page does not ask for."""
        asked = {"surface": self.by_surface and SURFACE in KINDS[self.kind].parted_by, "user": self.by_user}
        return tuple(name for name, wanted in asked.items() if not wanted)

    def allows(self, person: Any, group: str) -> bool:
        """Whether a person has the right that `group`, and all groups after it, hold on what routes keep."""
        return isinstance(person, PermissionsMixin | AnonymousUser) and person.has_perm(STORED[group])

    def address(self, view: str = "") -> str:
        """Return the address of a view, without a place."""
        return reverse(f"admin:stores_{self.slug}" + (f"_{view}" if view else ""))

    def get_urls(self) -> list[URLPattern]:
        """Return the page's addresses, below `stores/<slug>/`."""
        urls = [self._path("", self.show)]
        urls += [self._path(name, getattr(self, method)) for name, method in self.views.items()]
        return urls + [self._path(action.slug, partial(perform, action()), action) for action in self.actions]

    def _path(self, name: str, view: View, action: type[StoreAction] | None = None) -> URLPattern:
        group = (action.acted_by or self.acted_by) if action else self.seen_by
        route = f"stores/{self.slug}/{name}/" if name else f"stores/{self.slug}/"
        wrapped = site.admin_view(partial(self._answer, view, group))
        return path(route, wrapped, name=f"stores_{self.slug}" + (f"_{name}" if name else ""))

    def _answer(self, view: View, group: str, request: HttpRequest) -> HttpResponse:
        if not (self.allows(request.user, self.seen_by) and self.allows(request.user, group)):
            raise PermissionDenied
        if "tenant" not in request.GET:
            query = self._usual_place(request)
            return (
                self._redirected(request, query)
                if query
                else self._choice(request, PlaceForm(None, without=self.without))
            )
        form = PlaceForm(request.GET, without=self.without)
        if not form.is_valid():
            return self._choice(request, form)
        return self._at(form.place, view, request)

    def _at(self, place: Place, view: View, request: HttpRequest) -> HttpResponse:
        try:
            visit = Visit(request, self, place, place.context(request))
        except NotFound as refusal:
            return self._choice(request, PlaceForm(request.GET, without=self.without), refusal=refusal, status=404)
        keep(request, place, without=self.without)
        try:
            return view(visit)
        except NorthstarError as refusal:
            if request.method == "POST":
                denied(request, refusal)
            return self._refused(visit, refusal)

    def _usual_place(self, request: HttpRequest) -> dict[str, str]:
        """Return the place where this person looked last, else the only one there is, else nothing."""
        kept = kept_place(request)
        if kept:
            return kept
        offer = offered(self.kind)
        return (
            Place(offer.routes[0].tenant_id, offer.routes[0].env, offer.routes[0].project_id).query
            if offer.total == 1
            else {}
        )

    def _redirected(self, request: HttpRequest, query: dict[str, str]) -> HttpResponse:
        rest = {name: str(value) for name, value in request.GET.items() if name not in query}
        return HttpResponseRedirect(f"{request.path}?{urlencode(query | rest)}")

    def _choice(self, request: HttpRequest, form: PlaceForm, **context: Any) -> TemplateResponse:
        return self.answer(request, "stores/choose", form=form, **context)

    def _refused(self, visit: Visit, refusal: NorthstarError) -> TemplateResponse:
        """Show an error with its next step, and the page that leads there."""
        missing = isinstance(refusal, NoRouteConfigured)
        status = 404 if isinstance(refusal, NotFound) else 200
        return visit.answer(
            "stores/refused",
            refusal=refusal,
            next_step=next_step(refusal.code, refusal.fix),
            to_add=self._add_route(visit) if missing else "",
            to_route=self._route_behind(visit)
            if isinstance(refusal, BackendUnavailable | ForbiddenBackendClass)
            else "",
            status=status,
        )

    def _add_route(self, visit: Visit) -> str:
        if not visit.request.user.has_perm("routing.add_route"):
            return ""
        given = {"resource_kind": self.kind, "tenant": visit.place.tenant_id, "env": visit.place.env}
        return f"{reverse('admin:routing_route_add')}?{urlencode(given)}"

    def _route_behind(self, visit: Visit) -> str:
        place = visit.place
        rows = Route.objects.filter(resource_kind=self.kind, tenant_id=place.tenant_id, env=place.env)
        named = rows.filter(project_id=place.project_id).first() or rows.filter(project_id=None).first()
        if named is None or not visit.request.user.has_perm("routing.view_route"):
            return ""
        return reverse("admin:routing_route_change", args=[named.pk])

    def answer(
        self, request: HttpRequest, template: str, title: str = "", *, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """Return a page in the frame of pages over a store."""
        place = context.get("place")
        frame = {
            **site.each_context(request),
            "title": title or self.title,
            "subtitle": None,
            "page": self,
            "kind_title": KINDS[self.kind].title,
            "offer": offered(self.kind),
            "place_form": self._filled(place) if place else None,
            **context,
        }
        return TemplateResponse(request, f"admin/{template}.html", frame, status=status)

    def _filled(self, place: Place) -> PlaceForm:
        return PlaceForm(place.query, without=self.without)


def store_page(page: type[StorePage]) -> type[StorePage]:
    """Register a page with the back office: its addresses, the navigation, the overview and the keyboard palette."""
    site.register_page(page())
    return page
