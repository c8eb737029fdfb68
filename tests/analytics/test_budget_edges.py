"""What somebody tries who wants one unit more: odd amounts and times, used-up grants, refunds, crumbs, keys used elsewhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analytics.budgets import folding, recovery, settling
from analytics.budgets.amounts import micros
from analytics.budgets.counting import record_usage
from analytics.budgets.errors import BudgetExceeded, BudgetsChanged
from analytics.budgets.figures import figures_for
from analytics.budgets.folding import fold
from analytics.budgets.names import COUNTERS, FOLDED
from analytics.budgets.places import open_place
from analytics.budgets.policies import Terms
from analytics.budgets.reconciling import PROVEN, reconcile
from analytics.budgets.recovery import recover_due
from analytics.budgets.remembered import Remembered
from analytics.budgets.reservations import commit, reserve, top_up
from analytics.budgets.setting import Target, adjust, set_policy, set_price
from northstar.context import RequestContext
from northstar.errors import IdempotencyMismatch, InvalidRequest
from storage.errors import BackendUnavailable, FloorReached

TOKENS = Target("openai", "tokens", "tenant")
DOLLARS = replace(TOKENS, metric="usd")
BUDGET = "analytics/budgets/openai/tokens"
ACME = RequestContext("acme", "dev", "lab", actor="test")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def use(context, amount, **options):
    return record_usage(context, "openai", "tokens", amount, **options)


def figure(context, metric="tokens"):
    return figures_for(context, "openai", metric)[0]


@pytest.fixture
def at_noon(time_machine):
    """Noon of 20 November 2026, until moved."""
    time_machine.move_to(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=False)
    return time_machine


@pytest.mark.parametrize(
    "amount",
    [
        "1e9999999",
        "1e999999999999999999",
        "1e-9999999",
        f"1.{'0' * 80}1",
        "NaN",
        "sNaN",
        "Infinity",
        "١٢",
        "1_0",
        " 1",
        "1\n",
        "",
        f"0.{'0' * 10_000}",
        1.5,
        True,
    ],
)
def test_an_amount_that_is_not_exactly_a_plain_decimal_is_refused(amount):
    with pytest.raises(InvalidRequest):
        micros(amount)


def test_amounts_are_read_exactly_up_to_their_bounds():
    assert [micros(text) for text in ("999999999999999999.999999", "-0.000001", "1.5e3", "1.50000000", "-0")] == [
        10**24 - 1,
        -1,
        1_500_000_000,
        1_500_000,
        0,
    ]


def test_a_time_that_no_window_holds_is_refused_and_counts_nothing(acme_api):
    for window in ("hour", "day", "week", "year", "48h", "lifetime"):
        path = f"analytics/budgets/x/{window}"
        assert (
            acme_api.put(path, {"hard_limit": 9, "window": window, "timezone": "Pacific/Kiritimati"}).status_code == 201
        )
        for moment in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-09T00:00:00Z"):
            usage = acme_api.post(f"{path}/usage", {"amount": 1, "at": moment})
            checked = acme_api.get(f"{path}/check?at={moment}")
            assert (usage.status_code, checked.status_code) == (400, 400), (window, moment)
            assert {answer.json()["errors"][0]["field"] for answer in (usage, checked)} == {"at"}
        assert acme_api.get(path).json()["usage"] == "0"


def test_a_threshold_is_short_enough_for_the_key_of_its_alert(acme_api):
    refused = acme_api.put(BUDGET, {"hard_limit": 10, "thresholds": [f"{'0' * 1000}80%"]})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "thresholds")


def test_a_list_in_pages_skips_no_name_that_begins_another(acme_api):
    names = ["gpt", "gpt-4", "gpt-4.1", "gpt4"]
    for name in names:
        acme_api.put(f"analytics/budgets/{name}/tokens", {"hard_limit": 1})
    seen, cursor = [], ""
    while cursor is not None:
        page = acme_api.get(f"analytics/budgets?limit=1{cursor and '&cursor=' + cursor}").json()
        seen += [one["provider"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == names


def test_a_grant_that_was_used_up_never_comes_back(tenant_context, at_noon, monkeypatch):
    monkeypatch.setattr(Remembered, "get", lambda *_: None)
    set_policy(tenant_context, TOKENS, Terms(hard_limit=10, window="hour"))
    adjust(tenant_context, TOKENS, "grant", 100, reason="goodwill")
    use(tenant_context, 110)
    for hours in (1, 23, 1, 1, 30, 30 * 24):
        at_noon.shift(timedelta(hours=hours))
        assert figure(tenant_context).limit == 10 * 10**6, hours


def test_a_refund_in_a_rolling_window_gives_back_what_its_own_time_used(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=5, window="100m"))
    began = datetime.now(UTC)
    use(tenant_context, 5)
    at_noon.shift(timedelta(minutes=90))
    with pytest.raises(FloorReached):
        use(tenant_context, -5)
    use(tenant_context, -2, at=began)
    use(tenant_context, 2)
    at_noon.shift(timedelta(minutes=20))
    use(tenant_context, 3)
    with pytest.raises(BudgetExceeded):
        use(tenant_context, "0.000001")


def test_a_rolling_counter_keeps_its_size_whatever_the_mode_and_so_does_what_is_folded(tenant_context, at_noon):
    set_policy(tenant_context, TOKENS, Terms(window="100s", mode="observe"))
    place = open_place(tenant_context, None)
    for _ in range(4):
        for _ in range(2):
            use(tenant_context, 1)
            at_noon.shift(timedelta(seconds=150))
        at_noon.shift(folding.ROWS_KEPT)
        fold(tenant_context, place, datetime.now(UTC))
    (counter,), (folded,) = place.all(COUNTERS), place.all(FOLDED)
    assert len(counter.data) == len({"used", "reserved", "total", "b"})
    assert len(folded.data) <= len({"used", "b"})
    assert [proof.verdict for proof in reconcile(tenant_context, place, repair=False)] == [PROVEN]
    use(tenant_context, 1)
    assert [proof.verdict for proof in reconcile(tenant_context, place, repair=False)] == [PROVEN]


def test_one_row_that_cannot_be_ended_holds_up_no_other(tenant_context, at_noon, monkeypatch):
    set_policy(tenant_context, TOKENS, Terms(hard_limit=5))
    first, _ = (reserve(tenant_context, "openai", "tokens", 1, seconds=seconds) for seconds in (10, 20))
    at_noon.shift(timedelta(minutes=1))
    real = settling.settle

    def settle(context, place, row, state, amount=0):
        if row.key.endswith(first.reservation_id[1:]):
            raise BackendUnavailable("away")
        return real(context, place, row, state, amount)

    monkeypatch.setattr(recovery, "settle", settle)
    place = open_place(tenant_context, None)
    done = recover_due(tenant_context, place, datetime.now(UTC))
    assert (done.rows, type(done.error)) == (1, BackendUnavailable)
    assert figure(tenant_context).reserved == 10**6


def test_a_key_that_reserved_does_not_pass_for_usage(tenant_context):
    reserve(tenant_context, "openai", "tokens", 2, key="k")
    with pytest.raises(IdempotencyMismatch):
        use(tenant_context, 2, key="k")
    use(tenant_context, 2, key="k2")
    with pytest.raises(IdempotencyMismatch):
        reserve(tenant_context, "openai", "tokens", 2, key="k2")


def test_what_is_topped_up_in_crumbs_passes_no_limit_in_dollars(tenant_context):
    set_price(tenant_context, "openai", "tokens", "0.4", since=LONG_AGO, source="list")
    set_policy(tenant_context, DOLLARS, Terms(hard_limit="0.000001"))
    held = reserve(tenant_context, "openai", "tokens", "0.000001")
    for _ in range(2):
        top_up(tenant_context, "openai", "tokens", held.reservation_id, "0.000001")
    with pytest.raises(BudgetExceeded):
        top_up(tenant_context, "openai", "tokens", held.reservation_id, "0.000001")
    commit(tenant_context, "openai", "tokens", held.reservation_id)
    assert figure(tenant_context, "usd").used == 1


def test_a_reservation_is_not_raised_past_a_budget_that_it_does_not_count_in(context, tenant_context):
    project = replace(TOKENS, level="project", project="p1")
    set_policy(context, project, Terms(hard_limit=10))
    held = [reserve(context, "openai", "tokens", 2).reservation_id for _ in range(3)]
    set_policy(context, project, Terms(hard_limit=3, window="day"))
    with pytest.raises(BudgetsChanged):
        top_up(context, "openai", "tokens", held[0], 1)
    with pytest.raises(BudgetsChanged):
        commit(context, "openai", "tokens", held[0], 3)
    assert commit(context, "openai", "tokens", held[0], 2).state == "committed"
    set_policy(context, project, Terms(hard_limit=10))
    top_up(context, "openai", "tokens", held[1], 1)
    set_policy(tenant_context, TOKENS, Terms(hard_limit=10))
    with pytest.raises(BudgetsChanged):
        top_up(context, "openai", "tokens", held[2], 1)


def test_a_check_also_asks_the_budget_in_dollars(acme_api):
    set_price(ACME, "openai", "tokens", "0.5", since=LONG_AGO, source="list")
    acme_api.put("analytics/budgets/openai/usd", {"hard_limit": "1"})
    answers = [acme_api.get(f"{BUDGET}/check?amount={amount}").json() for amount in (2, 3)]
    assert [answer["allowed"] for answer in answers] == [True, False]
    assert {one["metric"] for one in answers[0]["levels"]} == {"tokens", "usd"}
    assert acme_api.post(f"{BUDGET}/usage", {"amount": 3}).status_code == 429


def test_usage_that_has_left_its_rolling_window_still_counts_in_dollars(acme_api):
    set_price(ACME, "openai", "tokens", "0.5", since=LONG_AGO, source="list")
    acme_api.put("analytics/budgets/openai/usd", {"hard_limit": "1"})
    acme_api.put(BUDGET, {"hard_limit": 1, "window": "60s"})
    earlier = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    answer = acme_api.post(f"{BUDGET}/usage", {"amount": 2, "at": earlier})
    assert (answer.status_code, answer.json()["metric"], answer.json()["usage"]) == (201, "tokens", "0")
    assert acme_api.get("analytics/budgets/openai/usd").json()["usage"] == "1"
