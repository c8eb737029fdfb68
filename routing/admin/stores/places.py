"""Where an operator looks: the tenant, environment and project whose data a page shows, in its address and in the session."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.http import HttpRequest

from northstar.context import NO_SURFACE, RequestContext
from northstar.errors import InvalidContext, NotFound
from northstar.problems import id_of
from northstar.surfaces import normalise_surface
from routing.patterns import env_validator, identifier_validator, tenant_validator
from routing.resolve import ResolvedRoute, snapshot

KEPT: Final = "northstar_place"
PLACES_SHOWN: Final = 200
"""Routes to choose from; beyond, the fields of the form lead to a place."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant's data in an environment, and inside it a project, a surface and a user where one is named."""

    tenant_id: str
    env: str
    project_id: str | None = None
    surface_id: str = NO_SURFACE
    user_id: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """The place as the parameters of an address."""
        named = {"tenant": self.tenant_id, "env": self.env, "project": self.project_id, "user": self.user_id}
        surface = {} if self.surface_id == NO_SURFACE else {"surface": self.surface_id}
        return {name: value for name, value in named.items() if value} | surface

    def __str__(self) -> str:
        return "/".join(part for part in (self.tenant_id, self.env, self.project_id) if part)

    def context(self, request: HttpRequest) -> RequestContext:
        """Return the context of whoever asks here. Raises NotFound for a tenant that there is not."""
        mode = snapshot().modes.get(self.tenant_id)
        if mode is None:
            raise NotFound(f"There is no tenant {self.tenant_id}.", fix="Choose one of those below.")
        return RequestContext(
            tenant_id=self.tenant_id,
            env=self.env,
            mode=mode,
            project_id=self.project_id,
            surface_id=self.surface_id,
            user_id=self.user_id,
            actor=f"user:{request.user.get_username()}",
            request_id=id_of(request),
        )


class PlaceForm(forms.Form):
    """The choice of a place. What is offered are the routes that exist; any project may be named, as in a request."""

    tenant = forms.CharField(max_length=64, validators=[tenant_validator])
    env = forms.CharField(max_length=31, validators=[env_validator], label="Environment")
    project = forms.CharField(required=False, max_length=128, validators=[identifier_validator])
    surface = forms.CharField(required=False, max_length=128)
    user = forms.CharField(required=False, max_length=128, validators=[identifier_validator])

    def __init__(self, data: Any, *, without: Collection[str]) -> None:
        super().__init__(data, auto_id="place_%s")
        for name in without:
            del self.fields[name]
        for name, field in self.fields.items():
            offered = {"list": f"places_{name}"} if name in {"tenant", "env", "project"} else {}
            placeholder = "" if field.required else "none"
            field.widget.attrs.update({**offered, "autocomplete": "off", "size": 14, "placeholder": placeholder})

    def clean_surface(self) -> str:
        """Return the canonical surface, `_` for none."""
        try:
            return normalise_surface(self.cleaned_data["surface"] or None, snapshot().aliases)
        except InvalidContext as refusal:
            raise forms.ValidationError(f"{refusal.detail} {refusal.fix}") from None

    @property
    def place(self) -> Place:
        """The place that a valid form names."""
        given = self.cleaned_data
        surface = given.get("surface") or NO_SURFACE
        return Place(given["tenant"], given["env"], given["project"] or None, surface, given.get("user") or None)


@dataclass(frozen=True, slots=True)
class Offer:
    """The routes of a kind: those shown, how many there are, and the names that complete what is typed."""

    routes: list[ResolvedRoute]
    total: int

    def names(self, part: str) -> Iterator[str]:
        """Yield each name once, in order."""
        yield from sorted({name for route in self.routes if (name := getattr(route, part))})

    @property
    def tenants(self) -> Iterator[str]:
        """Tenants with a route of this kind."""
        return self.names("tenant_id")

    @property
    def envs(self) -> Iterator[str]:
        """Their environments."""
        return self.names("env")

    @property
    def projects(self) -> Iterator[str]:
        """Projects with a route of their own."""
        return self.names("project_id")


def offered(kind: str) -> Offer:
    """Return where data of this kind may be, in the order of tenants."""
    routes = [route for route in snapshot().routes.values() if route.resource_kind == kind]
    routes.sort(key=lambda route: (route.tenant_id, route.env, route.project_id or ""))
    return Offer(routes[:PLACES_SHOWN], len(routes))


def kept_place(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of the place where whoever asks looked last, or nothing."""
    kept: dict[str, str] = request.session.get(KEPT, {})
    return kept


def keep(request: HttpRequest, place: Place, *, without: Collection[str]) -> None:
    """Remember where somebody looks, for the next page. What this page does not ask for stays as it was."""
    kept = kept_place(request)
    same_place = all(kept.get(name) == place.query.get(name) for name in ("tenant", "env", "project"))
    query = ({name: kept[name] for name in without if name in kept} if same_place else {}) | place.query
    if kept != query:
        request.session[KEPT] = query
