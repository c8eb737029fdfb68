"""A switch, its dry run, and the way back."""

import pytest

from northstar.context import RequestContext
from northstar.errors import (
    Conflict,
    Forbidden,
    ForbiddenBackendClass,
    InvalidConfig,
    InvalidRequest,
    NotFound,
    StrategyLocked,
    VersionConflict,
)
from routing.admission import stored_secrets
from routing.changes import (
    Cause,
    RouteUpdate,
    SwitchTarget,
    create_route,
    lock_env,
    roll_back,
    switch_backend,
    update_route,
)
from routing.models import OutboxEntry, Route, RouteChange
from routing.operations.switching import plan_rollback, plan_switch
from storage.documents import Limits
from storage.opening import open_store
from tests.conftest import filesystem_routes
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY, VaultDocuments, WeakDocuments

WHY = Cause(actor="user:bob", request_id="req-2", rationale="cheaper")
BANK = SwitchTarget(backend_type="Bank", config={"place": "there"}, tier="pro", cost_notes="5 a month")


def state() -> tuple:
    """Everything that a dry run could have written."""
    return tuple(list(model.objects.order_by("pk").values()) for model in (Route, RouteChange, OutboxEntry))


def test_a_switch_records_what_was_before_why_and_when_in_one_change(initech):
    route = create_route(draft("initech"), CAUSE)
    switched = switch_backend(route.pk, BANK, WHY, expected_revision=1)
    change = RouteChange.objects.first()
    assert (switched.backend_type, switched.config, switched.tier, switched.cost_notes) == (
        "bank",
        {"place": "there"},
        "pro",
        "5 a month",
    )
    assert (switched.previous_backend_type, switched.switch_rationale, switched.revision) == ("vault", "cheaper", 2)
    assert switched.last_switch_time == switched.updated_at
    assert (change.action, change.actor, change.rationale) == ("ROUTE_BACKEND_SWITCHED", "user:bob", "cheaper")
    assert OutboxEntry.objects.filter(change=change).count() == 2


def test_a_switch_leaves_what_it_does_not_name(acme):
    route = create_route(draft(tier="pro", cost_notes="much"), CAUSE)
    switched = switch_backend(route.pk, SwitchTarget(backend_type="bank", config={"place": "x"}), WHY)
    assert (switched.tier, switched.cost_notes) == ("pro", "much")


def test_a_switch_is_refused_like_any_change(initech):
    route = create_route(draft("initech"), CAUSE)
    before = state()
    for target, cause, error in (
        (BANK, CAUSE, InvalidRequest),  # no rationale
        (BANK, Cause("key:1", rationale="cheaper", may_switch=False), Forbidden),
        (SwitchTarget(backend_type="filesystem"), WHY, ForbiddenBackendClass),
        (SwitchTarget(backend_type="bank"), WHY, InvalidConfig),
    ):
        with pytest.raises(error):
            switch_backend(route.pk, target, cause)
    with pytest.raises(VersionConflict):
        switch_backend(route.pk, BANK, WHY, expected_revision=7)
    with pytest.raises(NotFound):
        switch_backend(route.pk + 1, BANK, WHY)
    assert state() == before


def test_a_dry_run_tells_what_would_change_and_writes_nothing(acme):
    route = create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    before = state()
    plan = plan_switch(route.pk, BANK, WHY)
    assert state() == before
    assert (plan.action, plan.allowed, plan.ready, plan.revision) == ("ROUTE_BACKEND_SWITCHED", True, True, 1)
    assert {(one.name, one.before, one.after) for one in plan.changes} == {
        ("backend_type", "vault", "bank"),
        ("config.place", "here", "there"),
        ("config.password", "****", "-"),
        ("cost_notes", "-", "5 a month"),
        ("previous_backend_type", "-", "vault"),
        ("tier", "-", "pro"),
    }
    assert plan.probe.ok
    assert plan.after["revision"] == 2
    assert CANARY not in repr(plan)


def test_a_dry_run_tells_what_the_target_can_do_otherwise(acme, monkeypatch):
    route = create_route(draft(), CAUSE)
    assert plan_switch(route.pk, BANK, WHY).capabilities == ()
    monkeypatch.setattr(VaultDocuments, "limits", Limits())
    monkeypatch.setattr(WeakDocuments, "limits", Limits(reads_cost=True, page_documents=100))
    plan = plan_switch(route.pk, SwitchTarget(backend_type="weak", config={"place": "x"}), WHY)
    assert {(one.name, one.before, one.after) for one in plan.capabilities} == {
        ("page_documents", "1000", "100"),
        ("reads_cost", "false", "true"),
    }


def test_a_dry_run_names_everything_that_blocks_at_once(initech):
    route = create_route(draft("initech"), CAUSE)
    lock_env("initech", "dev", reason="freeze", until=None, cause=CAUSE)
    plan = plan_switch(route.pk, BANK, CAUSE)
    assert [blocker.error_code for blocker in plan.blockers] == ["INVALID_REQUEST", "STRATEGY_LOCKED"]
    assert plan.blockers[1].facts["locks"][0]["reason"] == "freeze"
    refused = plan_switch(route.pk, SwitchTarget(backend_type="filesystem"), CAUSE)
    assert [blocker.error_code for blocker in refused.blockers] == ["INVALID_REQUEST", "FORBIDDEN_BACKEND_CLASS"]
    assert not plan.allowed
    assert (refused.action, refused.after, refused.probe) == (None, None, None)


