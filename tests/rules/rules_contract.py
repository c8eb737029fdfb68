"""What every rules store promises, the real one on each backend and the reference in memory alike."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from rules.errors import BlueStarError, NotPublishedError, RuleNotFoundError, RulesRefused, StoreError
from rules.protocols import Rules
from storage.documents import ABSENT
from storage.kinds.rules_rows import CalculationRule, Chain, Change, Figure, Limit, Retire, Step, ValidationRule

PLAN = "DEFAULT_BiWeeklyFri"
EXACT = {
    "sum": Decimal("0.1") + Decimal("0.2"),
    "digits": Decimal("1234567890.1234567890123456789012345678"),
    "zeros": Decimal("1.10"),
    "negative zero": Decimal("-0"),
    "small": Decimal("1E-20"),
}


def match(rate: str, **more: Any) -> CalculationRule:
    return CalculationRule(rule_id="match", figures={"rate": Figure(value=Decimal(rate), unit="rate")}, **more)


def rate(rules: Rules, client: str = "acme-corp", day: date | None = None, **more: Any) -> str:
    return str(rules.get_calculation_rule(client, "match", day, **more).value.figures["rate"].value)


def told(numbers: Any) -> dict[str, str]:
    """Return numbers so that 1.10 differs from 1.1, and -0 from 0."""
    return {name: repr(number) for name, number in numbers.items()}


class RulesContract:
    """`rules` is a tenant's empty store, `others` another tenant's in the same place."""

    def test_a_pipeline_is_read_step_by_step_and_a_client_may_have_its_own(self, rules: Rules):
        steps = [Step(plan_id=PLAN, number=number * 100, name=f"s{number}", agent="a") for number in range(1, 27)]
        rules.publish(
            [*reversed(steps), Step(plan_id="acme-corp_BiWeeklyFri", number=5, name="own", agent="a")], reason="seed"
        )
        found = rules.get_pipeline(PLAN)
        assert (found.value, found.resolved_from) == (tuple(steps), "GLOBAL")
        own = rules.get_pipeline(PLAN, client_id="acme-corp")
        assert ([step.number for step in own.value], own.resolved_from) == ([5], "CLIENT")
        assert rules.get_pipeline(PLAN, client_id="bobs").value == tuple(steps)
        with pytest.raises(RuleNotFoundError):
            rules.get_pipeline("NONE_Weekly")

    def test_the_client_s_rule_wins_else_global_s_else_there_is_none(self, rules: Rules):
        ssn = [ValidationRule(field="ssn", number=number, check="pattern") for number in (1, 2)]
        own = ValidationRule(owner="acme-corp", field="ssn", check="required")
        rules.publish([match("0.50"), match("0.60", owner="acme-corp"), *ssn, own], reason="seed")
        assert (rate(rules), rate(rules, "bobs"), rate(rules, "GLOBAL")) == ("0.60", "0.50", "0.50")
        assert rules.get_calculation_rule("acme-corp", "match").resolved_from == "CLIENT"
        assert rules.get_calculation_rule("bobs", "match").resolved_from == "GLOBAL"
        with pytest.raises(RuleNotFoundError):
            rules.get_calculation_rule("acme-corp", "vesting")
        assert rules.get_validation_rules("acme-corp", "ssn").value == (own,)
        assert rules.get_validation_rules("bobs", "ssn").value == tuple(ssn)
        assert rules.get_validation_rules("bobs", "email").value == ()

    def test_whom_a_client_falls_back_to_is_data_with_days_of_its_own(self, rules: Rules):
        chain: list[Change] = [
            Chain(owner="acme-corp", parent="PLAN#gold", valid_from=date(2025, 1, 1)),
            Chain(owner="PLAN#gold", parent="REGION#west"),
        ]
        rules.publish([*chain, match("0.10"), match("0.20", owner="REGION#west")], reason="seed")
        found = rules.get_calculation_rule("acme-corp", "match", date(2025, 1, 1))
        assert (found.resolved_from, found.owner) == ("REGION", "REGION#west")
        assert (rate(rules, day=date(2024, 12, 31)), rate(rules, "bobs")) == ("0.10", "0.10")
        with pytest.raises(RulesRefused):
            rules.publish([Chain(owner="REGION#west", parent="PLAN#gold")], reason="a circle")
        rules.publish([match("0.30", owner="PLAN#gold")], reason="gold")
        assert rate(rules, day=date(2025, 1, 1)) == "0.30"

    def test_a_value_counts_from_its_first_day_until_the_next_and_corrections_keep_what_was_known(self, rules: Rules):
        rules.publish([match("0.50"), match("0.60", owner="bobs", valid_from=date(2024, 1, 1))], reason="seed")
        second = rules.publish([match("0.55", valid_from=date(2030, 7, 1))], reason="from July on").revision
        assert (rate(rules, day=date(2030, 6, 30)), rate(rules, day=date(2030, 7, 1))) == ("0.50", "0.55")
        assert rate(rules, "bobs", date(2023, 12, 31)) == "0.50"
        july = {"valid_from": date(2030, 7, 1), "valid_to": date(2030, 8, 1)}
        rules.publish([match("0.57", **july)], reason="July was wrong")
        assert [rate(rules, day=date(2030, month, 1)) for month in (6, 7, 8)] == ["0.50", "0.57", "0.55"]
        assert [rate(rules, day=date(2030, 7, 1), revision=number) for number in (1, second)] == ["0.50", "0.55"]
        rules.publish([Retire(of="calculation", key={"owner": "bobs", "rule_id": "match"})], reason="as all others")
        assert (rate(rules, "bobs"), rate(rules, "bobs", revision=3)) == ("0.50", "0.60")

    def test_what_stands_already_changes_nothing_and_a_dry_run_only_tells(self, rules: Rules):
        rows: list[Change] = [match("0.50"), Limit(year=2025, code="402(g)", figure=Figure(value=Decimal(23500)))]
        first, again = rules.publish(rows, reason="seed"), rules.publish(rows, reason="seed")
        assert (first.revision, first.changed, again.revision, again.changed) == (1, True, 1, False)
        assert rules.publish([match("0.70")], reason="", dry_run=True).changed
        assert not rules.publish([match("0.70")], reason="seed", keep_existing=True).changed
        assert (rate(rules), rules.rules_revision()) == ("0.50", 1)
        assert rules.publish([match("0.500")], reason="written otherwise").changed

    def test_what_cannot_be_meant_is_refused_and_nothing_is_published(self, rules: Rules):
        rules.publish([match("0.50")], reason="seed")
        with pytest.raises(RulesRefused):
            rules.publish([match("0.1"), match("0.2", valid_from=date(2025, 1, 1))], reason="twice the same day")
        for nothing in ([], [match("0.9")]):
            with pytest.raises(RulesRefused):
                rules.publish(nothing, reason="")
        with pytest.raises(StoreError) as refusal:
            rules.publish([match("0.9")], reason="too late", expect_revision=0)
        assert refusal.value.code == "VERSION_CONFLICT"
        assert (rate(rules), rules.rules_revision()) == ("0.50", 1)

    def test_a_year_has_its_limits_or_says_honestly_why_not(self, rules: Rules):
        limits = [
            Limit(year=year, code=code, figure=Figure(value=Decimal(9))) for year in (2024, 2025) for code in "ba"
        ]
        rules.publish([*limits, Limit(year=2027, code="a", status="not_published")], reason="seed")
        found = rules.get_irs_limits(2024)
        assert [limit.code for limit in found.value] == ["a", "b"]
        for year in (2026, 2027, 2030):
            with pytest.raises(NotPublishedError) as honest:
                rules.get_irs_limits(year)
            assert honest.value.last_known_year == 2025
        with pytest.raises(RuleNotFoundError) as refusal:
            rules.get_irs_limits(1999)
        assert refusal.value.code == "RULE_NOT_FOUND"

    def test_an_earlier_revision_can_be_compared_and_made_to_stand_again(self, rules: Rules):
        rules.publish([match("0.50")], reason="seed")
        rules.publish([match("0.60"), match("0.70", owner="bobs")], reason="a mistake")
        (changed, added) = sorted(rules.diff(1, 2), key=lambda one: len(one.before), reverse=True)
        assert [len(changed.before), len(changed.after), len(added.before), len(added.after)] == [1, 1, 0, 1]
        assert rules.rollback(1, reason="back").revision == 3
        assert (rate(rules), rate(rules, "bobs"), rate(rules, revision=2)) == ("0.50", "0.50", "0.60")
        assert rules.diff(1, 3) == ()
        assert not rules.rollback(1, reason="again").changed
        with pytest.raises(BlueStarError):
            rate(rules, revision=9)

    def test_every_number_comes_back_exactly_as_it_was_given(self, rules: Rules):
        figures = {name: Figure(value=number) for name, number in EXACT.items()}
        rules.publish([CalculationRule(rule_id="exact", figures=figures)], reason="seed")
        found = rules.get_calculation_rule("acme-corp", "exact").value.figures
        assert told({name: figure.value for name, figure in found.items()}) == told(EXACT)
        rules.save_batch_state("b1", {"totals": EXACT})
        rules.save_processing_result("b1", 100, EXACT)
        rules.append_audit_entry(EXACT)
        rules.save_agent_config("a1", EXACT)
        batch, config = rules.get_batch_state("b1"), rules.get_agent_config("a1")
        assert batch is not None
        assert config is not None
        kept = [
            batch.state["totals"],
            config.config,
            rules.processing_results("b1").items[0].result,
            rules.audit_entries().items[0].entry,
        ]
        assert [told(numbers) for numbers in kept] == [told(EXACT)] * 4

    def test_a_float_is_refused_wherever_it_stands(self, rules: Rules):
        for refused in (
            lambda: rules.save_batch_state("b1", {"totals": [{"match": 0.1}]}),
            lambda: rules.save_processing_result("b1", 1, {"total": 0.1}),
            lambda: rules.append_audit_entry({"total": 0.1}),
            lambda: rules.save_agent_config("a1", {"threshold": 0.1}),
        ):
            with pytest.raises(RulesRefused):
                refused()
        with pytest.raises(ValueError, match="exact"):
            Figure(value=0.1)

    def test_a_batch_is_kept_in_versions_and_pins_the_rules_of_its_beginning(self, rules: Rules):
        rules.publish([match("0.50")], reason="seed")
        first = rules.save_batch_state("b1", {"step": 100})
        rules.publish([match("0.60")], reason="meanwhile")
        second = rules.save_batch_state("b1", {"step": 200}, expect=first.version)
        assert (first.rules_revision, second.rules_revision) == (1, 1)
        assert rules.get_batch_state("b1") == second
        for stale in (first.version, ABSENT):
            with pytest.raises(StoreError) as refusal:
                rules.save_batch_state("b1", {"step": 300}, expect=stale)
            assert refusal.value.code in {"VERSION_CONFLICT", "ALREADY_EXISTS"}
        assert rules.save_batch_state("b1", {"step": 300}, rules_revision=2).rules_revision == 2
        assert rules.get_batch_state("b2") is None

    def test_each_run_of_a_step_has_a_row_of_its_own(self, rules: Rules):
        for step in (200, 100, 200):
            rules.save_processing_result("b1", step, {"ok": True})
        assert [one.step for one in rules.processing_results("b1").items] == [100, 200, 200]
        assert rules.processing_results("b2").items == []

    def test_an_audit_entry_is_written_once(self, rules: Rules):
        at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        first = rules.append_audit_entry({"what": "approved"}, entry_id="e1", at=at)
        with pytest.raises(StoreError) as refusal:
            rules.append_audit_entry({"what": "refused"}, entry_id="e1", at=at)
        assert refusal.value.code == "ALREADY_EXISTS"
        rules.append_audit_entry({"what": "more"}, entry_id="e2", at=at)
        assert [one.entry_id for one in rules.audit_entries(date(2026, 3, 1)).items] == ["e1", "e2"]
        assert rules.audit_entries(date(2026, 3, 1)).items[0] == first

    def test_an_agent_s_config_has_revisions_and_the_same_one_again_is_none(self, rules: Rules):
        saved = [rules.save_agent_config("a1", {"model": name}).revision for name in ("x", "y", "y")]
        assert saved == [1, 2, 2]
        newest, first = rules.get_agent_config("a1"), rules.get_agent_config("a1", 1)
        assert (newest.config, first.config) == ({"model": "y"}, {"model": "x"})
        for stale in (1, ABSENT):
            with pytest.raises(StoreError):
                rules.save_agent_config("a1", {"model": "z"}, expect=stale)
        assert (rules.get_agent_config("a1", 9), rules.get_agent_config("a2")) == (None, None)

    def test_another_tenant_has_nothing_of_it(self, rules: Rules, others: Rules):
        rules.publish([match("0.50")], reason="seed")
        rules.save_batch_state("b1", {})
        rules.append_audit_entry({})
        assert (others.rules_revision(), others.get_batch_state("b1"), others.audit_entries().items) == (0, None, [])
        with pytest.raises(RuleNotFoundError):
            rate(others)
