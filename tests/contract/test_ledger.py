"""The ledger counts what was run, and accepts no skip without a reason."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.contract.ledger import Ledger, ranges


def report(
    outcome: Any, *, lines: Sequence[int] = (1, 2), reason: str = "", when: Any = "call", backend: str = "filesystem"
) -> pytest.TestReport:
    longrepr = ("file", 1, f"Skipped: {reason}") if outcome == "skipped" else None
    return pytest.TestReport(
        nodeid="tests/test_it.py::test_it",
        location=("tests/test_it.py", 1, "test_it"),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when=when,
        user_properties=[("contract", {"lines": list(lines), "backend": backend})],
    )


def ledger_of(*reports: pytest.TestReport) -> Ledger:
    ledger = Ledger()
    for one in reports:
        ledger.count(one)
    return ledger


def test_a_line_has_passed_when_no_test_of_it_failed():
    ledger = ledger_of(report("passed"), report("failed", lines=[2]), report("passed", when="setup", lines=[3]))
    records = ledger.records["filesystem"]
    assert (records[1].verdict, records[2].verdict) == ("passed", "failed")


def test_a_skip_with_a_reason_is_shown():
    ledger = ledger_of(report("skipped", reason="capability: has no parts"))
    assert not ledger.unexplained
    assert "not everywhere: 1-2 (capability: has no parts)" in "\n".join(ledger.summary())


@pytest.mark.parametrize("reason", ["", "later", "not now: capability"])
def test_a_skip_without_a_reason_is_unexplained(reason):
    assert ledger_of(report("skipped", reason=reason)).unexplained


def test_a_test_that_names_no_line_is_not_counted():
    plain = report("skipped", reason="no database here")
    plain.user_properties = []
    ledger = ledger_of(plain)
    assert not ledger.unexplained
    assert not ledger.records


def test_numbers_are_told_as_ranges():
    assert ranges([1, 2, 3, 5, 7, 8]) == "1-3, 5, 7-8"
    assert ranges([]) == ""