def test_a_target_that_does_not_work_is_a_warning_and_no_refusal(acme):
    route = create_route(draft(), CAUSE)
    plan = plan_switch(route.pk, SwitchTarget(backend_type="bank", config={"place": "unreachable"}), WHY)
    assert [(blocker.error_code, blocker.enforced) for blocker in plan.blockers] == [("BACKEND_UNAVAILABLE", False)]
    assert (plan.allowed, plan.ready, plan.probe.ok) == (True, False, False)


def test_a_dry_run_says_how_much_stays_behind(acme):
    routes = {route.resource_kind: route for route in filesystem_routes(acme)}
    context = RequestContext(tenant_id="acme", env="dev", mode="lab")
    for number in range(3):
        open_store("object_store", context).put(f"o/{number}", [b"x"], content_type="text/plain")
    elsewhere = SwitchTarget(backend_type="filesystem", config={"base_dir": "elsewhere"})
    told = {kind: plan_switch(route.pk, elsewhere, WHY).left_behind for kind, route in routes.items()}
    assert (told["object_store"].at_least, told["object_store"].what) == (3, "objects")
    assert told["event_stream"].at_least == 0
    assert told["tabular_store"].at_least is None
    assert all("not carried over" in one.said for one in told.values())
    assert plan_switch(routes["object_store"].pk, SwitchTarget(backend_type="filesystem"), WHY).left_behind is None


def test_a_rollback_brings_back_what_a_route_said_and_keeps_going_forward(initech):
    route = create_route(draft("initech", tier="a", cost_notes="n"), CAUSE)
    switch_backend(route.pk, BANK, WHY)
    update_route(route.pk, RouteUpdate(enabled=False), WHY)
    plan = plan_rollback(route.pk, 1, WHY)
    back = roll_back(route.pk, 1, WHY, expected_revision=3)
    assert (back.backend_type, back.config, back.tier, back.cost_notes, back.enabled) == (
        "vault",
        {"place": "here"},
        "a",
        "n",
        True,
    )
    assert (back.revision, back.previous_backend_type) == (4, "bank")
    assert back.switch_rationale == RouteChange.objects.first().rationale == "Rollback to revision 1. cheaper"
    assert ("backend_type", "bank", "vault") in {(one.name, one.before, one.after) for one in plan.changes}
    assert roll_back(route.pk, 3, WHY).enabled is False


def test_secrets_that_are_still_sealed_are_kept_where_the_place_is_the_same(acme):
    route = create_route(draft(config={"place": "here", "password": CANARY}), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "here", "password": CANARY, "pool": 9}), CAUSE)
    back = roll_back(route.pk, 1, WHY)
    assert back.config == {"place": "here", "password": "****"}
    assert stored_secrets(back) == {"password": CANARY}


def test_a_secret_that_was_not_there_is_not_there_after_a_rollback(acme):
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "here", "password": CANARY}), CAUSE)
    assert stored_secrets(roll_back(route.pk, 1, WHY)) == {}


def test_a_secret_of_another_place_must_be_given_again(acme):
    route = create_route(draft(config={"place": "here", "password": "old"}), CAUSE)
    switch_backend(route.pk, SwitchTarget(backend_type="vault", config={"place": "there", "password": CANARY}), WHY)
    with pytest.raises(InvalidConfig) as refused:
        roll_back(route.pk, 1, WHY)
    assert [(error.field, error.code) for error in refused.value.errors] == [("config.password", "missing")]
    assert [blocker.errors for blocker in plan_rollback(route.pk, 1, WHY).blockers] == [refused.value.errors]
    with pytest.raises(InvalidRequest, match="secrets"):
        roll_back(route.pk, 1, WHY, secrets={"place": "x"})
    back = roll_back(route.pk, 1, WHY, secrets={"password": "old"})
    assert (back.config["place"], stored_secrets(back)) == ("here", {"password": "old"})


def test_a_rollback_is_refused_like_any_change(initech, settings):
    route = create_route(draft("initech"), CAUSE)
    switch_backend(route.pk, BANK, WHY)
    for revision in (0, 2, 3):
        with pytest.raises(NotFound):
            roll_back(route.pk, revision, WHY)
    with pytest.raises(InvalidRequest, match="rationale"):
        roll_back(route.pk, 1, CAUSE)
    with pytest.raises(VersionConflict):
        roll_back(route.pk, 1, WHY, expected_revision=1)
    lock_env("initech", "dev", reason="freeze", until=None, cause=CAUSE)
    with pytest.raises(StrategyLocked):
        roll_back(route.pk, 1, WHY)
    assert Route.objects.get().backend_type == "bank"


def test_a_tenant_that_pays_now_cannot_be_rolled_back_to_the_filesystem(acme):
    route = create_route(draft(backend_type="filesystem", config={}), CAUSE)
    switch_backend(route.pk, BANK, WHY)
    acme.mode = "saas"
    acme.save()
    with pytest.raises(ForbiddenBackendClass):
        roll_back(route.pk, 1, WHY)
    assert [blocker.error_code for blocker in plan_rollback(route.pk, 1, WHY).blockers] == ["FORBIDDEN_BACKEND_CLASS"]


def test_nothing_is_restored_from_a_row_of_the_trail_that_was_touched(acme, monkeypatch):
    route = create_route(draft(), CAUSE)
    switch_backend(route.pk, BANK, WHY)
    monkeypatch.setattr("routing.changes.rollback.row_hash", lambda _row: "another")
    with pytest.raises(Conflict):
        roll_back(route.pk, 1, WHY)
