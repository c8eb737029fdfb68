"""Runs the suites of tests/contract, the very ones that every driver is tested with, in the scratch places of a route.

The only module outside of tests that needs pytest, so the command imports it when it knows that pytest is here.
"""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings

from northstar.conformance.scratch import Scratch
from storage.config import MASK
from storage.keys import Scope
from storage.registry import BLOBS, DOCUMENTS

SUITES: Final = {BLOBS: "tests/contract/route_blobs.py", DOCUMENTS: "tests/contract/route_documents.py"}
_DETAIL_LINES: Final = 12


class SuitesFailed(Exception):
    """The suites could not be run at all; the message says why."""


@dataclass(slots=True)
class Line:
    """One line of the contract: how many of its tests passed and failed, and why others were skipped."""

    number: int
    tests: int = 0
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.failed:
            return "failed"
        return "passed" if self.passed else "skipped"

    @property
    def seen(self) -> int:
        """How many of its tests have ended."""
        return self.passed + self.failed + len(self.skipped)


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed, with the lines that it stands for and what was seen."""

    test: str
    lines: tuple[int, ...]
    detail: str


@dataclass(slots=True)
class Result:
    """What a run has seen; `interrupted` when it was stopped before its end."""

    lines: dict[int, Line] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    tests: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """The lines of every test chosen, by its name."""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether there was something to see, all of it, and none of it failed."""
        return bool(self.lines) and not self.failures and not self.interrupted


def collect(primitive: str, lines: Collection[int]) -> Result:
    """Return the tests of these lines, or of all for none, without running them. Raises SuitesFailed."""
    return _run(primitive, _Collector(lines), "--collect-only")


def run(primitive: str, lines: Collection[int], scratch: Scratch, told: Callable[[Line], None]) -> Result:
    """Run the tests of these lines, or all for none, calling `told` with each line as its last test ends.

    Ctrl-C ends the run early and is no error. Cleaning the scratch is the caller's. Raises SuitesFailed.
    """
    return _run(primitive, _Runner(lines, scratch, told), "--capture=no")


def _run(primitive: str, plugin: "_Collector", *options: str) -> Result:
    root = Path(settings.BASE_DIR)
    suites = root / SUITES[primitive]
    if not suites.is_file():
        raise SuitesFailed(f"{suites} is not here: run this in a checkout of the repository, which has the suites.")
    own = ["-c", os.devnull, f"--rootdir={root}", f"--confcutdir={suites.parent}", "--disable-plugin-autoload"]
    quiet = ["-p", "no:terminal", "-p", "no:cacheprovider"]
    code = pytest.main([str(suites), *own, *quiet, *options], plugins=[plugin])
    if plugin.broken or code in {pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR}:
        raise SuitesFailed(f"The suites could not be run: {plugin.broken or code}")
    return plugin.result


class _Collector:
    """A pytest plugin that chooses tests by their lines and brings them into the lines' order."""

    def __init__(self, lines: Collection[int]) -> None:
        self._wanted = frozenset(lines)
        self.result = Result()
        self.broken = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "line(*numbers): the lines of the contract that this test executes")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = str(report.longrepr)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = {item: lines for item in items if (lines := self._lines(item))}
        items[:] = sorted(chosen, key=lambda item: chosen[item])
        for item in items:
            self.result.tests[_name(item.nodeid)] = chosen[item]
            for number in chosen[item]:
                self.result.lines.setdefault(number, Line(number)).tests += 1

    def _lines(self, item: pytest.Item) -> tuple[int, ...]:
        lines = {number for marker in item.iter_markers("line") for number in marker.args}
        return tuple(sorted(lines & self._wanted if self._wanted else lines))


class _Runner(_Collector):
    """Opens the route's documents or objects for the tests, and counts what became of them."""

    def __init__(self, lines: Collection[int], scratch: Scratch, told: Callable[[Line], None]) -> None:
        super().__init__(lines)
        self._scratch = scratch
        self._told = told
        self._places = count(1)
        self._outcomes: dict[str, pytest.TestReport] = {}

    @pytest.fixture
    def open_documents(self) -> Callable[..., Any]:
        """Documents in a place that no other test has."""
        return self._opener()

    @pytest.fixture
    def open_blobs(self) -> Callable[..., Any]:
        """Objects in a place that no other test has."""
        return self._opener()

    def _opener(self) -> Callable[..., Any]:
        place = next(self._places)

        def open_them(tenant: str = "acme", env: str = "dev", project: str | None = None, surface: str = "_") -> Any:
            return self._scratch.open(place, Scope(tenant, env, project, surface))

        return open_them

    def pytest_keyboard_interrupt(self) -> None:
        self.result.interrupted = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst report of a test's three phases, and count it after the last."""
        known = self._outcomes.get(report.nodeid)
        if known is None or (known.passed and (report.when == "call" or not report.passed)):
            self._outcomes[report.nodeid] = report
        if report.when == "teardown":
            self._count(self._outcomes.pop(report.nodeid))

    def _count(self, report: pytest.TestReport) -> None:
        name = _name(report.nodeid)
        lines = self.result.tests[name]
        if report.failed:
            self.result.failures.append(Failure(name, lines, self._detail(report)))
        for line in map(self.result.lines.__getitem__, lines):
            line.passed += report.passed
            line.failed += report.failed
            if report.skipped:
                line.skipped.append(_reason(report))
            if line.seen == line.tests:
                self._told(line)

    def _detail(self, report: pytest.TestReport) -> str:
        text = str(getattr(report.longrepr, "reprcrash", None) or report.longrepr)
        for secret in self._scratch.adapter.secrets:
            text = text.replace(secret, MASK)
        return "\n".join(text.splitlines()[:_DETAIL_LINES])


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _name(nodeid: str) -> str:
    """Return a test's name without its file: what it stands for is told by its sentence."""
    return nodeid.partition("::")[2]
