"""Outside of a lab nobody works in the back office without a second factor, and inside one nobody is asked."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from routing.audit import verify_chain
from routing.models import RouteChange

LOGIN = "/admin/login/"
ENROL = "/admin/second-factor/app/activate/"
ASK = "/admin/second-factor/authenticate/"
CONFIRM = "/admin/second-factor/confirm/"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def clean_cache():
    """Rate limits and used codes of the test before are no matter."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def alice(own_database) -> User:
    return User.objects.create_superuser("alice", password=PASSWORD)


@pytest.fixture
def production(settings) -> None:
    settings.NORTHSTAR_DEPLOYMENT = "production"


def log_in(client: Client, password: str = PASSWORD, **more: str):
    return client.post(LOGIN, {"username": "alice", "password": password, **more})


def code(secret: str, step: int = 0) -> str:
    """The authenticator's code of now, or of some steps later."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step)))


def enrol(client: Client) -> tuple[str, list[str]]:
    """Log in and set up the app as a person would; return its secret and the recovery codes that were shown."""
    log_in(client)
    page = client.get(ENROL).content.decode()
    secret = re.search(r'id="authenticator_secret">([A-Z2-7]+)<', page)[1]
    shown = client.post(ENROL, {"code": code(secret)}, follow=True)
    assert shown.status_code == 200
    return secret, re.findall(r"<li><code>(\d+)</code>", shown.content.decode())


def test_in_a_lab_a_password_is_enough(alice):
    client = Client()
    assert log_in(client)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_a_wrong_password_shows_the_form_again_and_is_tried_a_few_times_only(alice):
    client = Client()
    for _ in range(5):
        assert "errornote" in log_in(client, "wrong").content.decode()
    assert log_in(client).status_code == 200  # the right one, too late
    assert client.get("/admin/")["Location"].startswith(LOGIN)


def test_elsewhere_somebody_without_a_factor_reaches_only_the_page_to_enrol(alice, production):
    client = Client()
    log_in(client)
    for path in ("/admin/", "/admin/routing/route/", "/admin/password_change/", "/admin/auth/user/"):
        refused = client.get(path, follow=True)
        assert refused.redirect_chain[-1][0] == ENROL, path
    page = client.get(ENROL)
    assert page.status_code == 200
    assert "<script" not in page.content.decode().replace('<script src="/static/', "")
    assert client.post("/admin/routing/route/add/", {}).status_code == 302


def test_enrolling_shows_recovery_codes_and_opens_the_back_office(alice, production):
    client = Client()
    secret, codes = enrol(client)
    assert len(codes) == 10
    assert client.get("/admin/").status_code == 200
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(recovery in stored for recovery in codes)
    actions = list(RouteChange.objects.filter(subject="user:alice").values_list("action", "after__factor"))
    assert sorted(actions) == [("SECOND_FACTOR_ADDED", "recovery_codes"), ("SECOND_FACTOR_ADDED", "totp")]
    assert verify_chain().ok


def test_the_next_login_asks_for_the_code_and_takes_no_code_twice(alice, production):
    secret, codes = enrol(Client())
    client = Client()
    assert log_in(client)["Location"] == ASK
    assert client.get("/admin/")["Location"].startswith(LOGIN)  # the password alone opens nothing
    assert client.post(ASK, {"code": "000000"}).status_code == 200
    now = code(secret, 1)
    assert client.post(ASK, {"code": now})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    other = Client()
    log_in(other)
    assert other.post(ASK, {"code": now}).status_code == 200  # a code that was seen is worth nothing
    assert other.post(ASK, {"code": codes[0]})["Location"] == "/admin/"
    third = Client()
    log_in(third)
    assert third.post(ASK, {"code": codes[0]}).status_code == 200


def test_a_session_from_before_the_enrolment_is_not_let_in_by_it(alice, production):
    early = Client()
    log_in(early)
    secret, _ = enrol(Client())
    step = early.get("/admin/", follow=True)
    assert step.redirect_chain[-1][0].startswith(CONFIRM)
    early.post(f"{CONFIRM}?next=/admin/", {"code": code(secret, 1)})
    assert early.get("/admin/").status_code == 200


def test_a_session_that_was_not_made_by_logging_in_is_not_let_in(alice, production):
    client = Client()
    client.force_login(alice)
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] != "/admin/"


def test_taking_the_factor_away_asks_again_and_locks_out(alice, production):
    client = Client()
    secret, _ = enrol(client)
    remove = "/admin/second-factor/app/deactivate/"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        assert client.post(remove)["Location"].startswith(CONFIRM)
        client.post(f"{CONFIRM}?next={remove}", {"code": code(secret)})  # goes on with what was asked for
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == ENROL
    assert RouteChange.objects.filter(action="SECOND_FACTOR_REMOVED").count() == 2


def test_every_page_of_the_second_factor_is_ours_and_needs_no_script_of_its_own(alice, production):
    client = Client()
    secret, _ = enrol(client)
    client.post(f"{CONFIRM}?next=/admin/", {"code": code(secret, 1)})
    for path in ("", "codes/", "codes/generate/", "app/deactivate/", "confirm/"):
        answer = client.get(f"/admin/second-factor/{path}")
        page = answer.content.decode()
        assert answer.status_code == 200, path
        assert "northstar-mark" in page, path
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|style=\"| on[a-z]+=", page), path
        assert secret not in page


def test_a_lost_device_is_reset_by_a_command_which_ends_every_session(alice, production, capsys):
    client = Client()
    enrol(client)
    call_command("second_factor", "list")
    assert "enrolled" in capsys.readouterr().out
    call_command("second_factor", "reset", "alice", "--reason", "met her in person")
    row = RouteChange.objects.filter(action="SECOND_FACTOR_REMOVED").first()
    assert (row.actor, row.rationale) == ("command:second_factor", "met her in person")
    assert client.get("/admin/")["Location"].startswith(LOGIN)
    log_in(client)
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == ENROL
    with pytest.raises(CommandError):
        call_command("second_factor", "reset", "nobody", "--reason", "x")


def test_factors_are_sealed_again_with_a_new_key(alice, production, settings):
    client = Client()
    secret, _ = enrol(client)
    old = settings.NORTHSTAR_ENCRYPTION_KEYS
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k9": b"9" * 32, **old}
    call_command("reseal_secrets")
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k9": b"9" * 32}
    other = Client()
    log_in(other)
    assert other.post(ASK, {"code": code(secret, 1)})["Location"] == "/admin/"
