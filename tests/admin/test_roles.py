"""Who may open and do what: every page and every action, for each role, for staff without one, and for no staff."""

from collections.abc import Sequence

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver

from routing.admin_site import site
from routing.changes import create_route, lock_route, set_alias, update_route
from routing.changes.routes import RouteUpdate
from routing.keys import issue_key
from routing.models import ApiKey, OutboxEntry, Route, RouteChange, StrategyLock, SurfaceAlias
from routing.roles import ensure_groups
from tests.routing.conftest import CAUSE, draft

VIEWER, OPERATOR, ADMIN, PLAIN, OUTSIDER = "viewer", "operator", "admin", "plain", "outsider"
SEES = {VIEWER, OPERATOR, ADMIN}
OPERATES = {OPERATOR, ADMIN}
ADMINISTERS = {ADMIN}
NOBODY: set[str] = set()

PAGES = {
    "": SEES | {PLAIN},
    "jump/?q=acme": SEES | {PLAIN},
    "routing/route/": SEES,
    "routing/route/add/": OPERATES,
    "routing/route/{route}/change/": SEES,
    "routing/route/{route}/delete/": OPERATES,
    "routing/route/{route}/switch/": OPERATES,
    "routing/route/{route}/rollback/1/": OPERATES,
    "routing/route/{route}/lock/": OPERATES,
    "routing/route/{route}/history/": SEES,
    "routing/strategylock/": SEES,
    "routing/strategylock/add/": OPERATES,
    "routing/strategylock/{lock}/change/": SEES,
    "routing/strategylock/{lock}/release/": OPERATES,
    "routing/tenant/": SEES,
    "routing/tenant/add/": ADMINISTERS,
    "routing/tenant/acme/change/": SEES,
    "routing/apikey/": SEES,
    "routing/apikey/add/": ADMINISTERS,
    "routing/apikey/{key}/change/": SEES,
    "routing/surfacealias/": SEES,
    "routing/surfacealias/add/": OPERATES,
    "routing/surfacealias/{alias}/change/": SEES,
    "routing/surfacealias/{alias}/delete/": OPERATES,
    "routing/routechange/": SEES,
    "routing/routechange/{change}/change/": SEES,
    "routing/routechange/add/": NOBODY,
    "routing/outboxentry/": SEES,
    "routing/outboxentry/{entry}/change/": SEES,
    "auth/user/": NOBODY,
}
POSTS = {
    "routing/route/add/": OPERATES,
    "routing/route/{route}/change/": OPERATES,
    "routing/route/{route}/switch/": OPERATES,
    "routing/route/{route}/rollback/1/": OPERATES,
    "routing/route/{route}/confirm/": OPERATES,
    "routing/route/{route}/lock/": OPERATES,
    "routing/route/{route}/probe/": OPERATES,
    "routing/strategylock/add/": OPERATES,
    "routing/strategylock/{lock}/change/": NOBODY,
    "routing/strategylock/{lock}/release/": OPERATES,
    "routing/strategylock/{lock}/delete/": NOBODY,
    "routing/tenant/add/": ADMINISTERS,
    "routing/tenant/acme/change/": ADMINISTERS,
    "routing/tenant/acme/delete/": NOBODY,
    "routing/apikey/add/": ADMINISTERS,
    "routing/apikey/{key}/delete/": NOBODY,
    "routing/surfacealias/add/": OPERATES,
    "routing/routechange/add/": NOBODY,
    "routing/routechange/{change}/delete/": NOBODY,
    "routing/outboxentry/{entry}/delete/": NOBODY,
}


@pytest.fixture
def rows(acme) -> dict[str, object]:
    """One of everything, by the names in the addresses."""
    route = create_route(draft(backend_type="filesystem", config={}), CAUSE)
    update_route(route.pk, RouteUpdate(tier="pro"), CAUSE)
    lock = lock_route(route.pk, reason="x", until=None, cause=CAUSE)
    alias = set_alias("Ω", "omega", CAUSE)
    key, _ = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    change, entry = RouteChange.objects.first(), OutboxEntry.objects.first()
    named = {"route": route, "lock": lock, "alias": alias, "key": key, "change": change, "entry": entry}
    return {name: row.pk for name, row in named.items() if row is not None}


def browser_of(role: str) -> Client:
    ensure_groups()
    person = User.objects.create_user(role, is_staff=role != OUTSIDER)
    if role in {VIEWER, OPERATOR, ADMIN}:
        person.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.parametrize("role", [VIEWER, OPERATOR, ADMIN, PLAIN, OUTSIDER])
def test_each_role_opens_and_sends_exactly_what_it_may(role, rows):
    client = browser_of(role)
    for path, roles in PAGES.items():
        status = client.get(f"/admin/{path}".format(**rows)).status_code
        assert (status == 200) == (role in roles), (path, status)
        assert status in {200, 302 if role == OUTSIDER else 403}, (path, status)
    kept = [model.objects.count() for model in (Route, StrategyLock, ApiKey, SurfaceAlias)]
    for path, roles in POSTS.items():
        status = client.post(f"/admin/{path}".format(**rows), {}).status_code
        refused = {302} if role == OUTSIDER else {403}
        assert (status not in refused or (status == 302 and role != OUTSIDER)) == (role in roles), (path, status)
    assert kept == [model.objects.count() for model in (Route, StrategyLock, ApiKey, SurfaceAlias)]


def test_every_page_about_a_route_or_lock_is_in_these_lists():
    own = {
        str(pattern.pattern)
        .replace("<int:route_id>", "{route}")
        .replace("<int:lock_id>", "{lock}")
        .replace("<int:revision>", "1")
        for model in ("route", "strategylock")
        for pattern in routes_of(model)
        if "<int:" in str(pattern.pattern)
    }
    listed = {path.split("/", 2)[2] for path in {**PAGES, **POSTS} if "{" in path}
    assert own
    assert own <= listed


def routes_of(model: str) -> Sequence[URLPattern | URLResolver]:
    return next(admin.get_urls() for known, admin in site._registry.items() if known._meta.model_name == model)


def test_every_form_is_refused_without_its_token(rows):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("alice"))
    for path in POSTS:
        assert strict.post(f"/admin/{path}".format(**rows), {}).status_code == 403, path
    for name in ("route", "apikey", "routechange"):
        assert strict.post(f"/admin/routing/{name}/", {"action": "delete_selected"}).status_code == 403, name


def test_a_viewer_is_refused_every_action_of_a_list(rows):
    client = browser_of(VIEWER)
    for action in ("switch_selected", "delete_selected"):
        client.post("/admin/routing/route/", {"action": action, "_selected_action": [rows["route"]], "post": "yes"})
    client.post("/admin/routing/apikey/", {"action": "revoke", "_selected_action": [rows["key"]]})
    assert Route.objects.count() == 1
    assert ApiKey.objects.get().revoked_at is None


def test_whoever_is_turned_away_is_named_in_the_trail(rows):
    client = browser_of(VIEWER)
    client.post(f"/admin/routing/route/{rows['route']}/switch/", {})
    denied = RouteChange.objects.get(action="ACCESS_DENIED")
    assert denied.actor == "user:viewer"
    assert denied.after["attempt"] == f"POST /admin/routing/route/{rows['route']}/switch/"


def test_the_palette_tells_nobody_of_routes_that_they_may_not_see(rows):
    found = {role: browser_of(role).get("/admin/jump/", {"q": "acme"}).json()["items"] for role in (VIEWER, PLAIN)}
    assert [item["label"] for item in found[VIEWER]] == ["tabular_store in acme/dev on filesystem"]
    assert found[PLAIN] == []
