"""The pages over rules: steps with their rules, years beside each other, who gets which rule and why, what a revision changed."""

import re
from html import unescape

import pytest

from northstar.context import RequestContext
from routing.changes import create_route
from rules.seeding import parts_of, put
from rules.seeds.reading import read_seed
from storage.kinds.rules_rows import Figure
from storage.opening import open_store
from tests.routing.conftest import CAUSE, draft

ACME = "tenant=acme&env=dev"


def text(answer) -> str:
    """The words of a page, without its tags."""
    assert answer.status_code == 200, answer.content.decode()
    return words(answer)


def words(answer) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


@pytest.fixture
def rules(acme, globex, lab):
    """Acme's rules, seeded, with a client of its own; globex has a route and no rule."""
    for tenant in ("acme", "globex"):
        create_route(draft(tenant, "rules_store", backend_type="filesystem", config={}), CAUSE)
    store = open_store("rules_store", RequestContext("acme", "dev", "lab", actor="user:olga"))
    for _ in put(store, parts_of(read_seed(), "northwind")):
        pass
    return store


def test_a_viewer_reads_a_pipeline_and_another_tenants_is_empty(member, rules):
    viewer = member("viewer")
    page = viewer.get(f"/admin/stores/rules-pipelines/?{ACME}")
    shown = text(page)
    assert "26 steps, from GLOBAL" in shown
    assert re.findall(r"\d{4} file_intake|2600 audit_close", shown) == ["0100 file_intake", "2600 audit_close"]
    (link,) = re.findall(r'href="([^"]+)">CATCH_UP_60_63<', page.content.decode())[:1]
    assert "Catch-up at ages 60 to 63" in text(viewer.get(unescape(link)))
    (link,) = re.findall(r'href="([^"]+)">ANNUAL_ADDITIONS_415C<', page.content.decode())[:1]
    assert "$72,000" in text(viewer.get(unescape(link)))
    assert "seed_rules --tenant globex --env dev" in text(
        viewer.get("/admin/stores/rules-pipelines/?tenant=globex&env=dev")
    )


def test_years_stand_beside_each_other_with_what_changed_and_how_sure_it_is(boss, rules):
    shown = text(boss.get(f"/admin/stores/rules-limits/?{ACME}"))
    assert "2027 is not published. No limits are published for 2027; the last known year is 2026." in shown
    elective = shown[shown.index("Elective deferral, 401(k)") :]
    assert elective.startswith(
        "Elective deferral, 401(k) and 403(b) IRC 402(g)(1) · ELECTIVE_DEFERRAL_402G $23,000 Notice 2023-75 "
        "$23,500 +$500 Notice 2024-80 $24,500 +$1,000 Notice 2025-67 not published"
    )
    assert "not in force $11,250 new Notice 2024-80 $11,250 Notice 2025-67 not published" in shown
    assert "0.6 % Statute single" in shown
    moved = text(boss.get(f"/admin/stores/rules-limits/?{ACME}&first=2025&last=2026&moved=1"))
    assert "Highly" not in moved
    assert "HIGHLY_COMPENSATED_414Q" not in moved
    assert "COMPENSATION_401A17" in moved
    one = text(boss.get(f"/admin/stores/rules-limits/limit/?{ACME}&code=CATCH_UP_60_63_414V"))
    assert "Greenshades, irahelp" in one


def test_it_is_told_which_rule_a_client_gets_and_why_the_others_not(boss, rules):
    own = text(boss.get(f"/admin/stores/rules-chosen/?{ACME}&of=calculation&name=MATCH&client=northwind"))
    assert "Comes from CLIENT northwind" in own
    assert "northwind chosen: the first that has one GLOBAL has one, but was not needed" in own
    assert "figures.tier_1_up_to.value 0.03 0.04" in own
    other = text(boss.get(f"/admin/stores/rules-chosen/?{ACME}&of=calculation&name=MATCH&client=contoso"))
    assert "contoso has none on this day GLOBAL chosen" in other
    then = text(boss.get(f"/admin/stores/rules-chosen/?{ACME}&name=CATCH_UP_60_63&as_of=2024-12-31"))
    assert "Valid 2024-01-01 to 2024-12-31" in then
    nobody = boss.get(f"/admin/stores/rules-chosen/?{ACME}&name=NOWHERE&client=northwind")
    assert nobody.status_code == 404
    assert "RULE_NOT_FOUND" in words(nobody)


def test_a_revision_tells_who_why_and_what(boss, rules):
    rule = rules.get_calculation_rule("any", "APPROVAL").value
    two_from = Figure.model_validate({"value": "100000"})
    rules.publish([rule.model_copy(update={"figures": {**rule.figures, "two_from": two_from}})], reason="See CTRL-12.")
    listed = text(boss.get(f"/admin/stores/rules-revisions/?{ACME}"))
    assert "user:olga See CTRL-12. 1 row: GLOBAL APPROVAL" in listed
    one = text(boss.get(f"/admin/stores/rules-revisions/revision/?{ACME}&number=5"))
    assert "changed GLOBAL: calculation rule APPROVAL" in one
    assert "figures.two_from.value 250000 100000" in one
    assert "4 differences" not in one
    assert "1 difference" in text(boss.get(f"/admin/stores/rules-revisions/compare/?{ACME}&before=4&after=5"))


def test_what_cannot_be_shown_is_told_with_its_next_step(boss, rules):
    for path, said in (
        ("rules-chosen/?name=MATCH&as_of=yesterday", "Write it as 2026-12-31"),
        ("rules-chosen/?name=MATCH&of=step", "is no kind of rule"),
        ("rules-limits/?first=2027&last=2024", "the earlier first"),
        ("rules-pipelines/?plan=NOWHERE", "There is no pipeline"),
        ("rules-revisions/revision/?number=99", "There is no revision 99"),
        ("rules-revisions/compare/?before=1", "Give the numbers of both"),
    ):
        assert said in words(boss.get(f"/admin/stores/{path}&{ACME}")), path
