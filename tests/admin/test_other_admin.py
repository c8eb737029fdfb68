"""Tenants, keys, aliases, the trail, the outbox, the roles and the theme."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.signals import post_save
from django.test import Client
from django.utils.html import escape

from routing.changes import Cause, create_route, delete_route, update_route, update_tenant
from routing.changes.routes import RouteUpdate
from routing.keys import issue_key, revoke_key, verify
from routing.models import ApiKey, OutboxEntry, RouteChange, SnapshotRevision, SurfaceAlias, Tenant
from tests.admin.conftest import Tags
from tests.routing.conftest import CAUSE, draft


def errors(response) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_a_tenant_is_created_and_renamed_with_an_audit_entry(boss):
    boss.post("/admin/routing/tenant/add/", {"tenant_id": "acme", "name": "Acme", "mode": "lab"})
    boss.post("/admin/routing/tenant/acme/change/", {"name": "ACME", "mode": "lab"})
    assert Tenant.objects.get().name == "ACME"
    assert [row.action for row in RouteChange.objects.all()] == ["TENANT_UPDATED", "TENANT_CREATED"]


def test_the_mode_of_a_tenant_is_fixed_outside_of_a_lab(boss, initech, settings):
    settings.NORTHSTAR_DEPLOYMENT = "production"
    boss.post("/admin/routing/tenant/initech/change/", {"name": "Initech", "mode": "lab"})
    assert Tenant.objects.get().mode == "saas"


def test_a_bad_tenant_shows_its_error_on_its_field(boss):
    response = boss.post("/admin/routing/tenant/add/", {"tenant_id": "acme", "name": "Acme", "mode": "t_system"})
    assert list(errors(response)) == ["mode"]
    assert not Tenant.objects.exists()


def test_a_tenant_cannot_be_deleted(boss, acme):
    assert boss.post("/admin/routing/tenant/acme/delete/", {"post": "yes"}).status_code == 403


def issue(client: Client, **changes):
    given = {"tenant": "acme", "label": "ci", "scopes": ["data:read"], "envs": "dev, staging", **changes}
    return client.post("/admin/routing/apikey/add/", given)


def test_a_key_is_shown_once_and_works(boss, acme):
    response = issue(boss)
    token = re.search(r"ns_[a-z0-9]{12}_[0-9a-f]{64}", response.content.decode())[0]
    assert verify(token).envs == ["dev", "staging"]
    assert "no-store" in response["Cache-Control"]
    key = ApiKey.objects.get()
    for page in (
        "/admin/routing/apikey/",
        f"/admin/routing/apikey/{key.pk}/change/",
        "/admin/",
        "/admin/routing/routechange/",
    ):
        shown = boss.get(page).content.decode()
        assert token.rpartition("_")[2] not in shown
        assert key.secret_hash not in shown


def test_a_key_that_makes_no_sense_shows_why(boss, acme):
    assert list(errors(issue(boss, scopes=["act:tenants"]))) == ["scopes"]
    assert list(errors(issue(boss, envs="Dev"))) == ["envs"]
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_by_the_action_and_never_deleted(boss, acme):
    key, _ = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    boss.post("/admin/routing/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert RouteChange.objects.first().actor == "user:alice"
    assert boss.post(f"/admin/routing/apikey/{key.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_key_cannot_be_widened(boss, acme):
    key, _ = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    changed = {"tenant": "acme", "label": "x", "scopes": ["data:write"], "envs": ""}
    boss.post(f"/admin/routing/apikey/{key.pk}/change/", changed)
    key.refresh_from_db()
    assert (key.label, key.scopes) == ("ci", ["data:read"])


def test_an_alias_is_added_changed_and_deleted(boss):
    boss.post("/admin/routing/surfacealias/add/", {"alias": "Ω", "canonical": "omega"})
    alias = SurfaceAlias.objects.get(alias="Ω")
    boss.post(f"/admin/routing/surfacealias/{alias.pk}/change/", {"canonical": "last"})
    alias.refresh_from_db()
    assert alias.canonical == "last"
    boss.post(f"/admin/routing/surfacealias/{alias.pk}/delete/", {"post": "yes"})
    assert [row.action for row in RouteChange.objects.all()] == ["ALIAS_DELETED", "ALIAS_SET", "ALIAS_SET"]


def test_an_alias_that_leads_in_circles_is_refused(boss):
    response = boss.post("/admin/routing/surfacealias/add/", {"alias": "x", "canonical": "squared"})
    assert list(errors(response)) == ["canonical"]


def test_the_trail_shows_its_state_and_a_readable_difference(boss, acme):
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "<b>there</b>"}), CAUSE)
    assert "Hash chain intact" in boss.get("/admin/routing/routechange/").content.decode()
    change = RouteChange.objects.first()
    html = boss.get(f"/admin/routing/routechange/{change.pk}/change/").content.decode()
    assert "config.place" in html
    assert "&lt;b&gt;there&lt;/b&gt;" in html


def test_the_trail_says_when_it_was_touched(boss, acme):
    SnapshotRevision.objects.update(audit_rows=7)
    assert "Hash chain broken" in boss.get("/admin/routing/routechange/").content.decode()


def test_a_long_trail_is_verified_on_demand(boss, acme, monkeypatch):
    monkeypatch.setattr("routing.admin.audit.CHECKED_AT_ONCE", 0)
    assert "not verified" in boss.get("/admin/routing/routechange/").content.decode()
    assert "Hash chain intact" in boss.post("/admin/routing/routechange/", {"verify_chain": "1"}).content.decode()


def test_nobody_changes_the_trail_or_the_outbox(boss, acme):
    create_route(draft(), CAUSE)
    for name, row in (("routechange", RouteChange.objects.first()), ("outboxentry", OutboxEntry.objects.first())):
        assert boss.get(f"/admin/routing/{name}/").status_code == 200
        assert boss.post(f"/admin/routing/{name}/add/", {}).status_code == 403
        assert boss.post(f"/admin/routing/{name}/{row.pk}/change/", {}).status_code == 403
        assert boss.post(f"/admin/routing/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


PAGES = ("route", "tenant", "apikey", "surfacealias", "routechange", "outboxentry")


@pytest.mark.parametrize(
    ("group", "may_add"),
    [
        ("viewer", set()),
        ("operator", {"route", "surfacealias"}),
        ("admin", {"route", "surfacealias", "tenant", "apikey"}),
    ],
)
def test_each_role_sees_everything_and_adds_what_it_may(member, group, may_add):
    client = member(group)
    assert {page for page in PAGES if client.get(f"/admin/routing/{page}/").status_code == 200} == set(PAGES)
    assert {page for page in PAGES if client.get(f"/admin/routing/{page}/add/").status_code == 200} == may_add


def test_a_viewer_can_neither_change_delete_nor_revoke(member, acme):
    client = member("viewer")
    route = create_route(draft(), CAUSE)
    key, _ = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    assert client.get(f"/admin/routing/route/{route.pk}/change/").status_code == 200
    assert client.post(f"/admin/routing/route/{route.pk}/change/", {}).status_code == 403
    assert client.post(f"/admin/routing/route/{route.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post("/admin/routing/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_form_without_its_token_is_refused(db, boss):
    strict = Client(
        enforce_csrf_checks=True, headers={"Cookie": "; ".join(f"{k}={v.value}" for k, v in boss.cookies.items())}
    )
    for page in ("tenant/add", "route/add", "apikey/add", "surfacealias/add"):
        assert strict.post(f"/admin/routing/{page}/", {}).status_code == 403


def test_no_page_holds_inline_script_or_style(boss, acme):
    route = create_route(draft(), CAUSE)
    issue_key(acme, "ci", ["data:read"], cause=CAUSE, expires_at=datetime(2999, 1, 1, tzinfo=UTC))
    pages = [
        "/admin/",
        "/admin/routing/route/add/",
        f"/admin/routing/route/{route.pk}/change/",
        "/admin/routing/apikey/add/",
    ]
    pages += [f"/admin/routing/{name}/" for name in PAGES]
    for page in pages:
        for tag, attrs in Tags(boss.get(page).content.decode()).found:
            assert tag != "style", page
            assert tag != "script" or "src" in attrs or attrs.get("type") == "application/json", page
            assert not {"style", "onclick", "onchange", "onsubmit"} & set(attrs), (page, tag, attrs)


def test_every_page_wears_the_brand_and_the_theme(boss):
    html = boss.get("/admin/").content.decode()
    assert "Northstar" in html
    assert "northstar/admin.css" in html


PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'<b>",
    "{{ 7 }}</textarea><svg onload=alert(1)>",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_was_typed_is_shown_as_text(boss, acme, payload):
    update_tenant("acme", CAUSE, name=payload)
    issue_key(acme, payload, ["data:read"], cause=CAUSE)
    cause = Cause("user:" + payload, rationale=payload)
    route = create_route(draft(tier=payload, cost_notes=payload, config={"place": payload}), cause)
    update_route(route.pk, RouteUpdate(config={"place": payload + "2"}), cause)
    OutboxEntry.objects.update(last_error=payload)
    change = RouteChange.objects.first()
    pages = [f"/admin/routing/{name}/" for name in PAGES]
    pages += [f"/admin/routing/route/{route.pk}/change/", f"/admin/routing/routechange/{change.pk}/change/"]
    pages += ["/admin/routing/tenant/acme/change/", f"/admin/routing/route/{route.pk}/delete/"]
    for page in pages:
        html = boss.get(page).content.decode()
        assert payload not in html, page
    assert escape(payload) in boss.get(f"/admin/routing/routechange/{change.pk}/change/").content.decode()


def test_a_refused_deletion_says_why_and_does_nothing(boss, acme):
    route = create_route(draft(), CAUSE)

    def first(**_signal):
        delete_route(route.pk, CAUSE)

    post_save.connect(first, sender=LogEntry)
    try:
        response = boss.post(f"/admin/routing/route/{route.pk}/delete/", {"post": "yes"}, follow=True)
    finally:
        post_save.disconnect(first, sender=LogEntry)
    assert f"There is no route {route.pk}." in response.content.decode()
    assert RouteChange.objects.filter(action="ROUTE_DELETED").count() == 0


@pytest.mark.django_db
def test_a_page_that_is_not_for_a_viewer_says_so_under_northstars_name(member):
    response = member("viewer").get("/admin/routing/tenant/add/")
    page = response.content.decode()
    assert response.status_code == 403
    assert "This page is not for you" in page
    assert "Northstar" in page


def test_the_outbox_says_of_a_waiting_event_why_it_waits(boss, acme):
    create_route(draft(), CAUSE)
    entry = OutboxEntry.objects.filter(tenant_id="acme").get()
    OutboxEntry.objects.filter(pk=entry.pk).update(attempts=3, last_error="NO_ROUTE_CONFIGURED")
    page = boss.get("/admin/routing/outboxentry/").content.decode()
    assert "Waits after 3 attempts. NO_ROUTE_CONFIGURED" in page


@pytest.mark.parametrize(("state", "shown"), [("revoked", 1), ("not revoked", 1), (None, 2)])
def test_keys_are_filtered_by_whether_they_are_revoked(boss, acme, state, shown):
    issue_key(acme, "kept", ["data:read"], cause=CAUSE)
    revoke_key(issue_key(acme, "gone", ["data:read"], cause=CAUSE)[0].key_id, CAUSE)
    page = boss.get("/admin/routing/apikey/", {"state": state} if state else {})
    assert len(page.context["cl"].result_list) == shown
