"""The 26 steps of a small payroll, by rules pinned to one revision of a store: to the cent, whatever is published meanwhile."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from django.test import override_settings

from rules.seeding import parts_of, put
from rules.seeds.reading import read_seed
from storage.kinds.rules_errors import NotPublishedError
from storage.kinds.rules_rows import CalculationRule, Figure, Step, ValidationRule
from storage.kinds.rules_store import RulesStore
from tests.rules.payroll import Run
from tests.rules.payroll_data import PAY_DATE, ROSTER, ROWS, payroll_rows
from tests.storage.stores import FilesystemStores

D = Decimal
PLAN = "DEFAULT_BiWeeklyFri"
SMALL_FILE = Figure(value=D("0.5"), unit="rate")
"""One bad row of six is more than the share that GLOBAL allows."""


@pytest.fixture(scope="module")
def seeded(tmp_path_factory) -> Path:
    """A folder with acme's rules, seeded once; northwind, a client, has rules of its own."""
    folder: Path = tmp_path_factory.mktemp("payroll")
    with override_settings(NORTHSTAR_ALLOWED_ROOTS=[str(folder)]):
        stores = FilesystemStores(folder)
        opened: RulesStore = stores.open(RulesStore, "rules_store")
        for _ in put(opened, parts_of(read_seed(), "northwind")):
            pass
        patient = [
            CalculationRule(owner=client, rule_id="QUARANTINE", figures={"max_share": SMALL_FILE})
            for client in ("plain", "northwind")
        ]
        opened.publish(patient, reason="Files of six rows.")
        stores.close()
    return folder


@pytest.fixture
def store(lab, seeded) -> Iterator[RulesStore]:
    """The seeded rules, in a copy for this test alone."""
    copytree(seeded, lab, dirs_exist_ok=True)
    stores = FilesystemStores(lab)
    yield stores.open(RulesStore, "rules_store")
    stores.close()


class Pinned:
    """A client's rules on the pay date, all of one revision."""

    def __init__(self, store: RulesStore, client: str, revision: int) -> None:
        self._store, self._client, self._revision = store, client, revision

    def steps(self) -> list[Step]:
        return list(self._store.get_pipeline(PLAN, PAY_DATE, client_id=self._client, revision=self._revision).value)

    def calculation(self, rule_id: str) -> CalculationRule:
        answer = self._store.get_calculation_rule(self._client, rule_id, PAY_DATE, revision=self._revision)
        assert answer.revision == self._revision
        return answer.value

    def validation(self, field: str) -> list[ValidationRule]:
        answer = self._store.get_validation_rules(self._client, field, PAY_DATE, revision=self._revision)
        return list(answer.value)

    def limit(self, code: str) -> Decimal:
        return self._limits[code]

    @cached_property
    def _limits(self) -> dict[str, Decimal]:
        found = self._store.get_irs_limits(PAY_DATE.year, PAY_DATE, revision=self._revision).value
        return {limit.code: limit.figure.value for limit in found if limit.figure is not None}


def run(store: RulesStore, client: str, between=lambda _step: None, batch: str = "2026-26") -> Run:
    """Return a run whose batch has pinned the newest revision."""
    revision = store.save_batch_state(batch, {"client": client, "stands": "begun"}).rules_revision
    given = {
        "batch_id": batch,
        "inbox": payroll_rows(),
        "pay_date": PAY_DATE,
        "rules_revision": revision,
        "employee_roster": ROSTER,
        "elections": {row["employee_id"]: D(row["deferral_rate"]) for row in ROWS},
        "investment_elections": {"index": D("0.6"), "bonds": D("0.4")},
        "year_to_date": ROSTER,
        "loan_schedule": {one: who.loan for one, who in ROSTER.items() if who.loan},
        "forfeiture_balance": D("250.00"),
        "earlier_runs": [D(5500)] * 6,
        "approvers": ["cfo"],
        "recipients": ["payroll contact"],
    }
    return Run(Pinned(store, client, revision), given, between)


GLOBAL_TOTALS = {
    "pretax": D("2361.11"),
    "roth": D("2370.00"),
    "match": D("699.07"),
    "true_up": D("100.00"),
    "loan": D("50.00"),
    "total": D("5580.18"),
    "employer_funding": D("549.07"),
}


def test_the_26_steps_yield_the_totals_by_hand(store):
    played = run(store, "plain")
    made = played.play()
    assert len(played.done) == 26
    assert made["batch_totals"] == GLOBAL_TOTALS
    assert {type(amount) for amount in made["batch_totals"].values()} == {Decimal}
    assert made["rounded_contributions"]["E-2"]["roth"] == D("2250.00")  # the super catch-up, forced to Roth
    assert made["limit_findings"] == [("E-3", "employer_match", D("75.00"))]  # 72,075 of annual additions
    assert made["eligibility_findings"] == ["E-4"]
    assert [(who, field) for who, field, _ in made["field_findings"]] == [("E-6", "ssn")]
    assert made["closing_entry"]["rules_revision"] == store.rules_revision()


def test_what_is_published_while_a_batch_runs_is_seen_by_the_next_one_only(store):
    stands = store.get_calculation_rule("plain", "MATCH", PAY_DATE).value
    rate = stands.figures["tier_2_rate"].model_copy(update={"value": D(1)})
    generous = stands.model_copy(update={"figures": {**stands.figures, "tier_2_rate": rate}})

    def publish(step: Step) -> None:
        if step.name == "deferral":
            store.publish([generous], reason="A better match, from now on.")

    assert run(store, "plain", publish).play()["batch_totals"] == GLOBAL_TOTALS
    after = run(store, "plain", batch="2026-27").play()["batch_totals"]
    assert after["match"] + after["true_up"] > GLOBAL_TOTALS["match"] + GLOBAL_TOTALS["true_up"]


def test_a_client_with_a_match_of_its_own_gets_it(store):
    """100 % of the first 4 %: the same for whoever defers 5 % or more, and more for 3.33 %."""
    made = run(store, "northwind").play()
    eve = made["rounded_contributions"]["E-5"]
    assert eve["match"] == D("41.11")  # all of it, instead of 39.07
    assert made["batch_totals"]["pretax"] == GLOBAL_TOTALS["pretax"]


def test_a_day_decides_which_catch_up_holds_and_an_unpublished_year_has_no_figures(store):
    def limits_on(day: date) -> Any:
        return store.get_calculation_rule("plain", "CATCH_UP_60_63", day).value.limits

    assert limits_on(date(2024, 12, 31)) == ("CATCH_UP_50_414V",)
    assert limits_on(date(2025, 1, 1)) == ("CATCH_UP_60_63_414V",)
    with pytest.raises(NotPublishedError) as refusal:
        store.get_irs_limits(2027)
    assert refusal.value.last_known_year == 2026
