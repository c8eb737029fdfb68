"""A small payroll file of the last bi-weekly run of 2026, and what the employer knows of the people in it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

D = Decimal
NOTHING = D(0)
PAY_DATE = date(2026, 12, 18)
COMMON = {
    "employment_status": "active",
    "hire_date": "2015-06-01",
    "pay_date": "2026-12-18",
    "pay_frequency": "biweekly",
    "period_start": "2026-12-05",
    "period_end": "2026-12-18",
    "pretax_deferral": "0.00",
    "roth_deferral": "0.00",
}


@dataclass(frozen=True)
class Employee:
    """What the employer knows of one person, and what the year has brought so far."""

    name: str
    born: date
    roth_share: Decimal = NOTHING
    wages_last_year: Decimal = NOTHING
    ytd_compensation: Decimal = NOTHING
    ytd_base: Decimal = NOTHING
    ytd_catch_up: Decimal = NOTHING
    ytd_match: Decimal = NOTHING
    ytd_other: Decimal = NOTHING
    loan: tuple[str, Decimal] | None = None


ROSTER = {
    # Half Roth; the year's match is 100 short, so the last run trues it up.
    "E-1": Employee("Ada", date(1981, 3, 1), D("0.5"), D(100000), D(100000), D(6000), D(0), D(3900)),
    # Attains 62: passes 402(g), fills the super catch-up, which must be Roth at her wages.
    "E-2": Employee("Bea", date(1964, 5, 1), D(0), D(200000), D(250000), D(22500), D(9000), D(10000)),
    # Near the compensation cap, and 375 over annual additions with the match: 75 of it go.
    "E-3": Employee("Cem", date(1986, 1, 9), D(0), D(400000), D(355000), D(24000), D(0), D(14000), D(33700)),
    # Nineteen: may not take part yet.
    "E-4": Employee("Dan", date(2007, 7, 7)),
    # Fractions of a cent, and a loan.
    "E-5": Employee("Eve", date(1990, 2, 2), D(0), D(30000), D(30000), D(1000), D(0), D(950), loan=("L1", D("50.00"))),
}

ROWS = [
    {"employee_id": "E-1", "ssn": "123-45-6701", "gross_pay": "4000.00", "deferral_rate": "0.06"},
    {"employee_id": "E-2", "ssn": "123-45-6702", "gross_pay": "10000.00", "deferral_rate": "0.5"},
    {"employee_id": "E-3", "ssn": "123-45-6703", "gross_pay": "20000.00", "deferral_rate": "0.01"},
    {"employee_id": "E-4", "ssn": "123-45-6704", "gross_pay": "800.00", "deferral_rate": "0.05", "hire_date": "2025-01-01"},
    {"employee_id": "E-5", "ssn": "123-45-6705", "gross_pay": "1234.56", "deferral_rate": "0.0333",
     "loan_number": "L1", "loan_payment": "50.00"},
    {"employee_id": "E-6", "ssn": "666-45-6706", "gross_pay": "100.00", "deferral_rate": "0.05"},
]  # fmt: skip


def payroll_rows() -> list[dict[str, str]]:
    """Return the rows of the file: the last has a number that no person has."""
    return [
        COMMON
        | {
            "first_name": "N",
            "last_name": "N",
            "birth_date": ROSTER[row["employee_id"]].born.isoformat() if row["employee_id"] in ROSTER else "1990-01-01",
            "plan_compensation": row["gross_pay"],
        }
        | row
        for row in ROWS
    ]
