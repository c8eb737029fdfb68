"""Pages over stores: the place is chosen and kept, the right is checked, a refusal is told with its next step."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import ClassVar

import pytest
from django.test import Client
from django.urls import path

from northstar.context import RequestContext
from northstar.errors import NotFound
from northstar.urls import urlpatterns
from routing.admin.stores import Done, Question, StoreAction, StorePage, Visit, store_page
from routing.admin_site import site
from routing.changes import create_route
from routing.models import Route, RouteChange, Tenant
from routing.resolve import invalidate
from storage.errors import BackendUnavailable
from storage.kinds.events import NewEvent
from storage.kinds.metrics import NewValue
from storage.kinds.tabular_store import PutRecord, TabularStore
from storage.opening import open_store
from tests.admin.conftest import Tags
from tests.routing.conftest import CAUSE, draft

ACME = "?tenant=acme&env=dev"


def text(answer) -> str:
    return unescape(answer.content.decode())


def link(answer, words: str) -> str:
    found = re.search(rf'<a href="([^"]+)"[^>]*>{words}</a>', answer.content.decode())
    assert found, words
    return unescape(found[1])


def routed(tenant: str = "acme", kind: str = "tabular_store", **changes) -> Route:
    return create_route(draft(tenant, kind, backend_type="filesystem", config={}, **changes), CAUSE)


def tables(tenant: str = "acme", **scope):
    return open_store("tabular_store", RequestContext(tenant, "dev", "lab", **scope))


@pytest.fixture
def records(acme, globex) -> None:
    for tenant in ("acme", "globex"):
        routed(tenant)
    rows = [PutRecord(f"p/{number:03}", {"n": number, "name": f"policy {number}"}) for number in range(120)]
    tables().batch("policies", rows)
    tables("globex").upsert("policies", "theirs", {"n": 1})


def test_the_pages_stand_in_the_navigation_the_overview_and_the_palette(boss, acme):
    home = text(boss.get("/admin/"))
    assert '<a href="/admin/stores/tables/">Tables</a>' in home
    overview = text(boss.get("/admin/stores/"))
    for page in site.pages:
        assert page.lead in overview
        assert f'<a href="{page.address()}">{page.title}</a>' in home
    found = boss.get("/admin/jump/", {"q": "streams"}).json()["items"]
    assert {"label": "Streams", "hint": "page", "url": "/admin/stores/streams/"} in found


def test_a_page_begins_with_the_places_that_have_a_route_of_its_kind(boss, records):
    routed("globex", kind="event_stream", env="prod")
    shown = text(boss.get("/admin/stores/tables/"))
    assert 'href="/admin/stores/tables/?tenant=acme&env=dev"' in shown
    assert "?tenant=globex&env=prod" not in shown


def test_the_only_place_there_is_needs_no_choice(boss, acme):
    routed()
    assert boss.get("/admin/stores/tables/")["Location"] == f"/admin/stores/tables/{ACME}"


def test_the_choice_is_kept_from_page_to_page_and_is_part_of_the_address(boss, records):
    boss.get(f"/admin/stores/tables/{ACME}&project=p1&surface=Squared²")
    moved = boss.get("/admin/stores/streams/?stream=orders")
    assert moved["Location"] == "/admin/stores/streams/?tenant=acme&env=dev&project=p1&surface=squared2&stream=orders"


def test_records_are_paged_from_the_store_and_say_who_served_them(boss, records):
    first = boss.get(f"/admin/stores/tables/{ACME}&table=policies&prefix=p/")
    route = Route.objects.get(tenant_id="acme")
    assert f'Served by <strong>filesystem</strong>, <a href="/admin/routing/route/{route.pk}/change/">' in text(first)
    assert f"revision {route.revision}." in text(first)
    assert "First page" not in text(first)
    keys, answer = re.findall(r">(p/\d+)<", text(first)), first
    while "Next page" in text(answer):
        answer = boss.get(link(answer, "Next page"))
        keys += re.findall(r">(p/\d+)<", text(answer))
    assert keys == [f"p/{number:03}" for number in range(120)]
    assert "p/000" in text(boss.get(link(answer, "First page")))


def test_a_cursor_of_another_tenant_or_query_is_refused(boss, records):
    answer = boss.get(f"/admin/stores/tables/{ACME}&table=policies")
    onward = link(answer, "Next page")
    for changed in (onward.replace("acme", "globex"), onward.replace("policies", "other")):
        shown = boss.get(changed)
        assert shown.status_code == 200
        assert "INVALID_CURSOR" in text(shown)
        assert "p/0" not in text(shown)


def test_a_tenant_sees_its_own_records_a_project_and_a_surface_theirs(boss, records):
    tables(project_id="p1").upsert("policies", "of-p1", {})
    tables(surface_id="shop").upsert("policies", "of-shop", {})
    shown = {
        query: text(boss.get(f"/admin/stores/tables/{ACME}{query}&table=policies"))
        for query in ("", "&project=p1", "&surface=shop")
    }
    assert [("of-p1" in page, "of-shop" in page, "theirs" in page) for page in shown.values()] == [
        (False, False, False),
        (True, False, False),
        (False, True, False),
    ]


def test_a_record_is_shown_whole_with_its_types_and_as_text(boss, records):
    tables().upsert("policies", "a&b/<i>", {"html": "<script>alert(1)</script>", "wide": 2**70})
    listed = boss.get(f"/admin/stores/tables/{ACME}&table=policies&prefix=a")
    shown = boss.get(link(listed, "a&amp;b/&lt;i&gt;"))
    assert str(2**70) in text(shown)
    assert "&lt;script&gt;alert(1)" in shown.content.decode()
    assert boss.get(f"/admin/stores/tables/record/{ACME}&table=policies&key=none").status_code == 404


def test_the_events_of_a_stream_are_listed_from_any_place_to_the_latest(boss, acme):
    routed(kind="event_stream")
    streams = open_store("event_stream", RequestContext("acme", "dev", "lab"))
    for start in range(0, 120, 20):
        streams.append("orders", [NewEvent("placed", {"n": n}, event_id=f"o-{n}") for n in range(start, start + 20)])
    page = f"/admin/stores/streams/{ACME}&stream=orders"
    assert "o-0" in text(boss.get(link(boss.get(page), "1")))
    second = boss.get(link(boss.get(page), "Next page"))
    assert re.findall(r">(\d+)</a>", text(second))[-50:][0] == "51"
    latest = text(boss.get(link(second, "Latest events, up to position 120")))
    assert ">71</a>" in latest
    assert ">120</a>" in latest
    assert ">100</a>" in text(boss.get(f"{page}&after=o-98"))
    assert "CURSOR_GONE" in text(boss.get(f"{page}&after=nobody"))
    assert boss.get(f"/admin/stores/streams/event/{ACME}&stream=orders&position=121").status_code == 404


def test_a_missing_route_says_so_and_leads_to_its_form(boss, member, acme):
    answer = boss.get(f"/admin/stores/tables/{ACME}")
    assert answer.status_code == 200
    assert "No route configured for tabular_store in acme/dev." in text(answer)
    form = boss.get(link(answer, "Add the route…"))
    assert form.context["adminform"].form.initial["tenant"] == "acme"
    assert "Add the route" not in text(member("viewer").get(f"/admin/stores/tables/{ACME}"))


def test_a_backend_that_is_away_says_so_and_leads_to_its_route(boss, acme, monkeypatch):
    def away(*_given, **_options):
        raise BackendUnavailable("DynamoDB cannot be reached.")

    route = routed()
    monkeypatch.setattr(TabularStore, "list_by_prefix", away)
    answer = boss.get(f"/admin/stores/tables/{ACME}&table=policies")
    assert (answer.status_code, link(answer, "Look at the route")) == (200, f"/admin/routing/route/{route.pk}/change/")
    assert "DynamoDB cannot be reached." in text(answer)


def test_a_forbidden_class_of_backend_says_so(boss, acme):
    routed()
    Tenant.objects.update(mode="saas")
    invalidate()
    answer = boss.get(f"/admin/stores/tables/{ACME}&table=policies")
    assert (answer.status_code, "FORBIDDEN_BACKEND_CLASS" in text(answer)) == (200, True)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("?tenant=nobody&env=dev", 404, "There is no tenant nobody."),
        ("?tenant=acme&env=Dev", 200, "Use 1 to 31 lower-case letters"),
        ("?tenant=acme", 200, "This field is required."),
        ("?tenant=acme&env=dev&surface=,", 200, "holds a comma"),
        ("?tenant=acme&env=dev&table=%01", 200, "INVALID_KEY"),
    ],
)
def test_a_place_that_is_none_is_told_on_its_field(boss, records, query, status, words):
    answer = boss.get(f"/admin/stores/tables/{query}")
    assert (answer.status_code, words in text(answer)) == (status, True)


def test_only_those_who_may_see_what_routes_keep_do(member, records):
    plain = Client()
    plain.force_login(member("viewer").get("/admin/").wsgi_request.user)
    assert plain.get(f"/admin/stores/tables/{ACME}").status_code == 200
    plain.get("/admin/").wsgi_request.user.groups.clear()
    for page in ("", "tables/", f"tables/{ACME}", f"tables/record/{ACME}&table=policies&key=p/000"):
        assert plain.get(f"/admin/stores/{page}").status_code == 403, page
    assert "/admin/stores/" not in text(plain.get("/admin/"))
    assert Client().get(f"/admin/stores/tables/{ACME}").status_code == 302


def test_no_page_holds_inline_script_or_style(boss, records):
    for page in (
        "",
        f"tables/{ACME}&table=policies",
        f"tables/record/{ACME}&table=policies&key=p/000",
        "tables/?tenant=",
    ):
        for tag, attrs in Tags(boss.get(f"/admin/stores/{page}").content.decode()).found:
            assert tag != "style", page
            assert tag != "script" or "src" in attrs, page
            assert not {"style", "onclick", "onchange", "onsubmit"} & set(attrs), (page, attrs)


class Forget(StoreAction):
    slug = "forget"
    title = "Forget this record"
    verb = "Forget it"
    audit_action = "RECORD_FORGOTTEN"
    danger = True

    def question(self, visit: Visit) -> Question:
        key = visit.asked("key")
        record = visit.open().get("policies", key)
        if record is None:
            raise NotFound(f"There is no record {key!a}.")
        return Question("Its data are gone then.", key, visit.address(), before=record.data)

    def carry_out(self, visit, asked, given, cause) -> Done:
        visit.open().delete("policies", asked.subject)
        return Done("Forgotten.", visit.address(table="policies"))


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch, settings) -> None:
    """A page with an action, as an app would declare it."""
    monkeypatch.setattr(site, "pages", [*site.pages])

    @store_page
    class ForgetfulPage(StorePage):
        slug = "forgetful"
        title = "Forgetful"
        section = "Stores"
        lead = "Records that may be forgotten."
        kind = "tabular_store"
        actions: ClassVar = (Forget,)

        def show(self, visit):
            return visit.answer("stores/tables", query={"table": visit.asked("table")})

    settings.ROOT_URLCONF = (path("admin/", site.urls), *urlpatterns)


FORGET = f"/admin/stores/forgetful/forget/{ACME}&key=p/000"


def test_an_action_asks_first_then_acts_and_is_in_the_trail(forgetful, member, records):
    operator = member("operator")
    assert "Its data are gone then." in text(operator.get(FORGET))
    assert tables().get("policies", "p/000")
    done = operator.post(FORGET)
    assert (done.status_code, tables().get("policies", "p/000")) == (302, None)
    change = RouteChange.objects.get(action="RECORD_FORGOTTEN")
    assert (change.actor, change.subject, change.tenant_id) == ("user:operator", "tabular_store:p/000", "acme")
    assert change.before == {"n": 0, "name": "policy 0"}
    assert operator.post(FORGET).status_code == 404


def test_an_action_is_for_its_group_and_needs_its_token(forgetful, member, records):
    viewer = member("viewer")
    assert (viewer.get(FORGET).status_code, viewer.post(FORGET).status_code) == (403, 403)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(member("admin").get("/admin/").wsgi_request.user)
    assert strict.post(FORGET).status_code == 403
    assert tables().get("policies", "p/000")


def test_an_action_that_fails_says_why_and_the_trail_has_both(forgetful, member, records, monkeypatch):
    def away(*_given, **_options):
        raise BackendUnavailable("DynamoDB cannot be reached.")

    monkeypatch.setattr(TabularStore, "delete", away)
    answer = member("operator").post(FORGET)
    assert "DynamoDB cannot be reached." in text(answer)
    assert [row.action for row in RouteChange.objects.all()[:2]] == ["RECORD_FORGOTTEN_FAILED", "RECORD_FORGOTTEN"]


def test_a_metric_shows_its_latest_its_values_and_a_chart(boss, acme):
    routed(kind="metrics_store")
    metrics = open_store("metrics_store", RequestContext("acme", "dev", "lab"))
    now = datetime.now(UTC)
    given = [
        NewValue(Decimal(n), now - timedelta(minutes=10 * n), {"region": "eu" if n % 2 else "us"}) for n in range(90)
    ]
    metrics.ingest("load", given)
    page = f"/admin/stores/metrics/{ACME}&metric=load"
    shown = boss.get(page)
    assert "<dd><strong>0</strong></dd>" in text(shown)
    assert "<polyline" in text(shown)
    assert len(re.findall("<td data-label", text(shown))) == 4 * 50
    onward = boss.get(link(shown, "Next page"))
    assert len(re.findall("<td data-label", text(onward))) == 4 * 40
    assert "region: us" not in text(boss.get(f"{page}&tag=region:eu"))
    assert "has no such value in the last hour" in text(boss.get(f"{page}&tag=region:asia&span=1h"))
    assert "Write a tag as name:value." in text(boss.get(f"{page}&tag=region"))


@pytest.mark.parametrize(
    ("kind", "page", "asked"), [("tabular_store", "tables", True), ("memory_store", "sessions", False)]
)
def test_a_place_asks_for_a_surface_only_where_the_kind_parts_by_it(boss, acme, kind, page, asked):
    routed(kind=kind)
    assert ('name="surface"' in text(boss.get(f"/admin/stores/{page}/{ACME}"))) == asked
