"""Attribution models: who gets what of a conversion, and that nothing is lost or made on the way."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.attribution.credits import Model, ModelName, apportioned, attribute
from analytics.attribution.paths import TRANSFORMS
from analytics.attribution.touches import Conversion, Touch, micros_of, touch_of, units_of
from northstar.errors import InvalidRequest

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODELS = get_args(ModelName)
ASKED = "analytics/attribution"


def touch(days_before: float, channel: str = "Paid Search") -> Touch:
    return Touch(NOON - timedelta(days=days_before), channel, "given", {}, f"{channel}-{days_before}")


def shares(name: ModelName, *touches: Touch, micros: int = 1_000_000, **options: Any) -> list[int]:
    return [one.micros for one in attribute(Conversion(NOON, micros), touches, Model(name=name, **options)).credits]


SEARCH, SOCIAL, DIRECT = touch(14), touch(7, "Paid Social"), touch(0, "Direct")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("first", [1_000_000, 0, 0]),
        ("last", [0, 0, 1_000_000]),
        ("last_non_direct", [0, 1_000_000, 0]),
        ("linear", [333_334, 333_333, 333_333]),
        ("position_based", [400_000, 200_000, 400_000]),
        ("time_decay", [142_857, 285_714, 571_429]),
    ],
)
def test_each_model_shares_as_its_definition_says(model, expected):
    assert shares(model, SEARCH, SOCIAL, DIRECT) == expected


def test_positions_have_their_weights_and_two_touches_share_all():
    weights = {"first_percent": 30, "last_percent": 60}
    assert shares("position_based", SEARCH, SOCIAL, DIRECT, **weights) == [300_000, 100_000, 600_000]
    assert shares("position_based", SEARCH, SOCIAL, **weights) == [333_333, 666_667]
    assert shares("position_based", SEARCH, **weights) == [1_000_000]


def test_values_are_exact_up_to_their_limit_and_refused_beyond_it():
    long = Decimal("123456789012345678901234.000001")
    assert (micros_of(long), units_of(micros_of(long))) == (123456789012345678901234000001, long)
    assert micros_of(Decimal("-0E-900")) == 0
    for value in ("1E+999999", "1E-999999", "0.0000001", "NaN", "1000000000000000000000001"):
        with pytest.raises(InvalidRequest):
            micros_of(Decimal(value))


def test_a_lookback_may_reach_beyond_all_time():
    early = datetime(1, 1, 2, tzinfo=UTC)
    shared = attribute(Conversion(early, 10), [Touch(early, "Email", "given")], Model(name="last"))
    assert [one.micros for one in shared.credits] == [10]


def test_a_touch_outside_of_the_lookback_or_after_the_conversion_gets_nothing():
    week = timedelta(days=7)
    shared = attribute(Conversion(NOON, 10), [SEARCH, SOCIAL, touch(-1)], Model(name="linear", lookback=week))
    assert [(one.touch.touch_id, one.micros) for one in shared.credits] == [("Paid Social-7", 10)]
    nobody = attribute(Conversion(NOON, 10), [SEARCH], Model(name="linear", lookback=timedelta(days=1)))
    assert (nobody.credits, nobody.unattributed) == ((), 10)


def test_paths_are_changed_before_they_share():
    path = [touch(9), touch(8), touch(7, "Email"), touch(6), touch(5, "Direct"), touch(4, "Direct")]
    assert [one.touch_id for one in TRANSFORMS["collapse_repeats"](path)] == [
        "Paid Search-8",
        "Email-7",
        "Paid Search-6",
        "Direct-4",
    ]
    assert [one.touch_id for one in TRANSFORMS["drop_trailing_direct"](path)][-1] == "Paid Search-6"
    assert [one.touch_id for one in TRANSFORMS["first_of_each"](path)] == ["Paid Search-9", "Email-7", "Direct-5"]
    only = [touch(2, "Direct"), touch(1, "Direct")]
    assert TRANSFORMS["drop_trailing_direct"](only) == only
    assert TRANSFORMS["drop_direct"](only) == only


TOUCHES = st.lists(
    st.builds(
        touch,
        st.floats(min_value=-1, max_value=4000, allow_nan=False),
        st.sampled_from(["Direct", "Email", "Paid Social"]),
    ),
    max_size=25,
)
SHARING = st.builds(
    Model,
    name=st.sampled_from(MODELS),
    lookback=st.none() | st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=3650)),
    transforms=st.lists(st.sampled_from(sorted(TRANSFORMS)), max_size=3).map(tuple),
    first_percent=st.integers(0, 50),
    last_percent=st.integers(0, 50),
    half_life=st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=3650)),
)


@given(st.integers(-(10**18), 10**18), TOUCHES, SHARING)
def test_credits_always_add_up_to_the_value_and_are_off_by_less_than_one(micros, touches, model):
    shared = attribute(Conversion(NOON, micros), touches, model)
    assert sum(one.micros for one in shared.credits) + shared.unattributed == micros
    assert all(one.micros * micros >= 0 for one in shared.credits)


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any))
def test_no_share_is_a_whole_unit_from_its_proportion(micros, weights):
    whole = apportioned(micros, weights)
    assert sum(whole) == micros
    assert all(
        abs(share * sum(weights) - micros * weight) < sum(weights) for share, weight in zip(whole, weights, strict=True)
    )


def test_a_touch_counts_in_the_channel_of_its_tags_click_id_or_referrer():
    paid = {"utm_source": "google", "utm_medium": "cpc"}
    assert touch_of(NOON, paid).channel == "Paid Search"
    assert touch_of(NOON, {}, clicks=["ttclid"]).channel_rule.endswith("+ttclid")
    assert touch_of(NOON, {}, clicks=["fbclid"]).channel == "Direct"
    assert touch_of(NOON, {}, referrer_host="www.bing.com").channel == "Organic Search"
    assert touch_of(NOON, {}, referrer_host="news.example.org").channel == "Referral"


def test_the_api_shares_conversions_by_type_and_sums_them_up(acme_api):
    touches = [
        {"at": "2026-11-01T00:00:00Z", "touch_id": "t1", "utm": {"source": "google", "medium": "cpc"}},
        {"at": "2026-11-02T00:00:00Z", "touch_id": "t2", "utm": {"utm_source": "news", "utm_medium": "email"}},
    ]
    conversions = [
        {"at": "2026-11-03T00:00:00Z", "type": "purchase", "value": "0.000001", "conversion_id": "c1"},
        {"at": "2026-11-03T00:00:00Z", "type": "lead", "value": 10, "conversion_id": "c2"},
    ]
    body = {
        "touches": touches,
        "conversions": conversions,
        "model": {"name": "linear"},
        "models_by_type": {"lead": {"name": "last"}},
    }
    told = acme_api.post(ASKED, body).json()
    by_id = {one["conversion_id"]: one for one in told["conversions"]}
    assert [one["credit_micros"] for one in by_id["c1"]["credits"]] == [1, 0]
    assert [one["credit"] for one in by_id["c2"]["credits"]] == ["0.000000", "10.000000"]
    assert [(one["channel"], one["credit_micros"]) for one in told["totals"]] == [
        ("Email", 10_000_000),
        ("Paid Search", 1),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"conversions": [{"at": "2026-11-03T00:00:00Z", "value": "0.0000001"}]},
        {"model": {"name": "position_based", "first_percent": 60, "last_percent": 60}},
        {"model": {"name": "guess"}},
        {"touches": [{"at": "2026-11-03T00:00:00Z", "channel": "Telepathy"}]},
        {"touches": [{"at": "2026-11-03T00:00:00Z", "utm": {"colour": "red"}, "channel": 1}]},
    ],
)
def test_what_cannot_be_shared_is_refused(acme_api, change):
    body = {"touches": [], "conversions": [{"at": "2026-11-03T00:00:00Z"}], "model": {"name": "linear"}}
    assert acme_api.post(ASKED, {**body, **change}).status_code == 400
