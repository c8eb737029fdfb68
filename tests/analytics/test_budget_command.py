"""Budgets by command: set, list, raise, price; and the three that a lab begins with."""

import json

import pytest
from django.core.management import CommandError, call_command

from analytics.budgets.counting import record_usage
from analytics.budgets.figures import all_figures
from northstar.context import RequestContext
from northstar.modes import LAB
from northstar.quickstart import DEMO_TENANT, ensure_demo_budgets
from routing.changes import create_tenant
from routing.models import RouteChange
from tests.conftest import CAUSE, filesystem_routes


def told(capsys, *arguments):
    call_command("budget", *arguments, "--tenant", "acme", "--format", "json")
    return json.loads(capsys.readouterr().out)


def test_a_budget_is_set_raised_priced_and_listed(tenant_context, capsys):
    set_to = told(
        capsys,
        *("set", "openai", "usd", "--soft", "5", "--hard", "10", "--window", "month", "--threshold", "50%"),
        *("--rollover-cap", "3", "--carry-debt"),
    )
    assert (set_to["hard_limit"], set_to["thresholds"], set_to["updated_by"]) == ("10", ["50%"], "command:budget")
    assert (set_to["rollover_cap"], set_to["carry_debt"]) == ("3", True)
    told(capsys, "adjust", "openai", "usd", "grant", "2.5", "--reason", "goodwill")
    told(capsys, "price", "openai", "tokens", "0.001", "--source", "price list", "--since", "2026-01-01")
    record_usage(tenant_context, "openai", "tokens", 4000)
    (row,) = told(capsys, "list", "--provider", "openai")
    assert (row["metric"], row["usage"], row["effective_limit"], row["thresholds_reached"]) == ("usd", "4", "12.5", [])
    actions = RouteChange.objects.filter(actor="command:budget").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["BUDGET_SET", "BUDGET_ADJUSTED", "PRICE_SET"]


def test_what_is_wrong_is_told_with_its_fix(tenant_context):
    for arguments, word in (
        (["set", "openai", "tokens", "--window", "fortnight"], "rolling one"),
        (["set", "openai", "tokens", "--hard", "1.2345678"], "six decimals"),
        (["adjust", "openai", "tokens", "increase", "5", "--reason", "launch"], "until when"),
        (["price", "openai", "tokens", "1.5 dollars", "--source", "me"], "decimal"),
    ):
        with pytest.raises(CommandError, match=word):
            call_command("budget", *arguments, "--tenant", "acme")
    with pytest.raises(CommandError, match="no tenant"):
        call_command("budget", "list", "--tenant", "nobody")


def test_a_lab_begins_with_three_budgets_and_keeps_what_was_made_of_them(database):
    filesystem_routes(create_tenant(DEMO_TENANT, "Demo", LAB, CAUSE))
    for _ in range(2):
        ensure_demo_budgets()
    found = all_figures(RequestContext(DEMO_TENANT, "dev", LAB))
    assert [(one.level.policy.provider, one.level.policy.metric, one.level.policy.rule.text) for one in found] == [
        ("anthropic", "requests", "48h"),
        ("openai", "tokens", "month"),
        ("serper", "calls", "day"),
    ]
    assert RouteChange.objects.filter(action="BUDGET_SET").count() == 3


def test_the_whole_of_a_policy_can_be_said_and_names_are_as_in_a_request(tenant_context, capsys):
    kept = ("--currency", "USD", "--rollover-cap", "3", "--carry-debt")
    said = told(capsys, "set", "openai", "usd", "--hard", "10", "--window", "month", *kept)
    assert (said["currency"], said["rollover_cap"], said["carry_debt"]) == ("USD", "3", True)
    for name, value in (
        ("--project", "a:b"),
        ("--project", ""),
        ("--user", "a/b"),
        ("--env", "Prod"),
        ("--currency", "$"),
    ):
        with pytest.raises(CommandError, match=name):
            call_command("budget", "set", "openai", "usd", "--level", "user", "--tenant", "acme", name, value)
