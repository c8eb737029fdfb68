"""Outside of a lab a switch asks first whether it is really you: before its page opens, and never with a form held back."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.test import Client

from routing.changes import create_route, create_tenant
from routing.models import ApiKey, Route
from tests.admin.test_second_factor import CONFIRM, PASSWORD, alice, clean_cache, code, enrol, production
from tests.admin.test_switch_pages import sealed
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY

__all__ = ["alice", "clean_cache", "production"]

TO_BANK = {"backend_type": "bank", "config-bank-documents-place": "there", "rationale": "cheaper", "seen_revision": "1"}


@pytest.fixture
def page(alice) -> str:
    """The address of a route of initech, which pays for its data."""
    create_tenant("initech", "Initech", "saas", CAUSE)
    return f"/admin/routing/route/{create_route(draft('initech'), CAUSE).pk}"


@pytest.fixture
def late(page, production):
    """Alice's browser, six minutes after she proved her second factor, and its secret."""
    client = Client()
    secret, _ = enrol(client)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        yield client, secret


def test_the_pages_that_move_data_ask_again_after_a_while(late, page):
    client, secret = late
    assert client.get(f"{page}/history/").status_code == 200
    for name in ("switch", "delete"):
        assert client.get(f"{page}/{name}/")["Location"].startswith(CONFIRM)
    assert "confirm that it is you" in client.post(f"{page}/delete/", {"post": "yes"}, follow=True).content.decode()
    client.post(f"{CONFIRM}?next={page}/switch/", {"code": code(secret)})
    assert client.get(f"{page}/switch/").status_code == 200
    tried = client.post(f"{page}/switch/", TO_BANK)
    assert client.post(f"{page}/confirm/", {"sealed": sealed(tried)})["Location"] == f"{page}/history/"
    assert Route.objects.get().backend_type == "bank"


def test_what_would_get_round_the_question_asks_it_too(late):
    client, _ = late
    key = {"tenant": "initech", "label": "mine", "scopes": ["routes:write", "routes:switch"]}
    person = {"username": "mallory", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    alice = User.objects.get().pk
    doors = {
        "/admin/routing/apikey/add/": key,
        "/admin/auth/user/add/": person,
        f"/admin/auth/user/{alice}/password/": person,
        f"/admin/auth/user/{alice}/change/": {"username": "alice", "is_active": "on", "is_staff": "on"},
        "/admin/auth/group/add/": {"name": "masters"},
    }
    for path, sent in doors.items():
        assert client.get(path)["Location"].startswith(CONFIRM), path
        assert client.post(path, sent).status_code == 302, path
    assert (ApiKey.objects.count(), User.objects.count()) == (0, 1)
    assert not Group.objects.filter(name="masters").exists()
    assert User.objects.get().is_superuser
    assert not any(PASSWORD in str(session.get_decoded()) for session in Session.objects.all())


def test_with_a_fresh_proof_a_key_is_issued(late):
    client, secret = late
    client.post(f"{CONFIRM}?next=/admin/", {"code": code(secret)})
    client.post("/admin/routing/apikey/add/", {"tenant": "initech", "label": "mine", "scopes": ["routes:switch"]})
    assert ApiKey.objects.get().label == "mine"


def test_a_form_sent_too_late_changes_nothing_and_leaves_its_secret_in_no_session(late, page):
    client, _ = late
    typed = {**TO_BANK, "config-bank-documents-password": CANARY}
    for path in ("switch", "change"):
        shown = client.post(f"{page}/{path}/", {**typed, "enabled": "on"}).content.decode()
        assert "which asks you to confirm that it is you" in shown, path
    assert Route.objects.get().backend_type == "vault"
    assert all(CANARY not in str(session.get_decoded()) for session in Session.objects.all())


def test_what_moves_no_data_needs_no_fresh_proof(late, page):
    client, _ = late
    kept = {"backend_type": "vault", "config-vault-documents-place": "here", "config-vault-documents-pool": "4"}
    client.post(f"{page}/change/", {**kept, "enabled": "on", "tier": "pro", "seen_revision": "1"})
    assert Route.objects.get().tier == "pro"
