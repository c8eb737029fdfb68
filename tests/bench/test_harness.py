"""The arithmetic of the benchmarks: what is counted, in which order, and what comes out."""

import pytest

from bench.harness import Plan, Side, at_least, at_most, compare, percentile, short_calls, spread, timed


class Clock:
    """Time that passes only when somebody works, so that ratios are exact."""

    def __init__(self) -> None:
        self.now = 0.0
        self.worked: list[str] = []

    def side(self, name: str, *costs: float, singly: bool = True) -> Side:
        """A side whose rounds cost, in seconds per call, the given figures in turn."""
        left = list(costs)

        def work(calls: int) -> list[float]:
            cost = left.pop(0)
            self.worked.append(name)
            self.now += cost * calls
            return [cost] * calls if singly else []

        return Side(name, work, lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bench.harness.time.perf_counter", lambda: clock.now)
    return clock


def test_the_ratio_is_the_median_of_the_per_round_ratios(clock):
    ours, base = clock.side("ours", 2.0, 30.0, 4.0), clock.side("base", 1.0, 10.0, 1.0)
    result = compare("it", ours, base, Plan(rounds=3, calls=5, warm_up=0))
    assert result.ratio.median == pytest.approx(3.0)  # of 2, 3 and 4; the ratio of the medians would be 4


def test_a_speed_up_is_base_time_over_our_time(clock):
    result = compare("it", clock.side("ours", 1.0), clock.side("base", 9.0), Plan(1, 1, warm_up=0), faster=True)
    assert result.ratio.median == pytest.approx(9.0)


def test_rounds_alternate_and_so_does_who_begins(clock):
    compare("it", clock.side("A", 1, 1, 1, 1), clock.side("B", 1, 1, 1, 1), Plan(rounds=3, calls=1, warm_up=1))
    assert clock.worked == ["A", "B", "A", "B", "B", "A", "A", "B"]


def test_warm_up_rounds_leave_no_trace_in_the_figures(clock):
    result = compare("it", clock.side("ours", 99, 2), clock.side("base", 99, 1), Plan(1, 4, warm_up=1))
    assert (result.ours.median, result.ours.p99, result.ours.cpu) == pytest.approx((2, 2, 2))


def test_cpu_is_the_mean_per_operation_over_all_rounds(clock):
    result = compare("it", clock.side("ours", 1, 2, 6), clock.side("base", 1, 1, 1), Plan(3, 10, warm_up=0))
    assert result.ours.cpu == pytest.approx(3.0)


def test_operations_that_were_not_timed_singly_have_no_percentiles(clock):
    result = compare("it", clock.side("ours", 1.0), clock.side("base", 1.0, singly=False), Plan(1, 1, warm_up=0))
    assert (result.base.p50, result.base.p99) == (None, None)


def test_the_spread_is_the_median_and_the_quartiles():
    found = spread([4.0, 1.0, 2.0, 5.0, 3.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)


def test_one_round_has_a_spread_too():
    assert spread([7.0]).low == spread([7.0]).high == 7.0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share, expected):
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_a_bar_says_whether_it_was_met(clock):
    slow = compare("it", clock.side("ours", 1.2), clock.side("base", 1.0), Plan(1, 1, warm_up=0))
    assert (at_most(slow, 1.1).met, at_most(slow, 1.25).met) == (False, True)
    assert (at_least(slow, 1.25).met, at_least(slow, 1.1).met) == (False, True)


def test_timed_calls_are_timed_one_by_one():
    calls: list[int] = []
    assert len(timed(lambda: calls.append(1))(7)) == len(calls) == 7


def test_what_the_clock_itself_takes_is_left_out_and_no_call_takes_less_than_nothing():
    assert min(short_calls(int, 100)) >= 0.0
