"""Reading rules in many threads and processes: how often the store is asked, what they see of changes, what when it is away."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from rules.errors import RevisionGone, RuleNotFoundError, StoreError
from storage.errors import BackendUnavailable
from storage.kinds import rules_history, rules_revisions
from storage.kinds.rules_errors import DamagedRules
from storage.kinds.rules_knowledge import forget_after_fork, knowledge_of
from storage.kinds.rules_layout import HEAD, unit_of
from storage.kinds.rules_publishing import Published
from storage.kinds.rules_rows import CalculationRule, Chain, Step, ValidationRule
from storage.kinds.rules_store import RulesStore
from tests.rules.places import Place, place_on
from tests.rules.rules_contract import match, rate

WAIT_SECONDS = 30


@pytest.fixture
def place(settings, tmp_path) -> Iterator[Place]:
    """A place on the filesystem, whose readers look again only when a test has them."""
    settings.NORTHSTAR_RULES_POLL_SECONDS = 3600.0
    with place_on("filesystem", {"base_dir": str(tmp_path / "var")}) as made:
        yield made


def look_again(rules: RulesStore) -> None:
    """As if NORTHSTAR_RULES_POLL_SECONDS had passed in that process."""
    knowledge_of(rules._documents).look_again()


def away(name: str, arguments: Any) -> None:
    raise BackendUnavailable("The service is away.")


@pytest.mark.parametrize("read", ["calculation", "validation", "pipeline", "limits"])
def test_a_cold_read_is_one_round_trip_and_a_warm_one_none(place, read):
    rows = [
        match("0.50"),
        ValidationRule(field="ssn", check="required"),
        Step(plan_id="p", number=1, name="s", agent="a"),
    ]
    place.open().publish(rows, reason="seed")
    cold = place.process()
    rules = place.open(on=cold)
    calls: dict[str, Callable[[], Any]] = {
        "calculation": lambda: rules.get_calculation_rule("acme-corp", "match"),
        "validation": lambda: rules.get_validation_rules("acme-corp", "ssn"),
        "pipeline": lambda: rules.get_pipeline("p"),
        "limits": lambda: missing(rules),
    }
    calls[read]()
    assert cold.calls == ["get_many"]
    for _ in range(100):
        calls[read]()
    assert cold.calls == ["get_many"]


def missing(rules: RulesStore) -> None:
    with pytest.raises(RuleNotFoundError):
        rules.get_irs_limits(1999)


def test_a_chain_that_is_not_known_yet_costs_one_more_round_trip_and_only_once(place):
    chain = [Chain(owner="acme-corp", parent="PLAN#gold"), Chain(owner="PLAN#gold", parent="REGION#west")]
    place.open().publish([*chain, match("0.5", owner="REGION#west"), CalculationRule(rule_id="vest")], reason="seed")
    cold = place.process()
    rules = place.open(on=cold)
    assert (rate(rules), len(cold.calls)) == ("0.5", 2)
    assert rules.get_calculation_rule("acme-corp", "vest").owner == "GLOBAL"
    assert len(cold.calls) == 3  # client, plan, region and GLOBAL at once


def test_a_thousand_cold_readers_cause_one_query(place):
    place.open().publish([match("0.50")], reason="seed")
    cold, arrived = place.process(), threading.Barrier(1000)
    rules = place.open(on=cold)

    def read(_: int) -> str:
        arrived.wait(WAIT_SECONDS)
        return rate(rules)

    threading.stack_size(256 * 1024)
    try:
        with ThreadPoolExecutor(1000) as pool:
            assert set(pool.map(read, range(1000))) == {"0.50"}
    finally:
        threading.stack_size(0)
    assert cold.calls == ["get_many"]


def test_a_batch_that_pinned_a_revision_sees_one_snapshot_through_all_its_steps(place):
    writer, agent = place.open(), place.open()
    writer.publish([match("0"), CalculationRule(rule_id="vest", name="0")], reason="seed")
    pinned = agent.save_batch_state("b1", {}).rules_revision
    seen: list[tuple[str, str]] = []
    for step in range(1, 27):
        change = [match(str(step)), CalculationRule(rule_id="vest", name=str(step))]
        writer.publish(change, reason="while a batch runs")
        look_again(agent)
        vest = agent.get_calculation_rule("acme-corp", "vest", revision=pinned)
        seen.append((rate(agent, revision=pinned), vest.value.name))
        assert rate(agent) == str(step)  # who has no pin sees the newest
    assert set(seen) == {("0", "0")}


def test_another_process_sees_a_change_when_it_looks_again_and_keeps_what_has_not_changed(place):
    place.open().publish([match("0.50"), CalculationRule(rule_id="vest")], reason="seed")
    reading = place.process()
    rules = place.open(on=reading)
    rate(rules)
    rules.get_calculation_rule("acme-corp", "vest")
    place.open().publish([match("0.60")], reason="more")
    assert rate(rules) == "0.50"
    look_again(rules)
    asked = len(reading.calls)
    assert rate(rules) == "0.60"
    assert rules.get_calculation_rule("acme-corp", "vest").revision == 2
    assert len(reading.calls) == asked + 2  # the head, and the one sheet that changed


def test_what_was_read_just_before_the_head_moved_is_read_again(place):
    """A read of many documents is no snapshot: the sheet may be older than the head that came with it."""
    writer = place.open()
    writer.publish([match("0.50")], reason="seed")
    racing = place.process()
    read = racing.driver.get_many

    def old_sheets_new_head(refs: Any) -> Any:
        racing.driver.get_many = read
        before = read(refs)
        writer.publish([match("0.60")], reason="at this very moment")
        return [read([ref])[0] if ref.key == HEAD.key else one for ref, one in zip(refs, before, strict=True)]

    racing.driver.get_many = old_sheets_new_head
    assert rate(place.open(on=racing)) == "0.60"


def test_a_publisher_that_dies_after_the_commit_is_finished_by_the_next(place, monkeypatch):
    place.open().publish([match("0.50")], reason="seed")
    dying = place.process()

    def die(name: str, arguments: Any) -> None:
        if name == "put_many":
            raise KeyboardInterrupt

    dying.before = die
    with pytest.raises(KeyboardInterrupt):
        place.open(on=dying).publish([match("0.60"), CalculationRule(rule_id="vest")], reason="dies")
    assert rate(place.open()) == "0.50"  # nobody sees half of it
    assert place.open().publish([match("0.60")], reason="the same again").revision == 2
    assert rate(place.open()) == "0.60"
    assert place.open().get_calculation_rule("acme-corp", "vest").revision == 2


def test_publishers_at_the_same_time_make_one_revision_each(place):
    stores = [place.open() for _ in range(4)]

    def publish(number: int) -> int:
        published: Published = stores[number % 4].publish([CalculationRule(rule_id=f"r{number}")], reason="at once")
        return published.revision

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(publish, range(12))) == list(range(1, 13))
    rules = place.open()
    assert {rules.get_calculation_rule("x", f"r{number}").value.rule_id for number in range(12)} == {
        f"r{number}" for number in range(12)
    }


def test_with_the_store_away_what_was_known_last_is_told_as_such_or_refused(place):
    place.open().publish([match("0.50")], reason="seed")
    reading = place.process()
    rules = place.open(on=reading)
    rate(rules)
    reading.before = away
    look_again(rules)
    found = rules.get_calculation_rule("acme-corp", "match", max_stale=3600)
    assert (str(found.value.figures["rate"].value), found.stale) == ("0.50", True)
    with pytest.raises(StoreError) as refusal:
        rules.get_calculation_rule("acme-corp", "match", max_stale=0)
    assert (refusal.value.code, refusal.value.retryable) == ("BACKEND_UNAVAILABLE", True)
    with pytest.raises(StoreError):
        rules.get_calculation_rule("acme-corp", "never asked for", max_stale=3600)
    pinned = rules.get_calculation_rule("acme-corp", "match", revision=1, max_stale=0)
    assert not pinned.stale  # a revision never changes
    reading.before = None
    look_again(rules)
    assert not rules.get_calculation_rule("acme-corp", "match").stale


def test_a_unit_that_changed_very_often_is_answered_from_its_rows_and_at_last_not_at_all(place, monkeypatch):
    monkeypatch.setattr(rules_history, "SHEET_BYTES", 4000)
    rules = place.open()
    for number in range(1, 30):
        rules.publish([match(str(number), valid_from=date(2000 + number, 1, 1))], reason="every year")
    for number in (2, 15, 29):
        assert rate(rules, day=date(2000 + number, 6, 1), revision=number) == str(number)
    for number in range(30, 60):
        rules.publish([match(str(number), valid_from=date(2050, 1, 1))], reason="the same year again and again")
    assert rate(rules, day=date(2050, 6, 1)) == "59"
    with pytest.raises(RevisionGone):
        rate(rules, day=date(2050, 6, 1), revision=31)


def test_the_head_tells_of_recent_changes_only_and_forgets_whole_revisions(place, monkeypatch):
    monkeypatch.setattr(rules_revisions, "RECENT_UNITS", 3)
    reading = place.open()
    for number in range(4):
        place.open().publish(
            [CalculationRule(rule_id=f"r{one}", name=str(number)) for one in range(2 + number)], reason="w"
        )
        look_again(reading)
        assert [reading.get_calculation_rule("x", f"r{one}").value.name for one in range(2 + number)] == [
            str(number)
        ] * (2 + number)


def test_a_store_that_was_restored_to_an_earlier_revision_is_believed(place):
    """And nothing of the revisions that it has lost is told any more, by memory or cache."""
    writer, agent = place.open(), place.open()
    writer.publish([match("0.50")], reason="seed")
    places = [HEAD, unit_of(match("0.50")).sheet]
    backup = writer._documents.get_many(places)
    writer.publish([match("0.60")], reason="lost")
    assert rate(agent) == "0.60"
    for document in backup:
        writer._documents.put(document.ref, document.fields)
    assert rate(agent) == "0.60"
    look_again(agent)
    assert (rate(agent), agent.rules_revision()) == ("0.50", 1)


def test_damaged_rules_are_told_as_such(place):
    rules = place.open()
    rules.publish([match("0.50", valid_to=date(2026, 1, 1)), match("0.60", valid_from=date(2026, 1, 1))], reason="seed")
    sheet = rules._documents.get(unit_of(match("0")).sheet)
    harms: list[dict[str, Any]] = [{"to": None}, {"body": {}}]
    for harm in harms:
        entries = [{**entry, **harm} for entry in sheet.fields["entries"]]
        rules._documents.put(sheet.ref, {**sheet.fields, "entries": entries})
        with pytest.raises(DamagedRules):
            rate(place.open(), day=date(2026, 6, 1))


def test_a_forked_process_waits_for_no_thread_of_its_parent(place):
    rules = place.open()
    rules.publish([match("0.50")], reason="seed")
    knowledge = knowledge_of(rules._documents)
    with knowledge._lock, knowledge._asking:
        forget_after_fork()  # as the child does
        assert knowledge_of(rules._documents) is not knowledge
    assert rate(place.open()) == "0.50"


def test_rules_are_the_tenant_s_whichever_surface_asks(place):
    place.open(surface_id="squared2").publish([match("0.50")], reason="seed")
    assert rate(place.open()) == "0.50"
    assert place.open(project_id="atlas").rules_revision() == 0
