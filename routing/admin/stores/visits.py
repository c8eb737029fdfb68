"""A visit: one person at one page over a store, at one place; what a page's views open, link to and answer with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from northstar.context import RequestContext
from routing.admin.stores.places import Place
from routing.audit import Subject
from storage.cursors import seal, unseal
from storage.guard import ServedBy
from storage.opening import open_store

if TYPE_CHECKING:
    from routing.admin.stores.pages import StorePage

PAGE_SIZE = 50
"""Rows of a list."""


@dataclass(frozen=True, slots=True)
class Pager:
    """The ways on from a page of a list; None where there is none."""

    first: str | None
    next: str | None


class Visit:
    """What a view of a page works with. Stores are opened as a request of this place would open them."""

    def __init__(self, request: HttpRequest, page: "StorePage", place: Place, context: RequestContext) -> None:
        self.request = request
        self.page = page
        self.place = place
        self.context = context
        self._stores: list[Any] = []

    def open(self, kind: str = "") -> Any:
        """Return the store of the page's kind, or of another one. Raises as `storage.opening.open_store`."""
        return self.opened(open_store(kind or self.page.kind, self.context))

    def opened(self, store: Any) -> Any:
        """Return a store that a service opened, after noting that it served this page."""
        self._stores.append(store)
        return store

    @property
    def served_by(self) -> list[ServedBy]:
        """Which routes have served this visit, each once."""
        return list(dict.fromkeys(store.served_by for store in self._stores))

    @property
    def replica(self) -> str | None:
        """The replica region that answered, where one did: what it told may be older than the last write."""
        return next((store.replica for store in self._stores if getattr(store, "replica", None)), None)

    @property
    def may_act(self) -> bool:
        """Whether this person may do what the page offers."""
        return self.page.allows(self.request.user, self.page.acted_by)

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the address, as it was given."""
        return self.request.GET.get(name, default)

    def address(self, view: str = "", **query: object) -> str:
        """Return the address of a view of this page at this place. Parameters that are None are left out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return f"{self.page.address(view)}?{urlencode(self.place.query | given)}"

    def after(self, *query: str) -> Any | None:
        """Return where the asked page of a list begins, None for its start. Raises InvalidCursor for a cursor of another list.

        `query` is what the list was asked for besides the place; it is the same for `pager`.
        """
        token = self.asked("cursor")
        return unseal("page", self._binding(query), token) if token else None

    def pager(self, after: Any | None, following: Any | None, query: Mapping[str, str], view: str = "") -> Pager:
        """Return the ways on: `after` is where this page began, `following` where the next one does."""
        binding = self._binding(tuple(query.values()))
        onward = seal("page", binding, following) if following is not None else None
        return Pager(
            first=self.address(view, **query) if after is not None else None,
            next=self.address(view, **query, cursor=onward) if onward else None,
        )

    def _binding(self, query: tuple[str, ...]) -> tuple[str, ...]:
        routes = [str(served.route_id) for served in self.served_by]
        return (self.page.slug, *routes, *sorted(f"{name}={value}" for name, value in self.place.query.items()), *query)

    def answer(self, template: str, title: str = "", **context: Any) -> TemplateResponse:
        """Return a page from `templates/admin/<template>.html`, which extends `admin/stores/frame.html`."""
        return self.page.answer(self.request, template, title, visit=self, place=self.place, **context)

    def subject(self, name: str) -> Subject:
        """Return something at this place as the subject of a change; `name` tells it, such as a session's id."""
        return Subject(
            name=f"{self.page.kind}:{name}",
            tenant_id=self.place.tenant_id,
            env=self.place.env,
            project_id=self.place.project_id,
            resource_kind=self.page.kind,
        )
