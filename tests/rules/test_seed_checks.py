"""A seed that contradicts itself is refused before anything is written, with both sides of the contradiction."""

import json
import shutil

import pytest

from rules.checks import findings, refuse_inconsistent
from rules.seeds.reading import DATA, InvalidSeed, read_seed


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(DATA, tmp_path / "data")


def change(folder, name, alter):
    path = folder / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    alter(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def year(content, code, number):
    return next(limit for limit in content["limits"] if limit["code"] == code)["years"][number]


def figure(code, number, value, **more):
    return "irs_limits", lambda content: year(content, code, number).update(value=value, **more)


def calculation(index, **changes):
    return "calculation_rules", lambda content: content["rules"][index].update(changes)


def step(index, **changes):
    return "pipeline", lambda content: content["steps"][index].update(changes)


def field(name, index, **changes):
    return "validation_rules", lambda content: content["fields"][name][index].update(changes)


CONTRADICTIONS = {
    "a total as one source misprints it": (
        (
            "irs_limits",
            lambda it: it["control_totals"]["deferral and catch-up from age 50"]["years"].update({"2026": "32000"}),
        ),
        ("control_total", "deferral and catch-up from age 50.2026", "24500 + 8000 is 32500, not 32000"),
    ),
    "a super catch-up that is not 150 %": (
        figure("CATCH_UP_60_63_414V", "2025", "11000"),
        ("multiple", "CATCH_UP_60_63_414V.2025", "11000, but 1.5 * CATCH_UP_50_414V of 2024 (7500) is 11250.0"),
    ),
    "a carry-over that is not 20 %": (
        figure("HEALTH_FSA_CARRY_OVER", "2026", "660"),
        ("multiple", "HEALTH_FSA_CARRY_OVER.2026", "660, but 0.2 * HEALTH_FSA_125I of 2026 (3400) is 680.0"),
    ),
    "a greatest tax that is not base times rate": (
        figure("SOCIAL_SECURITY_WAGE_BASE", "2025", "176200"),
        ("greatest_tax", "SOCIAL_SECURITY_MAX_EMPLOYEE_TAX.2025", "10918.20, but 176200 * 0.062"),
    ),
    "transit of the wrong year": (
        figure("TRANSIT_132F", "2024", "325"),
        ("multiple", "PARKING_132F.2024", "315, but 1 * TRANSIT_132F of 2024 (325) is 325"),
    ),
    "a forecast": (
        figure("SOCIAL_SECURITY_WAGE_BASE", "2026", "184500", instrument="CBO forecast"),
        ("forecast", "SOCIAL_SECURITY_WAGE_BASE.2026", "a forecast is not law"),
    ),
    "a figure for a year that is not published": (
        ("irs_limits", lambda it: it["limits"][0]["years"].update({"2027": dict(it["limits"][0]["years"]["2026"])})),
        ("not_published", "ELECTIVE_DEFERRAL_402G.2027", "a figure for a year whose limits are not published"),
    ),
    "two sources claimed, one named": (
        figure("ELECTIVE_DEFERRAL_402G", "2025", "23500", sources=["DRDA"]),
        ("sources", "ELECTIVE_DEFERRAL_402G.2025", "verification confirmed with sources DRDA"),
    ),
    "an unverified figure without a note": (
        figure("FUTA_WAGE_BASE", "2024", "7000", verification="unverified"),
        ("unverified_unexplained", "FUTA_WAGE_BASE.2024", "where it comes from"),
    ),
    "a figure that is not in force": (
        figure("CATCH_UP_60_63_414V", "2024", "7500"),
        ("figure_and_status", "CATCH_UP_60_63_414V.2024", "status not_in_force with value 7500"),
    ),
    "a year that one limit leaves out": (
        ("irs_limits", lambda content: content["limits"][0]["years"].pop("2025")),
        ("year_missing", "ELECTIVE_DEFERRAL_402G.2025", "say what is known"),
    ),
    "two rules for one day": (
        ("calculation_rules", lambda content: content["rules"].append(content["rules"][0])),
        ("validity_overlaps", "GLOBAL.FILE_INTAKE", "two rules hold on 2024-01-01"),
    ),
    "a rule that ends before the years do": (
        calculation(0, valid_to="2026-01-01"),
        ("rule_gap", "STEP#0100", "FILE_INTAKE, which does not hold on 2026-01-01"),
    ),
    "a rule that begins after the years do": (
        calculation(0, valid_from="2024-02-01"),
        ("rule_gap", "STEP#0100", "FILE_INTAKE, which does not hold on 2024-01-01"),
    ),
    "a rule that reads a limit that is nowhere": (
        calculation(0, limits=["NOWHERE"]),
        ("limit_unknown", "GLOBAL.FILE_INTAKE", "NOWHERE"),
    ),
    "a step out of order": (step(4, step="STEP#0550"), ("step_number", "STEP#0550", "where STEP#0500 belongs")),
    "a step that nobody numbered": (
        ("pipeline", lambda content: content["steps"].pop(10)),
        ("input_missing", "STEP#1200", "limited_contributions"),
    ),
    "an input that only a later step makes": (
        step(1, inputs=["trade_file"]),
        ("input_missing", "STEP#0200", "reads trade_file, which no earlier step makes"),
    ),
    "a rule of a step that is nowhere": (
        step(1, rules={"calculation": ["NOWHERE"], "validation": [], "limits": []}),
        ("rule_unknown", "STEP#0200", "reads the rule NOWHERE"),
    ),
    "a limit that a step's rule reads behind its back": (
        step(5, rules={"calculation": ["COMPENSATION_CAP_401A17"], "validation": [], "limits": []}),
        ("limit_unnamed", "STEP#0600", "COMPENSATION_401A17"),
    ),
    "a name for a calculation and for a limit": (
        calculation(0, rule_id="TRANSIT_132F"),
        ("name_twice", "TRANSIT_132F", "a calculation rule and a limit"),
    ),
    "an agent without configuration": (step(0, agent="nobody"), ("agent_unknown", "STEP#0100", "nobody")),
    "an example that its rule refuses": (
        field("zip", 0, pattern="x+"),
        ("example", "GLOBAL.zip.1", "refuses '10001'"),
    ),
    "a pattern that is none": (field("zip", 0, pattern="("), ("pattern", "GLOBAL.zip.1", "is none")),
    "a comparison with a field that is nowhere": (
        field("hire_date", 2, options={"operator": ">", "other": "nowhere"}),
        ("field_unknown", "GLOBAL.hire_date.3", "nowhere"),
    ),
    "a client's rule that overrides nothing": (
        ("client_example", lambda content: content["calculation"][0].update(rule_id="NOWHERE")),
        ("overrides_nothing", "client.NOWHERE", "no GLOBAL rule"),
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_found(folder, name):
    (file, alter), (code, place, detail) = CONTRADICTIONS[name]
    change(folder, file, alter)
    found = [one for one in findings(read_seed(folder)) if (one.code, one.place) == (code, place)]
    assert any(detail in one.detail for one in found), findings(read_seed(folder))


def test_a_refusal_names_every_finding(folder):
    change(folder, *figure("TRANSIT_132F", "2024", "325"))
    change(folder, *figure("HEALTH_FSA_CARRY_OVER", "2026", "660"))
    with pytest.raises(InvalidSeed) as refusal:
        refuse_inconsistent(read_seed(folder))
    assert {error.field for error in refusal.value.errors} == {"PARKING_132F.2024", "HEALTH_FSA_CARRY_OVER.2026"}


@pytest.mark.parametrize("value", [23000, 23000.0, "23,000", "1e5", "NaN", "", "23000 "])
def test_a_figure_that_is_no_string_of_digits_is_refused_with_its_place(folder, value):
    change(folder, *figure("ELECTIVE_DEFERRAL_402G", "2024", value))
    with pytest.raises(InvalidSeed) as refusal:
        read_seed(folder)
    assert [error.field for error in refusal.value.errors] == ["limits.0.years.2024.value"]


def test_a_file_that_is_not_there_is_named(folder):
    (folder / "agents.json").unlink()
    with pytest.raises(InvalidSeed, match=r"agents\.json cannot be read"):
        read_seed(folder)
