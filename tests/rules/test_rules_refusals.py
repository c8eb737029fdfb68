"""What would make rules wrong is refused before anything is committed, and what was answered once cannot be altered."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from rules.errors import RuleNotFoundError, RulesRefused
from storage.kinds.rules_rows import (
    CalculationRule,
    Figure,
    Limit,
    Retire,
    Step,
    ValidationRule,
)
from tests.rules.places import place_on
from tests.rules.rules_contract import match, rate


@pytest.fixture
def rules(tmp_path):
    with place_on("filesystem", {"base_dir": str(tmp_path / "var")}) as place:
        yield place.open()


@pytest.mark.parametrize("text", ["1_000", "\uff11\uff12", "\u0663", " 12 ", "12\n", "0x1", "Infinity", "sNaN", ""])
def test_a_number_that_people_and_programs_would_read_differently_is_refused(text):
    with pytest.raises(ValidationError):
        Figure(value=text)


@pytest.mark.parametrize("text", ["12", "-0", "+1.50", ".5", "5.", "1E-20"])
def test_every_plain_way_to_write_a_decimal_number_is_taken(text):
    assert Figure(value=text).value.as_tuple() == Figure(value=text.lower()).value.as_tuple()


@pytest.mark.parametrize(
    ("of", "key", "days"),
    [
        ("calculation", {"owner": "acme", "rule_id": "match"}, {"valid_from": "2026-12-31", "valid_to": "2026-01-01"}),
        ("step", {"plan_id": "p", "number": "1"}, {}),
        ("step", {"plan_id": 5, "number": 1}, {}),
        ("limit", {"year": "2026", "code": "x"}, {}),
        ("calculation", {"owner": "plan#gold", "rule_id": "match"}, {}),
        ("calculation", {"owner": "acme"}, {}),
    ],
    ids=["days reversed", "number as text", "name as number", "year as text", "no such level", "key incomplete"],
)
def test_what_is_taken_back_is_named_as_exactly_as_what_is_published(of, key, days):
    with pytest.raises(ValidationError):
        Retire.model_validate({"of": of, "key": key, **days})


def test_a_rule_of_a_level_between_client_and_global_can_be_taken_back(rules):
    rules.publish([match("0.5", owner="PLAN#gold")], reason="seed")
    rules.publish([Retire(of="calculation", key={"owner": "PLAN#gold", "rule_id": "match"})], reason="gone")
    with pytest.raises(RuleNotFoundError):
        rate(rules, "PLAN#gold")


def test_no_rule_begins_on_the_last_day_there_is():
    with pytest.raises(ValidationError):
        match("0.5", valid_from=date.max)


def test_names_that_are_too_long_together_are_refused_before_the_commit(rules):
    with pytest.raises(RulesRefused):
        rules.publish([CalculationRule(owner="PLAN#" + "😀" * 120, rule_id="😀" * 128)], reason="long")
    assert rules.publish([match("0.5")], reason="short").revision == 1


def test_a_unit_that_fits_no_document_is_refused_before_the_commit(rules):
    """Whatever its size: one that was committed and never stored would stop every later publication."""

    def step(number: int, size: int) -> Step:
        return Step(plan_id="p", number=number, name="s", agent="a", description="x" * size)

    rules.publish([step(number, 4000) for number in range(1, 83)], reason="nearly full")
    fits, too_much = 0, 8000  # the largest that is taken, to the byte
    while too_much - fits > 1:
        size = (fits + too_much) // 2
        try:
            rules.publish([step(83, size // 2), step(84, size - size // 2)], reason="?", dry_run=True)
            fits = size
        except RulesRefused:
            too_much = size
    assert too_much < 8000
    assert rules.publish([step(83, fits // 2), step(84, fits - fits // 2)], reason="the largest").revision == 2
    assert rules.publish([match("0.5")], reason="after it").revision == 3


def test_a_revision_that_there_is_not_can_be_neither_restored_nor_promoted_nor_pinned(rules):
    rules.publish([match("0.5")], reason="seed")
    for attempt in (
        lambda: rules.rollback(2, reason="?"),
        lambda: rules.promote(rules, revision=2, reason="?"),
        lambda: rules.save_batch_state("b", {}, rules_revision=2),
    ):
        with pytest.raises(RuleNotFoundError):
            attempt()
    assert rules.get_batch_state("b") is None


def test_what_is_sent_again_because_its_answer_was_lost_is_kept_once_and_answered_as_it_is(rules):
    for send, kept in (
        (lambda content, name: rules.append_audit_entry(content, operation_id=name), rules.audit_entries),
        (
            lambda content, name: rules.save_processing_result("b", 1, content, operation_id=name),
            lambda: rules.processing_results("b"),
        ),
    ):
        first = send({"a": 1}, "op-1")
        assert send({"a": 1}, "op-1") == first
        send({"a": 1}, "op-2")
        assert len(kept().items) == 2


def test_a_moment_is_no_day(rules):
    rules.publish([match("0.5")], reason="seed")
    with pytest.raises(RulesRefused):
        rate(rules, day=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_code_has_one_limit_on_any_day_that_is_asked_about(rules):
    """Of a year that is over its last, of a year to come its first."""
    half, whole = date(2025, 7, 1), Figure(value="1")
    changed = [
        Limit(year=2025, code="a", figure=whole, valid_to=half),
        Limit(year=2025, code="a", figure=Figure(value="2"), valid_from=half),
        Limit(year=2025, code="b", figure=whole),
    ]
    rules.publish(changed, reason="raised in the middle of the year")
    for day, figure in (("2024-12-31", "1"), ("2025-06-30", "1"), ("2025-07-01", "2"), ("2026-01-01", "2")):
        found = rules.get_irs_limits(2025, date.fromisoformat(day)).value
        assert [(one.code, str(one.figure.value)) for one in found] == [("a", figure), ("b", "1")], day


def test_whoever_was_answered_cannot_alter_what_others_are_answered(rules):
    rule: Any = CalculationRule(rule_id="match", figures={"rate": Figure(value="0.5")}, options={"a": "b"})
    rules.publish([rule, ValidationRule(field="ssn", check="one", options={"a": "b"})], reason="seed")
    (check,) = rules.get_validation_rules("acme", "ssn").value
    for answered in (rules.get_calculation_rule("acme", "match").value, check):
        for words in (answered.options, getattr(answered, "figures", answered.options)):
            for harm in ("clear", "popitem"):
                with pytest.raises((TypeError, AttributeError)):
                    getattr(words, harm)()
            with pytest.raises(TypeError):
                words["a"] = words
    assert rules.get_calculation_rule("acme", "match").value == rule
