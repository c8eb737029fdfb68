"""What readers get when rules change in the middle of a read: never a mixture, never less than was acknowledged before."""

import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine

from storage.kinds import rules_history
from storage.kinds.rules_errors import StoreError
from storage.kinds.rules_rows import CalculationRule, Chain
from tests.rules.places import Place, place_on
from tests.rules.rules_contract import match, rate

WAIT_SECONDS = 30


@pytest.fixture
def place(settings, tmp_path) -> Iterator[Place]:
    settings.NORTHSTAR_RULES_POLL_SECONDS = 3600.0
    with place_on("filesystem", {"base_dir": str(tmp_path / "var")}) as made:
        yield made


def test_a_batch_that_begins_after_a_publication_pins_it_although_another_thread_is_asking(place):
    place.open().publish([match("1")], reason="first")
    process = place.process()
    rules = place.open(on=process)
    assert rate(rules) == "1"
    asking, go_on = threading.Event(), threading.Event()
    slow = threading.Thread(target=rules.rules_revision)

    def wait(_name: str, _arguments: Any) -> None:
        if threading.current_thread() is slow:
            asking.set()
            go_on.wait(WAIT_SECONDS)

    process.before = wait
    slow.start()
    try:
        assert asking.wait(WAIT_SECONDS)
        acknowledged = place.open().publish([match("2")], reason="second").revision
        assert rules.save_batch_state("b", {}).rules_revision == acknowledged
    finally:
        go_on.set()
        slow.join(WAIT_SECONDS)


def test_a_client_that_moves_to_another_plan_in_the_middle_of_a_read_gets_the_rule_of_one_of_both(place, settings):
    settings.NORTHSTAR_RULES_POLL_SECONDS = 0.0
    other = place.open()
    plans = [match("1", owner="PLAN#gold"), match("2", owner="PLAN#silver"), match("3")]
    other.publish([Chain(owner="acme-corp", parent="PLAN#gold"), *plans], reason="first")
    process = place.process()
    moves = [lambda: other.publish([Chain(owner="acme-corp", parent="PLAN#silver")], reason="moved")]

    def move(_name: str, _arguments: Any) -> None:
        if process.reads == 2 and moves:
            moves.pop()()

    process.before = move
    assert rate(place.open(on=process)) in {"1", "2"}
    assert not moves


def test_a_reader_finds_what_stood_when_a_sheet_gives_it_up_meanwhile(place, monkeypatch):
    monkeypatch.setattr(rules_history, "SHEET_BYTES", 2_000)
    day = date(2026, 6, 1)
    publisher = place.open()
    publisher.publish([match("1", valid_from=date(2026, 1, 1)), CalculationRule(rule_id="other")], reason="first")
    rules = place.open()
    rules.get_calculation_rule("acme-corp", "other")
    for number in range(2, 12):
        publisher.publish([match(str(number), valid_from=date(2020 + number, 1, 1))], reason="more")
    publisher.publish([match("99", valid_from=date(2026, 1, 1))], reason="all of it anew")
    for number in range(2, 12):
        publisher.publish([match(str(number), valid_from=date(2040 + number, 1, 1))], reason="more")
    assert rate(rules, day=day) == "1"


def test_at_midnight_the_next_read_is_of_the_new_day(place):
    rules = place.open()
    rules.publish(
        [match("1", valid_to=date(2027, 1, 1)), match("2", valid_from=date(2027, 1, 1))],
        reason="a rule for the new year",
    )
    with time_machine.travel("2026-12-31T23:59:59Z", tick=False):
        assert [rate(rules), rate(rules)] == ["1", "1"]
    with time_machine.travel("2027-01-01T00:00:00Z", tick=False):
        assert [rate(rules), rate(rules)] == ["2", "2"]


def test_whoever_promotes_into_what_should_be_empty_overwrites_nothing(place):
    source, target = place.open("globex"), place.open()
    source.publish([match("1")], reason="there")
    target.publish([match("2")], reason="here, by somebody else")
    with pytest.raises(StoreError) as refusal:
        target.promote(source, reason="the first rules here", expect_revision=0)
    assert refusal.value.code == "VERSION_CONFLICT"
    assert rate(target) == "2"
