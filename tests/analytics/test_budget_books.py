"""The books: counters are the sums of their rows, proven or repaired; what a window leaves over; what usage costs."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command

from analytics.budgets.counting import Usage, record_usage, record_usages
from analytics.budgets.errors import BudgetExceeded
from analytics.budgets.figures import figures_for
from analytics.budgets.folding import fold
from analytics.budgets.names import COUNTERS, OPEN, ROWS, TABLE
from analytics.budgets.places import Place, open_place
from analytics.budgets.policies import Terms
from analytics.budgets.reconciling import PROVEN, REPAIRED, reconcile
from analytics.budgets.refusals import refusals
from analytics.budgets.reservations import commit, reserve
from analytics.budgets.setting import Target, adjust, set_policy, set_price
from northstar.errors import InvalidRequest
from routing.models import RouteChange
from storage.errors import BackendUnavailable

TOKENS = Target("openai", "tokens", "tenant")


def use(context, amount, **options):
    return record_usage(context, "openai", "tokens", amount, **options)


def used(context, metric="tokens"):
    return [figure.used // 10**6 for figure in figures_for(context, "openai", metric)]


def verdicts(context, **options):
    return [proof.verdict for proof in reconcile(context, open_place(context, context.project_id), **options)]


@pytest.fixture
def at_noon(time_machine):
    """Noon of 20 November 2026, until moved."""
    time_machine.move_to(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=False)
    return time_machine


def test_a_counter_that_drifted_is_repaired_with_an_audit_row(tenant_context):
    use(tenant_context, 3)
    reserve(tenant_context, "openai", "tokens", 2)
    assert verdicts(tenant_context) == [PROVEN]
    place = open_place(tenant_context, None)
    (counter,) = place.all(COUNTERS)
    place.store.increment(TABLE, counter.key, {"used": 10**6, "total": 10**6})
    assert verdicts(tenant_context, repair=False) == ["drifted"]
    assert verdicts(tenant_context) == [REPAIRED]
    assert verdicts(tenant_context) == [PROVEN]
    row = RouteChange.objects.get(action="BUDGET_RECONCILED")
    assert (row.before, row.after) == ({"used": "4", "reserved": "2"}, {"used": "3", "reserved": "2"})


def test_the_command_proves_and_says_what_it_found(context, tenant_context, capsys):
    set_policy(context, replace(TOKENS, level="project", project="p1"), Terms(hard_limit=5))
    use(context, 3)
    place = open_place(context, "p1")
    place.store.delete(TABLE, place.all(COUNTERS)[0].key)
    with pytest.raises(SystemExit):
        call_command("budget", "reconcile", "--tenant", "acme", "--dry-run")
    assert "p1 budget:usage:openai:tokens:lifetime: drifted" in capsys.readouterr().out
    call_command("budget", "reconcile", "--tenant", "acme", "--format", "json")
    assert [one["verdict"] for one in json.loads(capsys.readouterr().out)] == [REPAIRED]
    assert used(context) == [3]


@pytest.mark.parametrize("window", ["lifetime", "48h"])
def test_folded_rows_leave_the_counter_proven(context, at_noon, window):
    for target in (TOKENS, replace(TOKENS, level="project", project="p1")):
        set_policy(context, target, Terms(hard_limit=100, window=window))
    for number in range(30):
        use(context, 1, key=f"k{number}")
    held = reserve(context, "openai", "tokens", 5, seconds=86_400)
    places = [open_place(context, "p1"), open_place(context, None)]
    later = datetime.now(UTC) + timedelta(days=2, seconds=1)
    assert [fold(replace(context, project_id=place.project), place, later) for place in places] == [30, 30]
    assert [len(place.all(ROWS)) for place in places] == [1, 1]
    commit(context, "openai", "tokens", held.reservation_id, 4)
    assert verdicts(context) == verdicts(replace(context, project_id=None)) == [PROVEN]
    assert used(context) == [34, 34]


@pytest.mark.line(136)
def test_a_window_ends_at_its_instant_and_late_usage_goes_to_its_own(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=5, window="day", grace_seconds=3600))
    at_noon.move_to(datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC), tick=False)
    use(tenant_context, 4)
    held = reserve(tenant_context, "openai", "tokens", 1)
    at_noon.move_to(datetime(2026, 11, 21, tzinfo=UTC), tick=False)
    use(tenant_context, 5)
    commit(tenant_context, "openai", "tokens", held.reservation_id)
    yesterday = datetime(2026, 11, 20, 20, tzinfo=UTC)
    with pytest.raises(BudgetExceeded):
        use(tenant_context, 1, at=yesterday)
    assert used(tenant_context) == [5]
    at_noon.shift(timedelta(hours=1, seconds=1))
    for moment in (yesterday, datetime.now(UTC) + timedelta(hours=1)):
        with pytest.raises(InvalidRequest):
            use(tenant_context, 1, at=moment)


def test_a_rolling_window_lets_in_again_what_has_left_it(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=5, window="48h"))
    use(tenant_context, 3)
    at_noon.shift(timedelta(hours=30))
    use(tenant_context, 2)
    with pytest.raises(BudgetExceeded) as refusal:
        use(tenant_context, 1)
    assert refusal.value.figures["resets_at"] == "2026-11-22T12:30:00.000000Z"
    at_noon.move_to(datetime(2026, 11, 22, 12, 30, tzinfo=UTC), tick=False)
    assert use(tenant_context, 3).levels[0].used == 5 * 10**6
    assert verdicts(tenant_context) == [PROVEN]


def test_unused_limit_rolls_over_up_to_its_cap_and_overspend_is_paid_back(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=10, window="day", mode="warn", rollover_cap=3, carry_debt=True))
    use(tenant_context, 2)
    limits = []
    for amount in (15, 1, 1):
        at_noon.shift(timedelta(days=1))
        limits.append(figures_for(tenant_context, "openai", "tokens")[0].limit)
        use(tenant_context, amount)
    assert limits == [13 * 10**6, 8 * 10**6, 13 * 10**6]


def test_an_increase_ends_and_grants_are_used_up_in_their_order(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=10, window="day"))
    adjust(tenant_context, TOKENS, "increase", 5, until=datetime.now(UTC) + timedelta(hours=1), reason="launch")
    for amount, priority in ((2, 2), (4, 1)):
        adjust(tenant_context, TOKENS, "grant", amount, priority=priority, reason="goodwill")
    use(tenant_context, 21)
    with pytest.raises(BudgetExceeded):
        use(tenant_context, 1)
    at_noon.shift(timedelta(days=1))
    assert figures_for(tenant_context, "openai", "tokens")[0].limit == 10 * 10**6
    assert RouteChange.objects.filter(action="BUDGET_ADJUSTED").count() == 3


def test_an_increase_that_has_ended_leaves_no_debt_behind(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=10, window="day", carry_debt=True))
    adjust(tenant_context, TOKENS, "increase", 5, until=datetime(2026, 11, 21, tzinfo=UTC), reason="launch")
    use(tenant_context, 15)
    at_noon.shift(timedelta(days=1))
    assert figures_for(tenant_context, "openai", "tokens")[0].limit == 10 * 10**6


def test_usage_also_counts_in_dollars_at_the_price_of_its_time(tenant_context, at_noon):
    set_policy(tenant_context, Target("openai", "usd", "tenant"), Terms(hard_limit="0.01", currency="USD"))
    for rate, since in (("0.000002", datetime(2026, 1, 1, tzinfo=UTC)), ("0.5", datetime(2027, 1, 1, tzinfo=UTC))):
        set_price(tenant_context, "openai", "tokens", rate, since=since, source="price list of January")
    receipt = use(tenant_context, 4000)
    assert (receipt.cost, receipt.price_version) == (Decimal("0.008"), "2026-01-01T00:00:00.000000Z")
    with pytest.raises(BudgetExceeded) as refusal:
        use(tenant_context, 1001)
    assert (refusal.value.figures["metric"], refusal.value.figures["requested"]) == ("usd", "0.002002")
    held = reserve(tenant_context, "openai", "tokens", 1000)
    commit(tenant_context, "openai", "tokens", held.reservation_id, 500)
    assert [figure.used for figure in figures_for(tenant_context, "openai", "usd")] == [9000]


@pytest.mark.line(134)
def test_a_refusal_is_recorded_with_its_figures(tenant_context):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=1))
    with pytest.raises(BudgetExceeded):
        use(tenant_context, 2, key="k")
    (told,) = refusals(open_place(tenant_context, None), "openai", "tokens")
    assert (told["level"], told["requested"], told["code"], told["actor"]) == ("tenant", "2", "QUOTA_EXCEEDED", "test")


def test_a_budget_that_fails_open_lets_pass_uncounted_and_one_that_fails_closed_refuses(tenant_context, monkeypatch):
    def away(*_):
        raise BackendUnavailable("away")

    for fail in ("open", "closed"):
        set_policy(tenant_context, TOKENS, Terms(hard_limit=10, fail=fail))
        with monkeypatch.context() as patched:
            patched.setattr(Place, "write", away)
            if fail == "open":
                assert use(tenant_context, 1).counted is False
            else:
                with pytest.raises(BackendUnavailable):
                    use(tenant_context, 1)
    assert used(tenant_context) == [0]


@pytest.mark.line(132)
def test_one_level_costs_one_round_trip_two_places_two_and_a_batch_without_a_budget_none(context, monkeypatch):
    trips: list[str] = []

    def watch(name):
        call = getattr(Place, name)

        def watched(*given, **more):
            trips.append(name)
            return call(*given, **more)

        monkeypatch.setattr(Place, name, watched)

    for name in ("get", "get_many", "page", "write"):
        watch(name)

    def counted(job):
        job()
        trips.clear()
        job()
        return list(trips)

    batch = [Usage(1, f"k{number}") for number in range(1000)]
    assert counted(lambda: record_usages(context, "openai", "tokens", batch)) == []
    set_policy(context, TOKENS, Terms(hard_limit=10_000))
    assert counted(lambda: use(context, 1)) == ["write"]
    for level in ("project", "user"):
        set_policy(context, replace(TOKENS, level=level, project="p1"), Terms(hard_limit=5000))
    assert counted(lambda: use(context, 1)) == ["write", "write"]
    assert (
        len(
            counted(
                lambda: record_usages(
                    context, "openai", "tokens", [replace(one, key=f"{one.key}/{len(trips)}") for one in batch]
                )
            )
        )
        == 2
    )
    assert open_place(context, "p1").all(OPEN)
