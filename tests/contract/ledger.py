"""The ledger of a run: per backend, which lines of the behaviour contract were executed, passed, or skipped, and why.

A skip must explain itself by beginning with one of `EXPLAINED`; any other skip of a contract test fails the run.
Works under pytest-xdist: each report carries its lines to the process that writes the summary.
"""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import pytest

HERE: Final = ("service:", "machine:")
"""The service is not here; this machine cannot show it. Neither says anything of the backend."""
EXPLAINED: Final = ("capability:", "emulator:", *HERE)
"""What the backend does not promise; what its emulator does not do; and the former."""
WRITE: Final = "NORTHSTAR_CAPABILITIES"
"""Environment variable: `write` has a run of all suites write the committed ledger and the page of capabilities."""
SUITES: Final = "tests/contract/"
_PROPERTY: Final = "contract"


@dataclass
class LineRecord:
    """What happened to one line on one backend; `skipped` has the reasons."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.failed:
            return "failed"
        return "passed" if self.passed else "skipped"


@dataclass
class Ledger:
    """Counts reports by backend and line."""

    records: dict[str, dict[int, LineRecord]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(LineRecord))
    )
    unexplained: list[str] = field(default_factory=list)

    def count(self, report: pytest.TestReport) -> None:
        entry = dict(report.user_properties).get(_PROPERTY)
        if not isinstance(entry, dict):
            return
        reason = _reason(report) if report.skipped else ""
        if report.skipped and not reason.startswith(EXPLAINED):
            self.unexplained.append(f"{report.nodeid}: {reason or 'no reason'}")
        for line in entry["lines"]:
            self._record(self.records[entry["backend"]][line], report, reason)

    def _record(self, record: LineRecord, report: pytest.TestReport, reason: str) -> None:
        if report.failed:
            record.failed += 1
        elif report.skipped:
            record.skipped.append(reason)
        elif report.when == "call":
            record.passed += 1

    def summary(self) -> list[str]:
        """One row per backend, then its failed lines, and each reason to skip with the lines that it is for."""
        wide = max(map(len, self.records), default=0) + 2
        rows = [f"{'backend':<{wide}}{'executed':>9}{'passed':>8}{'failed':>8}{'skipped':>9}  lines passed"]
        for backend, records in sorted(self.records.items()):
            by_verdict = {verdict: _lines_of(records, verdict) for verdict in ("passed", "failed", "skipped")}
            passed, failed, skipped = by_verdict.values()
            counts = f"{len(passed) + len(failed):>9}{len(passed):>8}{len(failed):>8}{len(skipped):>9}"
            rows.append(f"{backend:<{wide}}{counts}  {ranges(passed)}")
            if failed:
                rows.append(f"{'':<{wide}}failed: {ranges(failed)}")
        for backend, records in sorted(self.records.items()):
            for reason in sorted({reason for record in records.values() for reason in record.skipped}):
                lines = sorted(line for line, record in records.items() if reason in record.skipped)
                rows.append(f"{backend:<{wide}}not everywhere: {ranges(lines)} ({reason})")
        return rows + [f"UNEXPLAINED SKIP {skip}" for skip in self.unexplained]


def _lines_of(records: dict[int, LineRecord], verdict: str) -> list[int]:
    return sorted(line for line, record in records.items() if record.verdict == verdict)


def ranges(numbers: list[int]) -> str:
    """Return sorted numbers as text: 1-3, 5."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]))
    bounds = ((run[0][1], run[-1][1]) for run in runs)
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in bounds)


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip()


def _backend(item: pytest.Item) -> str:
    """Which backend a test is about: its class says so, or its module."""
    for place in ("cls", "module"):
        name = getattr(getattr(item, place, None), "backend", None)
        if isinstance(name, str):  # and no fixture of that name
            return name
    return "shared"


class LedgerPlugin:
    """Hands each test's lines to its reports, tells the result at the end of the run, and compares it with the committed one."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.suites = Ledger()
        """Of the tests in `SUITES` alone: what the committed ledger is about."""
        self.stale: list[str] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        lines = sorted({line for marker in item.iter_markers("line") for line in marker.args})
        if lines:
            backend = _backend(item)
            item.user_properties.append((_PROPERTY, {"lines": lines, "backend": backend}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ledger.count(report)
        if report.nodeid.startswith(SUITES):
            self.suites.count(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.ledger.unexplained:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        whole = _is_whole(session.config) and session.exitstatus == pytest.ExitCode.OK
        if whole and self.suites.records and not hasattr(session.config, "workerinput"):
            self._compare(session)

    def _compare(self, session: pytest.Session) -> None:
        from tests.contract import capabilities  # noqa: PLC0415 - it imports the drivers, which no other run needs

        if os.environ.get(WRITE) == "write":
            capabilities.write(self.suites)
        self.stale = capabilities.differences(self.suites)
        if self.stale:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.ledger.records:
            terminalreporter.section("contract ledger")
            for row in self.ledger.summary():
                terminalreporter.write_line(row)
        if self.stale:
            terminalreporter.section("the committed ledger is stale: run `python3 make.py capabilities`", red=True)
            for row in self.stale:
                terminalreporter.write_line(row)


def _is_whole(config: pytest.Config) -> bool:
    """Whether all suites run, no test of them left out."""
    root = config.rootpath
    chosen = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    left_out = any(config.getoption(name, None) for name in ("keyword", "markexpr", "deselect", "ignore", "lf"))
    return bool(chosen & {root, root / "tests", root / SUITES}) and not left_out


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LedgerPlugin(), "contract-ledger")
