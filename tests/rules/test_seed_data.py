"""The rules that Northstar ships: complete, exact, and with a word on where each figure comes from."""

import json
from decimal import Decimal

import pytest

from rules.checks import findings
from rules.seeds.reading import DATA, read_seed
from rules.seeds.shapes import FIGURES
from tests.docs.test_documents import ROOT

SEED = read_seed()

# As the notices, the procedures and the statute have them: 2024, 2025, 2026.
FIGURES_BY_YEAR = {
    "ELECTIVE_DEFERRAL_402G": "23000 23500 24500",
    "ELECTIVE_DEFERRAL_457B": "23000 23500 24500",
    "CATCH_UP_50_414V": "7500 7500 8000",
    "CATCH_UP_60_63_414V": "- 11250 11250",
    "ROTH_CATCH_UP_WAGES_414V7": "- 145000 150000",
    "ANNUAL_ADDITIONS_415C": "69000 70000 72000",
    "DEFINED_BENEFIT_415B": "275000 280000 290000",
    "COMPENSATION_401A17": "345000 350000 360000",
    "HIGHLY_COMPENSATED_414Q": "155000 160000 160000",
    "KEY_EMPLOYEE_416I": "220000 230000 235000",
    "SIMPLE_DEFERRAL_408P": "16000 16500 17000",
    "SIMPLE_HIGHER_DEFERRAL_408P": "17600 17600 18100",
    "SIMPLE_CATCH_UP_50": "3500 3500 4000",
    "SIMPLE_CATCH_UP_60_63": "- 5250 5250",
    "IRA_CONTRIBUTION_219": "7000 7000 7500",
    "IRA_CATCH_UP_219": "1000 1000 1100",
    "SOCIAL_SECURITY_WAGE_BASE": "168600 176100 184500",
    "SOCIAL_SECURITY_RATE": "0.062 0.062 0.062",
    "SOCIAL_SECURITY_MAX_EMPLOYEE_TAX": "10453.20 10918.20 11439.00",
    "MEDICARE_RATE": "0.0145 0.0145 0.0145",
    "ADDITIONAL_MEDICARE_RATE": "0.009 0.009 0.009",
    "ADDITIONAL_MEDICARE_WITHHOLDING": "200000 200000 200000",
    "ADDITIONAL_MEDICARE_JOINT": "250000 250000 250000",
    "ADDITIONAL_MEDICARE_SEPARATE": "125000 125000 125000",
    "ADDITIONAL_MEDICARE_OTHER": "200000 200000 200000",
    "FUTA_WAGE_BASE": "7000 7000 7000",
    "FUTA_RATE_AFTER_CREDIT": "0.006 0.006 0.006",
    "HSA_SELF_223": "4150 4300 4400",
    "HSA_FAMILY_223": "8300 8550 8750",
    "HSA_CATCH_UP_55_223": "1000 1000 1000",
    "HDHP_MIN_DEDUCTIBLE_SELF": "1600 1650 1700",
    "HDHP_MIN_DEDUCTIBLE_FAMILY": "3200 3300 3400",
    "HDHP_MAX_OUT_OF_POCKET_SELF": "8050 8300 8500",
    "HDHP_MAX_OUT_OF_POCKET_FAMILY": "16100 16600 17000",
    "HEALTH_FSA_125I": "3200 3300 3400",
    "HEALTH_FSA_CARRY_OVER": "640 660 680",
    "DEPENDENT_CARE_JOINT_129": "5000 5000 7500",
    "DEPENDENT_CARE_SEPARATE_129": "2500 2500 3750",
    "TRANSIT_132F": "315 325 340",
    "PARKING_132F": "315 325 340",
    "ESOP_BALANCE_409O": "- 1415000 1455000",
    "ESOP_STEP_409O": "- 280000 290000",
}
STEPS = """
    file_intake layout_detection field_validation employee_matching eligibility compensation deferral catch_up roth_split
    match limits true_up loan_repayment forfeiture rounding totals variance_check approval funding trade_file posting
    confirmation exception_report notification archive audit_close
"""


def test_the_seed_agrees_with_itself():
    assert findings(SEED) == []


def test_the_pipeline_has_its_26_steps_in_order_and_says_that_it_is_an_example():
    assert SEED.pipeline.plan_id == "DEFAULT_BiWeeklyFri"
    assert "An example, authored by" in SEED.pipeline.about
    assert [step.name for step in SEED.pipeline.steps] == STEPS.split()
    assert [step.step for step in SEED.pipeline.steps] == [f"STEP#{100 * number:04d}" for number in range(1, 27)]


def test_the_limits_are_those_of_the_law():
    assert {limit.code for limit in SEED.limits.limits} == set(FIGURES_BY_YEAR)
    for code, figures in FIGURES_BY_YEAR.items():
        wanted = [None if figure == "-" else Decimal(figure) for figure in figures.split()]
        assert [SEED.limits.figure(code, year) for year in ("2024", "2025", "2026")] == wanted, code


def test_every_figure_says_who_says_so():
    for limit in SEED.limits.limits:
        for known in limit.years.values():
            assert (known.value is None) or (known.instrument and known.sources), limit.code
            assert known.value is not None or known.note or known.status in FIGURES, limit.code


def test_no_year_without_published_limits_has_a_figure():
    assert set(SEED.limits.not_published) == {"2027"}
    assert {year for limit in SEED.limits.limits for year in limit.years} == {"2024", "2025", "2026"}


def test_there_are_rules_for_every_field_of_a_payroll_file():
    rules = [rule for rules in SEED.validation.fields.values() for rule in rules]
    assert len(SEED.validation.fields) >= 30
    assert len(rules) >= 60
    assert all(rule.message for rule in rules)


def test_the_page_about_them_counts_right():
    page = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    rules = sum(map(len, SEED.validation.fields.values()))
    assert f"{rules} GLOBAL rules over the {len(SEED.validation.fields)} fields" in page
    assert f"{len(SEED.limits.limits)} limits of 2024, 2025 and 2026" in page


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.name)
def test_no_number_in_a_file_is_a_float(path):
    def refuse(digits):
        raise AssertionError(f"{path.name} has the float {digits}")

    json.loads(path.read_text(encoding="utf-8"), parse_float=refuse)
