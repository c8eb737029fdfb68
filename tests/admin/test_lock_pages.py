"""Strategy locks in the back office: set with a reason, released by their owner or by override, never lost sight of."""

from datetime import UTC, datetime, timedelta

import pytest

from routing.changes import Cause, create_route, lock_env, lock_route
from routing.changes.lock_reach import is_active
from routing.models import Route, RouteChange, StrategyLock
from tests.routing.conftest import CAUSE, draft

LOCKS = "/admin/routing/strategylock/"


@pytest.fixture
def route(acme) -> Route:
    return create_route(draft(backend_type="filesystem", config={}), CAUSE)


def release(lock: StrategyLock) -> str:
    return f"{LOCKS}{lock.pk}/release/"


def test_a_route_is_locked_with_a_reason_and_an_end(member, route):
    client, page = member("operator"), f"/admin/routing/route/{route.pk}/lock/"
    assert "Say why nothing may move" in client.post(page, {"reason": " ", "until": ""}).content.decode()
    assert "in the future" in client.post(page, {"reason": "x", "until": "2020-01-01T00:00"}).content.decode()
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    shown = client.post(page, {"reason": "quarter close", "until": f"{until:%Y-%m-%dT%H:%M}"}, follow=True)
    lock = StrategyLock.objects.get()
    assert (lock.owner, lock.reason, lock.until) == ("user:operator", "quarter close", until)
    assert "quarter close" in shown.content.decode()


def test_a_whole_environment_is_locked_with_an_error_on_the_right_field(boss, acme):
    asked = {"tenant": "acme", "env": "prod", "reason": "change freeze", "until": ""}
    refused = boss.post(f"{LOCKS}add/", {**asked, "reason": " "})
    assert list(refused.context["adminform"].form.errors) == ["reason"]
    assert boss.post(f"{LOCKS}add/", asked).status_code == 302
    assert (StrategyLock.objects.get().resource_kind, StrategyLock.objects.get().env) == ("", "prod")
    assert "all routes" in boss.get(LOCKS).content.decode()


def test_the_owner_releases_a_lock_and_nobody_else_without_the_right_and_a_reason(member, route):
    operator, admin = member("operator"), member("admin")
    mine = lock_route(route.pk, reason="mine", until=None, cause=Cause("user:operator"))
    theirs = lock_route(route.pk, reason="theirs", until=None, cause=CAUSE)
    assert operator.post(release(mine), {"rationale": ""}).status_code == 302
    for client, reason in ((operator, "please"), (admin, "")):
        assert client.post(release(theirs), {"rationale": reason}).status_code == 200
        theirs.refresh_from_db()
        assert is_active(theirs)
    assert admin.post(release(theirs), {"rationale": "the owner left"}).status_code == 302
    assert RouteChange.objects.filter(action="ROUTE_LOCK_OVERRIDDEN", rationale="the owner left").exists()


def test_a_locked_route_is_marked_wherever_it_is_shown(boss, route):
    lock = lock_env("acme", "dev", reason="change freeze", until=None, cause=CAUSE)
    for page in (
        "/admin/",
        f"/admin/routing/route/{route.pk}/change/",
        f"/admin/routing/route/{route.pk}/switch/",
        f"{LOCKS}{lock.pk}/change/",
    ):
        assert "change freeze" in boss.get(page).content.decode(), page
    assert "locked" in boss.get("/admin/routing/route/").content.decode()


def test_the_form_and_the_deletion_of_a_locked_route_are_refused_with_whom_to_ask(boss, route):
    lock_route(route.pk, reason="change freeze", until=None, cause=CAUSE)
    page = f"/admin/routing/route/{route.pk}"
    moved = {
        "backend_type": "filesystem",
        "config-filesystem-documents-base_dir": "x",
        "enabled": "on",
        "rationale": "y",
    }
    refused = boss.post(
        f"{page}/change/", {**moved, "config-filesystem-documents-durability": "fsync", "seen_revision": "1"}
    )
    assert "change freeze" in refused.content.decode()
    assert "Ask the lock&#x27;s owner" in refused.content.decode()
    chosen = {"action": "delete_selected", "_selected_action": [str(route.pk)], "post": "yes"}
    for answer in (
        boss.post(f"{page}/delete/", {"post": "yes"}, follow=True),
        boss.post("/admin/routing/route/", chosen, follow=True),
    ):
        assert "change freeze" in answer.content.decode()
    assert Route.objects.get().revision == 1


def test_nobody_edits_or_deletes_a_lock(boss, route):
    lock = lock_route(route.pk, reason="x", until=None, cause=CAUSE)
    assert boss.post(f"{LOCKS}{lock.pk}/change/", {"reason": "y"}).status_code == 403
    assert boss.post(f"{LOCKS}{lock.pk}/delete/", {"post": "yes"}).status_code == 403
    assert boss.get(f"{LOCKS}999/release/").status_code == 404
