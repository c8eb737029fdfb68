"""Switch, rollback, probe and history in the back office: what was seen in the dry run is what happens, or nothing does."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from routing.changes import create_route, lock_route, update_route
from routing.changes.routes import RouteUpdate
from routing.models import Route, RouteChange
from routing.resolve import driver_config, snapshot
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.config import reveal
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY

FOLDER = "config-filesystem-documents-base_dir"
AWAY = {
    "config-dynamodb-documents-region": "eu-west-1",
    "config-dynamodb-documents-endpoint": "http://127.0.0.1:9",
    "config-dynamodb-documents-access_key_id": "AKIA0",
    "config-dynamodb-documents-secret_access_key": CANARY,
}


@pytest.fixture
def route(acme) -> Route:
    return create_route(draft(backend_type="filesystem", config={}), CAUSE)


def page(route: Route, name: str = "switch") -> str:
    return f"/admin/routing/route/{route.pk}/{name}/"


def asked(folder: str = "elsewhere", **changes: str) -> dict[str, str]:
    """What a browser sends from the switch page."""
    return {
        "backend_type": "filesystem",
        FOLDER: folder,
        "config-filesystem-documents-durability": "fsync",
        "tier": "",
        "cost_notes": "",
        "rationale": "the disk is full",
        "seen_revision": "1",
        **changes,
    }


def sealed(response) -> str:
    return str(re.findall(r'name="sealed" value="([^"]+)"', response.content.decode())[0])


def dry_run(client: Client, route: Route, **changes: str):
    return client.post(page(route), asked(**changes))


def test_a_dry_run_shows_what_would_happen_and_changes_nothing(boss, route):
    rows = RouteChange.objects.count()
    shown = dry_run(boss, route).content.decode()
    for words in (
        "Nothing speaks against it",
        "config.base_dir",
        "elsewhere",
        "Existing data is not carried over",
        "the disk is full",
    ):
        assert words in shown
    route.refresh_from_db()
    assert (route.revision, RouteChange.objects.count()) == (1, rows)


def test_what_was_confirmed_is_what_was_seen(boss, route):
    seal = sealed(dry_run(boss, route))
    answer = boss.post(page(route, "confirm"), {"sealed": seal}, follow=True)
    route.refresh_from_db()
    assert (route.config, route.switch_rationale) == ({"base_dir": "elsewhere"}, "the disk is full")
    assert "What was stored so far stays where it was." in answer.content.decode()
    assert RouteChange.objects.first().actor == "user:alice"


def test_a_secret_survives_the_dry_run_and_is_on_no_page(boss, route):
    tried = dry_run(boss, route, backend_type="dynamodb", **AWAY)
    assert CANARY not in tried.content.decode()
    assert "in spite of the warnings" in tried.content.decode()  # nothing listens there
    boss.post(page(route, "confirm"), {"sealed": sealed(tried)})
    config = driver_config(next(iter(snapshot().all_routes().values())))
    assert isinstance(config, DynamoDBConfig)
    assert config.secret_access_key
    assert reveal(config.secret_access_key) == CANARY


def test_a_seal_is_of_use_to_one_person_one_route_and_a_short_time(boss, member, route, acme):
    other = create_route(draft(backend_type="filesystem", config={}, env="prod"), CAUSE)
    seal = sealed(dry_run(boss, route))
    late = datetime.now(UTC) + timedelta(minutes=16)
    for client, place, text in (
        (member("operator"), route, seal),
        (boss, other, seal),
        (boss, route, seal[:-4] + "AAAA"),
        (boss, route, ""),
    ):
        assert (
            "This dry run cannot be read."
            in client.post(page(place, "confirm"), {"sealed": text}, follow=True).content.decode()
        )
    with time_machine.travel(late):
        assert (
            "older than 15 minutes" in boss.post(page(route, "confirm"), {"sealed": seal}, follow=True).content.decode()
        )
    assert set(Route.objects.values_list("revision", flat=True)) == {1}


def test_a_route_that_changed_since_the_dry_run_is_left_alone(boss, route):
    seal = sealed(dry_run(boss, route))
    update_route(route.pk, RouteUpdate(tier="theirs"), CAUSE)
    assert "revision 2, not 1" in boss.post(page(route, "confirm"), {"sealed": seal}, follow=True).content.decode()
    assert Route.objects.get().config == {}


def test_a_sellable_tenant_gets_no_filesystem_and_no_switch_without_a_reason(boss, initech):
    route = create_route(draft("initech"), CAUSE)
    refused = dry_run(boss, route)
    assert "is not allowed in mode saas" in str(refused.context["adminform"].form.errors["backend_type"])
    refused = boss.post(
        page(route), {**asked(rationale=""), "backend_type": "vault", "config-vault-documents-place": "there"}
    )
    assert "needs a rationale" in str(refused.context["adminform"].form.errors["rationale"])
    assert Route.objects.get().revision == 1


def test_nothing_to_change_is_told_and_not_offered(boss, route):
    shown = dry_run(boss, route, folder="").content.decode()
    assert "Nothing would change." in shown
    assert "sealed" not in shown


def test_a_lock_is_told_in_the_dry_run_and_passed_by_an_admin_who_says_why(member, route):
    lock_route(route.pk, reason="quarter close", until=None, cause=CAUSE)
    operator, admin = member("operator"), member("admin")
    for client, override in ((operator, {}), (operator, {"override": "on"}), (admin, {})):
        shown = dry_run(client, route, **override).content.decode()
        assert "STRATEGY_LOCKED" in shown
        assert "quarter close" in shown
        assert 'name="sealed"' not in shown
    tried = dry_run(admin, route, override="on")
    admin.post(page(route, "confirm"), {"sealed": sealed(tried)})
    assert Route.objects.get().config == {"base_dir": "elsewhere"}
    assert RouteChange.objects.filter(action="ROUTE_LOCK_OVERRIDDEN", actor="user:admin").exists()


def test_a_lock_that_came_after_the_dry_run_still_refuses(boss, route):
    seal = sealed(dry_run(boss, route))
    lock_route(route.pk, reason="quarter close", until=None, cause=CAUSE)
    answer = boss.post(page(route, "confirm"), {"sealed": seal}, follow=True).content.decode()
    assert "quarter close" in answer
    assert Route.objects.get().revision == 1
    assert RouteChange.objects.first().action == "ACCESS_DENIED"


def test_the_action_leads_one_chosen_route_to_its_switch_and_refuses_two(boss, route):
    other = create_route(draft(backend_type="filesystem", config={}, env="prod"), CAUSE)
    chosen = {"action": "switch_selected", "_selected_action": [str(route.pk)]}
    assert boss.post("/admin/routing/route/", chosen)["Location"] == page(route)
    chosen["_selected_action"] = [str(route.pk), str(other.pk)]
    assert "Choose one route" in boss.post("/admin/routing/route/", chosen, follow=True).content.decode()


def test_a_route_goes_back_to_a_revision_with_its_difference_shown(boss, route):
    boss.post(page(route, "confirm"), {"sealed": sealed(dry_run(boss, route))})
    assert f"{page(route, 'rollback/1')}" in boss.get(page(route, "history")).content.decode()
    before = boss.get(page(route, "rollback/1")).content.decode()
    assert "config.base_dir" in before
    tried = boss.post(page(route, "rollback/1"), {"rationale": "it was a mistake", "seen_revision": "2"})
    assert "Roll back to revision 1?" in tried.content.decode()
    boss.post(page(route, "confirm"), {"sealed": sealed(tried)})
    route.refresh_from_db()
    assert (route.config, route.revision) == ({}, 3)
    assert route.switch_rationale == "Rollback to revision 1. it was a mistake"


def test_a_rollback_asks_for_the_secrets_that_the_trail_does_not_keep(boss, acme):
    route = create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    update_route(route.pk, RouteUpdate(backend_type="filesystem", config={}), CAUSE)
    asking = boss.get(page(route, "rollback/1"))
    assert "config-vault-documents-password" in asking.content.decode()
    refused = boss.post(page(route, "rollback/1"), {"rationale": "back", "seen_revision": "2"})
    assert "Give it again" in str(refused.context["adminform"].form.errors["config-vault-documents-password"])


def test_a_revision_that_never_was_is_not_found(boss, route):
    for revision in (1, 7):
        assert boss.get(page(route, f"rollback/{revision}")).status_code == 404
    assert boss.get("/admin/routing/route/999/switch/").status_code == 404


def test_probe_now_shows_each_step_and_is_remembered(boss, route):
    shown = boss.post(page(route, "probe")).content.decode()
    for step in ("works", "write", "read", "list", "delete"):
        assert step in shown
    assert "works" in boss.get("/admin/routing/route/").content.decode()
    assert boss.get(page(route, "probe")).status_code == 405


def test_the_history_costs_the_same_queries_for_many_changes(boss, route, django_assert_max_num_queries):
    for tier in "abcdef":
        update_route(route.pk, RouteUpdate(tier=tier), CAUSE)
    with django_assert_max_num_queries(8):
        boss.get(page(route, "history"))
