"""Agents that run a payroll by the rules of a store: a step reads the rules, and gets the inputs, that its row names."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from rules.field_checks import can_judge, passes
from storage.kinds.rules_rows import CalculationRule, Step, ValidationRule
from tests.rules.payroll_data import PAY_DATE, Employee

D = Decimal


class Rules(Protocol):
    """What a run reads: the rules of one client on the pay date, of one revision."""

    def steps(self) -> list[Step]: ...
    def calculation(self, rule_id: str) -> CalculationRule: ...
    def validation(self, field: str) -> list[ValidationRule]: ...
    def limit(self, code: str) -> Decimal: ...


@dataclass
class At:
    """One step of the run: only what the step names is at hand."""

    step: Step
    rules: Rules
    given: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        assert name in self.step.inputs, f"{self.step.name} does not name {name}"
        return self.given[name]

    def rule(self, rule_id: str) -> CalculationRule:
        assert rule_id in self.step.rules, f"{self.step.name} does not name {rule_id}"
        return self.rules.calculation(rule_id)

    def figure(self, rule_id: str, name: str) -> Decimal:
        return self.rule(rule_id).figures[name].value

    def limit(self, rule_id: str) -> Decimal:
        """The figure of the one limit that a rule applies."""
        (code,) = self.rule(rule_id).limits
        assert code in self.step.rules, f"{self.step.name} does not name {code}"
        return self.rules.limit(code)

    def round(self, rule_id: str, amount: Decimal) -> Decimal:
        figure = next(iter(self.rule(rule_id).figures.values()))
        assert figure.places is not None
        assert figure.rounding is not None
        return amount.quantize(D(1).scaleb(-figure.places), rounding=figure.rounding)

    def hold(self, failed: int, of: int) -> None:
        assert D(failed) / of <= self.figure("QUARANTINE", "max_share"), f"{self.step.name}: too many rows fail"


@dataclass
class Run:
    """A run: what it was given, and what its steps have made."""

    rules: Rules
    data: dict[str, Any]
    between: Callable[[Step], None] = lambda _step: None
    done: list[str] = field(default_factory=list)

    def play(self) -> dict[str, Any]:
        for step in self.rules.steps():
            made = STEPS[step.name](At(step, self.rules, self.data))
            assert set(made) == set(step.outputs), step.name
            self.data |= made
            self.done.append(step.name)
            self.between(step)
        return self.data


def file_intake(at: At) -> dict[str, Any]:
    raw = repr(at["inbox"]).encode()
    assert len(raw) <= at.figure("FILE_INTAKE", "max_bytes")
    return {"payroll_file": at["inbox"], "file_checksum": hashlib.sha256(raw).hexdigest()}


def layout_detection(at: At) -> dict[str, Any]:
    rows = at["payroll_file"]
    names = sorted(set().union(*rows))
    known = [name for name in names if at.rules.validation(name)]
    assert D(len(known)) / len(names) >= at.figure("LAYOUT", "min_header_share")
    return {"layout": names, "rows": rows}


def field_validation(at: At) -> dict[str, Any]:
    good, found = [], []
    rules = {name: at.rules.validation(name) for name in at.step.rules if name.islower()}
    for row in at["rows"]:
        broken = [(name, rule) for name, own in rules.items() for rule in own if _breaks(rule, row.get(name, ""))]
        found += [(row["employee_id"], name, rule.message) for name, rule in broken]
        if not any(rule.severity == "error" for _, rule in broken):
            good.append(row)
    at.hold(len(at["rows"]) - len(good), len(at["rows"]))
    return {"valid_rows": good, "field_findings": found}


def _breaks(rule: ValidationRule, value: str) -> bool:
    return can_judge(rule) and not passes(rule, value)


def employee_matching(at: At) -> dict[str, Any]:
    roster = at["employee_roster"]
    matched = [row for row in at["valid_rows"] if row["employee_id"] in roster]
    lost = [row["employee_id"] for row in at["valid_rows"] if row["employee_id"] not in roster]
    assert D(len(lost)) / len(at["valid_rows"]) <= at.figure("EMPLOYEE_MATCHING", "max_unmatched_share")
    return {"matched_rows": matched, "match_findings": lost}


def eligibility(at: At) -> dict[str, Any]:
    youngest = at.figure("ELIGIBILITY", "min_age")
    may = [
        row
        for row in at["matched_rows"]
        if at["pay_date"].year - at["employee_roster"][row["employee_id"]].born.year >= youngest
    ]
    barred = [row["employee_id"] for row in at["matched_rows"] if row not in may]
    at.hold(len(barred), len(at["matched_rows"]))
    return {"eligible_rows": may, "eligibility_findings": barred}


def compensation(at: At) -> dict[str, Any]:
    pay = {row["employee_id"]: at.round("COMPENSATION_DEFINITION", D(row["gross_pay"])) for row in at["eligible_rows"]}
    cap = at.limit("COMPENSATION_CAP_401A17")
    capped = {
        one: max(min(amount, cap - at["year_to_date"][one].ytd_compensation), D(0)) for one, amount in pay.items()
    }
    return {"compensation": pay, "plan_compensation": capped}


def deferral(at: At) -> dict[str, Any]:
    most = at.figure("DEFERRAL", "max_share")
    elected = {one: min(at["elections"][one], most) * amount for one, amount in at["compensation"].items()}
    return {"elected_deferrals": {one: at.round("DEFERRAL", amount) for one, amount in elected.items()}}


def catch_up(at: At) -> dict[str, Any]:
    base, above = {}, {}
    for one, elected in at["elected_deferrals"].items():
        year: Employee = at["year_to_date"][one]
        base[one] = max(min(elected, at.limit("DEFERRAL_LIMIT_402G") - year.ytd_base), D(0))
        room = max(_catch_up_limit(at, at["employee_roster"][one], at["pay_date"].year) - year.ytd_catch_up, D(0))
        above[one] = min(elected - base[one], room)
    return {"base_deferrals": base, "catch_up_deferrals": above}


def _catch_up_limit(at: At, who: Employee, year: int) -> Decimal:
    age = year - who.born.year
    if at.figure("CATCH_UP_60_63", "min_age") <= age <= at.figure("CATCH_UP_60_63", "max_age"):
        return at.limit("CATCH_UP_60_63")
    return at.limit("CATCH_UP_50") if age >= at.figure("CATCH_UP_50", "min_age") else D(0)


def roth_split(at: At) -> dict[str, Any]:
    pretax, roth = {}, {}
    for one, base in at["base_deferrals"].items():
        above, year = at["catch_up_deferrals"][one], at["year_to_date"][one]
        forced = year.wages_last_year > at.limit("ROTH_CATCH_UP")
        share = at.figure("ROTH_CATCH_UP", "forced_roth_share") if forced else year.roth_share
        roth[one] = at.round("ROTH_SPLIT", base * year.roth_share) + at.round("ROTH_CATCH_UP", above * share)
        pretax[one] = base + above - roth[one]
    return {"pretax_deferrals": pretax, "roth_deferrals": roth}


def _matched(at: At, pay: Decimal, deferred: Decimal) -> Decimal:
    first, second = (at.figure("MATCH", f"tier_{tier}_up_to") * pay for tier in (1, 2))
    in_second = max(min(deferred, second) - first, D(0))
    return at.figure("MATCH", "tier_1_rate") * min(deferred, first) + at.figure("MATCH", "tier_2_rate") * in_second


def match(at: At) -> dict[str, Any]:
    catches = at.rule("MATCH").options["catch_up_is_matched"] == "yes"
    matched = {}
    for one, base in at["base_deferrals"].items():
        deferred = base + (at["catch_up_deferrals"][one] if catches else D(0))
        matched[one] = at.round("MATCH", _matched(at, at["plan_compensation"][one], deferred))
    return {"employer_match": matched}


def limits(at: At) -> dict[str, Any]:
    kept, found = {}, []
    for one, base in at["base_deferrals"].items():
        year: Employee = at["year_to_date"][one]
        assert year.ytd_base + base <= at.limit("DEFERRAL_LIMIT_402G")
        assert year.ytd_catch_up + at["catch_up_deferrals"][one] <= at.limit("CATCH_UP_60_63")
        assert at["plan_compensation"][one] + year.ytd_compensation <= at.limit("COMPENSATION_CAP_401A17")
        amounts = {
            "pretax_deferral": at["pretax_deferrals"][one],
            "roth_deferral": at["roth_deferrals"][one],
            "employer_match": at["employer_match"][one],
        }
        before = year.ytd_base + year.ytd_match + year.ytd_other
        over = max(before + base + amounts["employer_match"] - at.limit("ANNUAL_ADDITIONS"), D(0))
        for kind in at.rule("REDUCTION_ORDER").options["order"].split(","):
            cut = min(over, amounts[kind])
            amounts[kind], over = amounts[kind] - cut, over - cut
            if cut:
                found.append((one, kind, cut))
        kept[one] = amounts | {"deferral": base + at["catch_up_deferrals"][one], "base": base}
    return {"limited_contributions": kept, "limit_findings": found}


def true_up(at: At) -> dict[str, Any]:
    added = {}
    for one, amounts in at["limited_contributions"].items():
        year: Employee = at["year_to_date"][one]
        pay = year.ytd_compensation + at["plan_compensation"][one]
        whole = _matched(at, pay, year.ytd_base + year.ytd_catch_up + amounts["deferral"])
        missing = whole - year.ytd_match - amounts["employer_match"]
        so_far = year.ytd_base + year.ytd_match + year.ytd_other + amounts["base"] + amounts["employer_match"]
        room = at.limit("TRUE_UP") - so_far
        added[one] = at.round("TRUE_UP", max(min(missing, room), at.figure("TRUE_UP", "floor")))
    return {"true_up": added}


def loan_repayment(at: At) -> dict[str, Any]:
    paid, found = {}, []
    for row in at["eligible_rows"]:
        if row.get("loan_number"):
            paid[row["employee_id"]] = D(row["loan_payment"])
            number, due = at["loan_schedule"][row["employee_id"]]
            wrong = abs(D(row["loan_payment"]) - due) > at.figure("LOAN_REPAYMENT", "tolerance")
            found += [number] if wrong or number != row["loan_number"] else []
    return {"loan_repayments": paid, "loan_findings": found}


def forfeiture(at: At) -> dict[str, Any]:
    owed = sum((one["employer_match"] for one in at["limited_contributions"].values()), D(0)) + sum(
        at["true_up"].values()
    )
    return {"forfeiture_applied": min(at["forfeiture_balance"], owed * at.figure("FORFEITURE", "max_share"))}


def rounding(at: At) -> dict[str, Any]:
    exact = {
        one: {
            "pretax": amounts["pretax_deferral"],
            "roth": amounts["roth_deferral"],
            "match": amounts["employer_match"],
            "true_up": at["true_up"][one],
            "loan": at["loan_repayments"].get(one, D(0)),
        }
        for one, amounts in at["limited_contributions"].items()
    }
    rounded = {
        one: {kind: at.round("ROUNDING", amount) for kind, amount in kinds.items()} for one, kinds in exact.items()
    }
    difference = sum(rounded[one][kind] - amount for one, kinds in exact.items() for kind, amount in kinds.items())
    assert abs(difference) <= at.figure("ROUNDING", "max_difference")
    return {"rounded_contributions": rounded, "rounding_difference": difference}


def totals(at: At) -> dict[str, Any]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for kinds in at["rounded_contributions"].values():
        for kind, amount in kinds.items():
            sums[kind] += amount
    sums["total"] = sum(sums.values(), D(0))
    sums["employer_funding"] = sums["match"] + sums["true_up"] - at["forfeiture_applied"]
    parts = sum(amount for kinds in at["rounded_contributions"].values() for amount in kinds.values())
    assert abs(sums["total"] - parts) <= at.figure("BATCH_TOTALS", "tolerance")
    return {"batch_totals": dict(sums)}


def variance_check(at: At) -> dict[str, Any]:
    runs = sorted(at["earlier_runs"][: int(at.figure("VARIANCE", "runs"))])
    share = abs(at["batch_totals"]["total"] - runs[len(runs) // 2]) / runs[len(runs) // 2]
    return {"variance_report": {"share": share, "held": share > at.figure("VARIANCE", "max_share")}}


def approval(at: At) -> dict[str, Any]:
    needed = 2 if at["batch_totals"]["total"] >= at.figure("APPROVAL", "two_from") else 1
    assert len(set(at["approvers"])) >= needed
    return {"approval": {"by": at["approvers"][:needed], "total": at["batch_totals"]["total"]}}


def funding(at: At) -> dict[str, Any]:
    return {"funding_instruction": {"total": at["approval"]["total"], "late_after": at.figure("FUNDING", "due_within")}}


def trade_file(at: At) -> dict[str, Any]:
    orders: dict[tuple[str, str], Decimal] = {}
    for one, kinds in at["rounded_contributions"].items():
        shares = at["investment_elections"]
        assert sum(shares.values()) == at.figure("TRADE_ALLOCATION", "total_share")
        money = sum(kinds.values())
        *first, last = shares
        orders |= {(one, fund): at.round("TRADE_ALLOCATION", money * shares[fund]) for fund in first}
        orders[one, last] = money - sum(orders[one, fund] for fund in first)
    assert sum(orders.values()) == at["funding_instruction"]["total"]
    return {"trade_file": orders}


def posting(at: At) -> dict[str, Any]:
    kept = at["rounded_contributions"]
    entries = {(one, kind): amount for one, kinds in kept.items() for kind, amount in kinds.items() if amount}
    assert len(entries) <= at.figure("POSTING", "max_entries_per_call")
    return {"posted_entries": entries}


def confirmation(at: At) -> dict[str, Any]:
    difference = abs(sum(at["trade_file"].values()) - sum(at["posted_entries"].values()))
    assert difference <= at.figure("CONFIRMATION", "tolerance")
    return {"confirmation": {"difference": difference}}


def exception_report(at: At) -> dict[str, Any]:
    kinds = ("field_findings", "match_findings", "eligibility_findings", "limit_findings", "loan_findings")
    report = {kind: at[kind] for kind in kinds}
    assert sum(map(len, report.values())) <= at.figure("EXCEPTION_REPORT", "max_examples")
    return {"exception_report": report | {"held": at["variance_report"]["held"]}}


def notification(at: At) -> dict[str, Any]:
    assert at.figure("NOTIFICATION", "remind_after") > 0
    return {"notifications": [(whom, len(at["exception_report"])) for whom in at["recipients"]]}


def archive(at: At) -> dict[str, Any]:
    years = at.figure("RETENTION", "min_years")
    return {"archive_keys": {"checksum": at["file_checksum"], "until": PAY_DATE.year + int(years) + 1}}


def audit_close(at: At) -> dict[str, Any]:
    assert at.figure("RETRY", "max_attempts") > 1
    return {
        "closing_entry": {
            "rules_revision": at["rules_revision"],
            "total": at["batch_totals"]["total"],
            "by": at["approval"]["by"],
        }
    }


STEPS: dict[str, Callable[[At], dict[str, Any]]] = {
    step.__name__: step
    for step in (
        file_intake, layout_detection, field_validation, employee_matching, eligibility, compensation, deferral, catch_up,
        roth_split, match, limits, true_up, loan_repayment, forfeiture, rounding, totals, variance_check, approval, funding,
        trade_file, posting, confirmation, exception_report, notification, archive, audit_close,
    )
}  # fmt: skip
