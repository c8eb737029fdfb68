"""A real browser at the real server: whatever a page complains of in its console fails the test that visited it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright

from tests.browser.chromium import chromium
from tests.server import PROJECT, Running

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 800}
PATIENCE = 30_000
"""Milliseconds: a loaded machine is no finding."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one module: while it runs, Django's ORM cannot be used in this process."""
    program = chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program.path, env={**os.environ, **program.environment}, timeout=2 * PATIENCE
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def back_office(server: Running) -> Running:
    """The server, with a viewer, an operator and an admin who may log in; the role is the password."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NORTHSTAR_", "DJANGO_"))}
    subprocess.run(
        [sys.executable, "-m", "tests.browser.people"],
        cwd=PROJECT,
        env={**inherited, "NORTHSTAR_HOME": str(server.home)},
        check=True,
    )
    return server


@dataclass
class Visit:
    """A page of somebody who is logged in, and what it complained of."""

    page: Page
    site: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on("response", self._look)

    def go(self, path: str) -> Page:
        """Open a page of the back office."""
        self.page.goto(f"{self.site}/admin/{path}")
        return self.page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _look(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.url} answered {response.status}")


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, back_office: Running) -> Iterator[Open]:
    """`visit("operator")` logs somebody in; a complaint of any page fails the test at its end."""
    visits: list[Visit] = []

    def log_in(role: str, **options: Any) -> Visit:
        context = browser.new_context(viewport=options.pop("viewport", WIDE), **options)
        visits.append(Visit(context.new_page(), back_office.url))
        page = visits[-1].go("login/")
        page.get_by_label("Username").fill(role)
        page.get_by_label("Password").fill(role)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/admin/")
        return visits[-1]

    yield log_in
    for one in visits:
        one.page.context.close()
    assert [complaint for one in visits for complaint in one.complaints] == []


def screenshot(page: Page, path: Path) -> None:
    """Keep a picture of the whole page."""
    page.screenshot(path=path, full_page=True)
