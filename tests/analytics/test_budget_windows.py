"""Windows: every moment lies in exactly one, whatever the clocks of its zone do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.budgets.windows import CALENDAR, GRAMMAR, window_rule
from northstar.errors import InvalidRequest


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(text: str, moment: str, zone: str = "UTC", anchor: str = "") -> tuple[str, str]:
    window = window_rule(text, zone, anchor).at(at(moment))
    assert window.start
    assert window.end
    return window.start.isoformat()[:16], window.end.isoformat()[:16]


@pytest.mark.parametrize(
    ("text", "moment", "zone", "anchor", "bounds"),
    [
        # the night of 29 March 2026 in Copenhagen has no 02:00 to 03:00: the day has 23 hours
        ("day", "2026-03-29T12:00", "Europe/Copenhagen", "", ("2026-03-28T23:00", "2026-03-29T22:00")),
        # the night of 25 October has 02:00 to 03:00 twice: the day has 25 hours, and each of the two hours is its own
        ("day", "2026-10-25T12:00", "Europe/Copenhagen", "", ("2026-10-24T22:00", "2026-10-25T23:00")),
        ("hour", "2026-10-25T00:30", "Europe/Copenhagen", "", ("2026-10-25T00:00", "2026-10-25T01:00")),
        ("hour", "2026-10-25T01:30", "Europe/Copenhagen", "", ("2026-10-25T01:00", "2026-10-25T02:00")),
        ("hour", "2026-06-01T10:10", "Asia/Kathmandu", "", ("2026-06-01T09:15", "2026-06-01T10:15")),
        # midnight itself is skipped in Beirut on 29 March 2026: the day begins at 01:00
        ("day", "2026-03-28T22:00", "Asia/Beirut", "", ("2026-03-28T22:00", "2026-03-29T21:00")),
        ("day", "2026-03-28T21:59", "Asia/Beirut", "", ("2026-03-27T22:00", "2026-03-28T22:00")),
        # a day that begins at 02:30 begins at 03:30 where that is skipped
        ("day", "2026-03-29T01:10", "Europe/Copenhagen", "02:30", ("2026-03-28T01:30", "2026-03-29T01:30")),
        ("day", "2026-03-29T01:30", "Europe/Copenhagen", "02:30", ("2026-03-29T01:30", "2026-03-30T00:30")),
        ("week", "2027-01-03T23:59", "UTC", "", ("2026-12-28T00:00", "2027-01-04T00:00")),
        ("week", "2026-11-28T12:00", "UTC", "sat", ("2026-11-28T00:00", "2026-12-05T00:00")),
        ("month", "2028-02-29T23:59", "UTC", "", ("2028-02-01T00:00", "2028-03-01T00:00")),
        ("month", "2026-02-28T23:59", "UTC", "", ("2026-02-01T00:00", "2026-03-01T00:00")),
        ("month", "2026-04-30T12:00", "UTC", "31", ("2026-04-30T00:00", "2026-05-31T00:00")),
        ("month", "2026-03-01T00:00", "UTC", "31", ("2026-02-28T00:00", "2026-03-31T00:00")),
        ("month", "2026-11-01T03:00", "America/New_York", "", ("2026-10-01T04:00", "2026-11-01T04:00")),
        ("quarter", "2026-11-28T12:00", "UTC", "", ("2026-10-01T00:00", "2027-01-01T00:00")),
        ("quarter", "2027-01-15T12:00", "UTC", "2", ("2026-11-01T00:00", "2027-02-01T00:00")),
        ("year", "2026-03-31T23:59", "UTC", "04-01", ("2025-04-01T00:00", "2026-04-01T00:00")),
        ("year", "2028-02-29T12:00", "UTC", "02-29", ("2028-02-29T00:00", "2029-02-28T00:00")),
    ],
)
def test_a_calendar_window_follows_its_zones_clock(text, moment, zone, anchor, bounds):
    assert span(text, moment, zone, anchor) == bounds


@pytest.mark.parametrize(
    ("text", "moment", "label"),
    [
        ("week", "2027-01-03T12:00", "2026-W53"),
        ("week", "2027-01-04T00:00", "2027-W01"),
        ("quarter", "2026-12-31T12:00", "2026-Q4"),
    ],
)
def test_a_window_has_the_name_that_people_use(text, moment, label):
    assert window_rule(text).at(at(moment)).label == label


@given(
    st.sampled_from(CALENDAR),
    st.sampled_from(
        ["UTC", "Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia"]
    ),
    st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive
)
def test_windows_follow_one_another_without_gap(text, zone, moment):
    rule = window_rule(text, zone)
    window = rule.at(moment)
    assert window.start is not None
    assert window.end is not None
    assert window.start <= moment < window.end
    if text == "hour" and zone == "Australia/Lord_Howe":
        return  # its clocks change by half an hour: that hour is cut short by the next
    assert rule.at(window.start).key == window.key
    assert rule.at(window.end).start == window.end
    before = rule.before(window)
    assert before is not None
    assert before.end == window.start


def test_a_day_in_two_zones_and_two_hours_of_one_name_have_counters_of_their_own():
    days = {
        window_rule("day", zone).at(at("2026-10-25T12:00")).key for zone in ("UTC", "Europe/Copenhagen", "Asia/Tokyo")
    }
    hours = {window_rule("hour", "Europe/Copenhagen").at(at(f"2026-10-25T0{hour}:30")).key for hour in (0, 1, 2)}
    assert (len(days), len(hours)) == (3, 3)


@pytest.mark.parametrize(("text", "hours"), [("48h", 48), ("72h", 72), ("30d", 720), ("900s", 0.25)])
def test_usage_leaves_a_rolling_window_never_early_and_at_most_one_sub_bucket_late(text, hours):
    rule, moment = window_rule(text), at("2026-02-27T13:37")
    window, whole = rule.at(moment), timedelta(hours=hours)
    bucket = window.bucket
    assert bucket is not None
    assert window.start == moment - whole
    assert bucket >= rule.oldest_bucket(moment + whole - timedelta(microseconds=1))
    assert bucket < rule.oldest_bucket(moment + whole + timedelta(seconds=rule.bucket_seconds + 1))
    assert rule.leaves_at(bucket) - (moment + whole) <= timedelta(seconds=rule.bucket_seconds)
    assert rule.seconds / rule.bucket_seconds <= 100


def test_thirty_days_are_not_a_month():
    days, month = window_rule("30d"), window_rule("month")
    moment = at("2026-03-01T12:00")
    assert days.at(moment).start == at("2026-01-30T12:00")
    assert month.at(moment).start == at("2026-03-01T00:00")
    assert days.at(moment).key == days.at(at("2027-07-07T00:00")).key


@pytest.mark.parametrize(
    "text", ["", "fortnight", "Day", "0d", "48", "48 h", "1.5h", "59s", "401d", "-1d", "lifetime ", "٤h", "1h30m"]
)
def test_an_unknown_window_is_refused_naming_the_accepted_forms(text):
    with pytest.raises(InvalidRequest) as refusal:
        window_rule(text)
    assert GRAMMAR in refusal.value.detail
    assert refusal.value.errors[0].field == "window"


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "europe", "../UTC", "/etc/passwd", "Europe", "UTC\n", "Europe/Copenhagen\x00"]
)
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(InvalidRequest) as refusal:
        window_rule("day", zone)
    assert refusal.value.errors[0].field == "timezone"


@pytest.mark.parametrize(
    ("text", "anchor"),
    [
        ("day", "24:00"),
        ("week", "monday"),
        ("month", "0"),
        ("month", "32"),
        ("quarter", "13"),
        ("year", "13-01"),
        ("hour", "30"),
        ("48h", "1"),
    ],
)
def test_an_anchor_that_does_not_fit_its_window_is_refused(text, anchor):
    with pytest.raises(InvalidRequest) as refusal:
        window_rule(text, "UTC", anchor)
    assert refusal.value.errors[0].field == "anchor"


def test_the_hours_of_a_year_with_two_changes_of_clocks_are_as_many_as_it_has():
    rule = window_rule("hour", "Europe/Copenhagen")
    starts = [at("2026-01-01T00:00") + timedelta(hours=hour) for hour in range(365 * 24)]
    assert all(rule.at(one).end == other for one, other in pairwise(starts))
    assert len({rule.at(one).key for one in starts}) == 8760
