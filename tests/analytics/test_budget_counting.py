"""Counting against budgets: at every level or at none, once per key, in the window of the usage."""

from decimal import Decimal

import pytest

from analytics.budgets.counting import Usage, record_usage, record_usages
from analytics.budgets.errors import BudgetExceeded
from analytics.budgets.policies import Terms
from analytics.budgets.reservations import commit, release, reserve, top_up
from analytics.budgets.setting import Target, set_policy
from northstar.errors import IdempotencyMismatch, QuotaExceeded


def limit(context, level, hard, **terms):
    project = context.project_id if level != "tenant" else None
    return set_policy(context, Target("openai", "tokens", level, project), Terms(hard_limit=hard, **terms))


def used(receipt):
    return {figure.level.name: (figure.used // 10**6, figure.reserved // 10**6) for figure in receipt.levels}


@pytest.fixture
def three_levels(context):
    """Ten for the tenant, eight for the project, five for each of its users."""
    for level, hard in (("tenant", 10), ("project", 8), ("user", 5)):
        limit(context, level, hard)


def test_usage_counts_at_every_level_that_has_a_budget(context, three_levels):
    assert used(record_usage(context, "openai", "tokens", "2.5")) == {
        "tenant": (2, 0),
        "project": (2, 0),
        "user": (2, 0),
    }
    assert used(record_usage(context, "openai", "tokens", Decimal("0.5"))) == {
        "tenant": (3, 0),
        "project": (3, 0),
        "user": (3, 0),
    }


def test_a_refusal_names_the_level_and_counts_nowhere(context, three_levels):
    record_usage(context, "openai", "tokens", 5)
    with pytest.raises(QuotaExceeded) as refusal:
        record_usage(context, "openai", "tokens", 1)
    assert refusal.value.facts() | {"resets_at": None} == {
        "provider": "openai",
        "metric": "tokens",
        "level": "user",
        "limit": "5",
        "used": "5",
        "reserved": "0",
        "requested": "1",
        "resets_at": None,
    }


def test_what_the_tenant_refuses_the_project_gives_back(context, three_levels, tenant_context):
    record_usage(tenant_context, "openai", "tokens", 8)
    with pytest.raises(BudgetExceeded) as refusal:
        record_usage(context, "openai", "tokens", 3, key="k")
    assert refusal.value.figures["level"] == "tenant"
    assert used(record_usage(context, "openai", "tokens", 2, key="k2")) == {
        "tenant": (10, 0),
        "project": (2, 0),
        "user": (2, 0),
    }


def test_a_key_counts_once_and_a_refused_one_may_be_used_again(context, three_levels, tenant_context):
    record_usage(tenant_context, "openai", "tokens", 8)
    with pytest.raises(BudgetExceeded):
        record_usage(context, "openai", "tokens", 3, key="k")
    limit(context, "tenant", 20)
    for replayed in (False, True):
        receipt = record_usage(context, "openai", "tokens", 3, key="k")
        assert receipt.replayed is replayed
        assert used(receipt) == {"tenant": (11, 0), "project": (3, 0), "user": (3, 0)}
    with pytest.raises(IdempotencyMismatch):
        record_usage(context, "openai", "tokens", 4, key="k")


def test_a_reservation_holds_and_its_commit_gives_the_rest_back(context, three_levels):
    held = reserve(context, "openai", "tokens", 4)
    assert used(held) == {"tenant": (0, 4), "project": (0, 4), "user": (0, 4)}
    with pytest.raises(BudgetExceeded):
        reserve(context, "openai", "tokens", 2)
    assert used(top_up(context, "openai", "tokens", held.reservation_id, 1)) == {
        "tenant": (0, 5),
        "project": (0, 5),
        "user": (0, 5),
    }
    done = commit(context, "openai", "tokens", held.reservation_id, 3)
    assert used(done) == {"tenant": (3, 0), "project": (3, 0), "user": (3, 0)}
    other = reserve(context, "openai", "tokens", 2)
    assert used(release(context, "openai", "tokens", other.reservation_id)) == used(done)


def test_a_batch_counts_what_fits(context, three_levels):
    usages = [Usage(1, f"k{number}") for number in range(8)]
    assert record_usages(context, "openai", "tokens", usages, partial=True) == 5
    with pytest.raises(QuotaExceeded):
        record_usages(context, "openai", "tokens", usages)
