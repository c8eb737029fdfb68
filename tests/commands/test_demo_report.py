"""The demo's report counts a promise as kept only when it was seen to be."""

from io import StringIO

import pytest
from django.core.management.base import OutputWrapper

from northstar.console import Out
from northstar.demo.report import Report


@pytest.fixture
def told():
    return StringIO()


@pytest.fixture
def report(told) -> Report:
    return Report(Out(OutputWrapper(told)))


def test_one_broken_promise_breaks_the_whole_report(report):
    report.check("the sun rises", True, "at six")
    report.check("the moon is a cheese", False, "a stone")
    assert not report.ok


def test_a_report_that_saw_nothing_promises_nothing(report):
    assert not report.ok


def test_what_was_seen_stands_beside_what_was_expected(report, told):
    report.equal("two and two", 4, 5)
    assert told.getvalue() == "  NOT two and two: 5, expected 4\n"


def test_off_a_terminal_the_table_is_one_line_per_promise(report, told):
    report.check("[brackets] stay", True, "as they are")
    told.truncate(0)
    told.seek(0)
    report.table()
    assert told.getvalue() == "== Verified\nok\t[brackets] stay\tas they are\n"


def test_off_a_terminal_progress_is_one_line(report, told):
    assert list(report.each("put", ["a", "b"])) == ["a", "b"]
    assert told.getvalue() == "put: 2\n"
