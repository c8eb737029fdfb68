"""Soft limits tell exactly once per threshold, window and budget; what is owed waits for its receiver."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from analytics.budgets.counting import record_usage
from analytics.budgets.names import OUTBOX
from analytics.budgets.places import open_place
from analytics.budgets.policies import Terms
from analytics.budgets.remembered import Remembered
from analytics.budgets.setting import Target, set_policy
from analytics.budgets.sweeping import sweep_budgets
from routing.changes import Cause, RouteUpdate, update_route
from routing.models import Route
from storage.opening import open_store
from tests.conftest import CAUSE

TOKENS = Target("openai", "tokens", "tenant")


def events(context, kind="BUDGET_THRESHOLD_REACHED"):
    page = open_store("event_stream", context).list_after("budgets")
    return [event.data for event in page.events if event.type == kind]


def thresholds(context, kind="BUDGET_THRESHOLD_REACHED"):
    return [data["threshold"] for data in events(context, kind)]


def sweep(now=None):
    return {(one.tenant, one.project): one for one in sweep_budgets(now=now)}


@pytest.fixture
def forgetful(monkeypatch):
    """Every call is a process of its own: nothing is remembered."""
    monkeypatch.setattr(Remembered, "get", lambda *_: None)


@pytest.mark.line(134)
def test_a_soft_limit_warns_once_and_a_hard_limit_refuses(tenant_context, forgetful):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=5, hard_limit=10, thresholds=("80%", "2")))
    for _ in range(10):
        record_usage(tenant_context, "openai", "tokens", 1)
    assert thresholds(tenant_context) == ["2", "soft_limit", "80%"]
    assert events(tenant_context)[1] | {"at": "", "window_key": ""} == {
        "provider": "openai",
        "metric": "tokens",
        "level": "tenant",
        "project_id": None,
        "user_id": None,
        "env": "dev",
        "threshold": "soft_limit",
        "threshold_at": "5",
        "armed": 1,
        "used": "5",
        "limit": "10",
        "window": "lifetime",
        "window_key": "",
        "at": "",
    }


def test_an_alert_is_also_a_record_of_analytics_once(tenant_context, acme, api):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=1))
    record_usage(tenant_context, "openai", "tokens", 5)
    sweep()
    day = datetime.now(UTC).date()
    span = f"start={day}T00:00:00Z&end={day + timedelta(days=2)}T00:00:00Z"
    (record,) = api(acme).get(f"analytics/records?{span}&app=northstar.budgets").json()["items"]
    assert (record["status"], record["payload"]["type"], record["payload"]["threshold"]) == (
        "success",
        "BUDGET_THRESHOLD_REACHED",
        "soft_limit",
    )


def test_changed_limits_arm_alerts_anew_and_resolve_those_before(tenant_context):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=5, hard_limit=10))
    record_usage(tenant_context, "openai", "tokens", 6)
    set_policy(tenant_context, TOKENS, Terms(soft_limit=8, hard_limit=10))
    sweep()
    assert thresholds(tenant_context, "BUDGET_THRESHOLD_RESOLVED") == ["soft_limit"]
    record_usage(tenant_context, "openai", "tokens", 1)
    assert thresholds(tenant_context) == ["soft_limit"]
    record_usage(tenant_context, "openai", "tokens", 1)
    assert thresholds(tenant_context) == ["soft_limit", "soft_limit"]


def test_observing_tells_nobody(tenant_context):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=1, hard_limit=2, mode="observe"))
    record_usage(tenant_context, "openai", "tokens", 5)
    assert sweep()["acme", None].alerts == 0
    assert events(tenant_context) == []


def test_an_alert_waits_for_a_stream_that_is_away_and_is_delivered_once(tenant_context):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=1))
    route = Route.objects.get(resource_kind="event_stream")
    update_route(route.pk, RouteUpdate(enabled=False), Cause("user:alice", may_switch=True))
    record_usage(tenant_context, "openai", "tokens", 5)
    assert len(open_place(tenant_context, None).all(OUTBOX)) == 1
    assert sweep()["acme", None].waiting == 1
    update_route(route.pk, RouteUpdate(enabled=True), CAUSE)
    assert sweep()["acme", None].waiting == 0
    sweep()
    assert thresholds(tenant_context) == ["soft_limit"]


def test_what_a_crash_left_untold_the_sweep_tells(tenant_context, monkeypatch):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=1))
    with monkeypatch.context() as patched:
        patched.setattr("analytics.budgets.counting.raise_alerts", lambda *_: None)
        record_usage(tenant_context, "openai", "tokens", 5)
    assert sweep()["acme", None].alerts == 1
    assert sweep()["acme", None].alerts == 0
    assert thresholds(tenant_context) == ["soft_limit"]


def test_a_rolling_window_that_empties_resolves_and_tells_anew(tenant_context, time_machine):
    time_machine.move_to(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=False)
    set_policy(tenant_context, TOKENS, Terms(soft_limit=5, window="48h"))
    record_usage(tenant_context, "openai", "tokens", 6)
    time_machine.move_to(datetime(2026, 11, 22, 14, tzinfo=UTC), tick=False)
    assert sweep()["acme", None].alerts == 1
    assert thresholds(tenant_context, "BUDGET_THRESHOLD_RESOLVED") == ["soft_limit"]
    record_usage(tenant_context, "openai", "tokens", 6)
    assert thresholds(tenant_context) == ["soft_limit", "soft_limit"]


def test_a_forecast_says_when_the_limit_runs_out(tenant_context, time_machine):
    time_machine.move_to(datetime(2026, 11, 1, tzinfo=UTC), tick=False)
    set_policy(tenant_context, TOKENS, Terms(hard_limit=300, window="month"))
    time_machine.shift(timedelta(days=6))
    record_usage(tenant_context, "openai", "tokens", 100)
    assert sweep()["acme", None].alerts == 1
    (told,) = events(tenant_context, "BUDGET_FORECAST")
    assert (told["threshold"], told["projected"], told["method"].partition(":")[0]) == ("forecast", "500", "linear")


def test_diagnostics_tell_how_far_budgets_are_used(tenant_context, acme, api):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=10, mode="observe"))
    record_usage(tenant_context, "openai", "tokens", 4)
    sweep()
    items = api(acme).get("routing/diagnostics?kind=tabular_store").json()["items"]
    quota = {"provider": "openai", "metric": "tokens", "level": "tenant", "window": "lifetime"}
    assert [item["quotas"]["items"] for item in items] == [[{**quota, "used": "4", "reserved": "0", "limit": "10"}]]


def test_the_command_sweeps(tenant_context, capsys):
    set_policy(tenant_context, TOKENS, Terms(soft_limit=1))
    call_command("budget", "sweep", "--fold")
    assert "acme/dev: 0 settled" in capsys.readouterr().out
