"""The ledger of a run: per backend, which lines of the behaviour contract were executed, passed, or skipped, and why.

A skip must explain itself by beginning with one of `EXPLAINED`; any other skip of a contract test fails the run.
Works under pytest-xdist: each report carries its lines to the process that writes the summary.
"""

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

EXPLAINED: Final = ("capability:", "emulator:", "service:")
"""What the backend does not promise; what its emulator does not do; the service is not here."""
LEDGER_FILE: Final = "NORTHSTAR_CONTRACT_LEDGER"
"""Environment variable: the file that the ledger is also written to, as JSON."""
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
        """One row per backend, then one per skipped or failed line."""
        rows = [f"{'backend':<16}{'executed':>9}{'passed':>8}{'failed':>8}{'skipped':>9}  lines passed"]
        for backend, records in sorted(self.records.items()):
            by_verdict = {
                verdict: sorted(line for line, record in records.items() if record.verdict == verdict)
                for verdict in ("passed", "failed", "skipped")
            }
            passed, failed, skipped = by_verdict.values()
            counts = f"{len(passed) + len(failed):>9}{len(passed):>8}{len(failed):>8}{len(skipped):>9}"
            rows.append(f"{backend:<16}{counts}  {ranges(passed)}")
            if failed:
                rows.append(f"{'':<16}failed: {ranges(failed)}")
            rows += [
                f"{'':<16}{line} not everywhere: {reason}"
                for line, record in sorted(records.items())
                for reason in sorted(set(record.skipped))
            ]
        return rows + [f"UNEXPLAINED SKIP {skip}" for skip in self.unexplained]

    def as_json(self) -> dict[str, Any]:
        return {
            backend: {
                str(line): {
                    "verdict": record.verdict,
                    "passed": record.passed,
                    "failed": record.failed,
                    "skipped": sorted(set(record.skipped)),
                }
                for line, record in sorted(records.items())
            }
            for backend, records in sorted(self.records.items())
        }


def ranges(numbers: list[int]) -> str:
    """Return sorted numbers as text: 1-3, 5."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]))
    bounds = ((run[0][1], run[-1][1]) for run in runs)
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in bounds)


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip()


def _places(item: pytest.Item) -> list[Any]:
    """Where a test may say which backend it is about: its class, its module."""
    return [getattr(item, name, None) for name in ("cls", "module")]


class LedgerPlugin:
    """Hands each test's lines to its reports, and tells the result at the end of the run."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        lines = sorted({line for marker in item.iter_markers("line") for line in marker.args})
        if lines:
            backend = next((place.backend for place in _places(item) if hasattr(place, "backend")), "shared")
            item.user_properties.append((_PROPERTY, {"lines": lines, "backend": backend}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ledger.count(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.ledger.unexplained:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        path = os.environ.get(LEDGER_FILE)
        if path and not hasattr(session.config, "workerinput"):
            Path(path).write_text(json.dumps(self.ledger.as_json(), indent=2) + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.ledger.records:
            terminalreporter.section("contract ledger")
            for row in self.ledger.summary():
                terminalreporter.write_line(row)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LedgerPlugin(), "contract-ledger")
