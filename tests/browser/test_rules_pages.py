"""The pages over rules, with rules in them, in light and dark, wide and narrow."""

import os
import subprocess
import sys

import pytest

from tests.browser.conftest import Open
from tests.browser.test_pages import FAINT, LOOKS, UNNAMED, sideways
from tests.server import PROJECT, Running

pytestmark = pytest.mark.server

PLACE = "tenant=acme&env=dev"
PAGES = (
    f"rules-pipelines/?{PLACE}",
    f"rules-limits/?{PLACE}",
    f"rules-limits/limit/?{PLACE}&code=CATCH_UP_60_63_414V",
    f"rules-chosen/?{PLACE}&name=MATCH&client=northwind",
    f"rules-chosen/?{PLACE}&of=validation&name=division&client=northwind",
    f"rules-revisions/?{PLACE}",
    f"rules-revisions/revision/?{PLACE}&number=2",
    f"rules-revisions/compare/?{PLACE}&before=1&after=4",
)


@pytest.fixture(scope="module")
def seeded(back_office: Running) -> Running:
    """The server, with acme's rules."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NORTHSTAR_", "DJANGO_"))}
    subprocess.run(
        [sys.executable, "manage.py", "seed_rules", "--tenant", "acme", "--client", "northwind"],
        cwd=PROJECT,
        env={
            **inherited,
            "DJANGO_SETTINGS_MODULE": "northstar.settings.lab",
            "NORTHSTAR_HOME": str(back_office.home),
        },
        check=True,
    )
    return back_office


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS, ids=["light, wide", "dark, narrow"])
def test_every_page_over_rules_is_silent_fits_and_can_be_read(visit: Open, seeded, scheme, viewport):
    one = visit("viewer", color_scheme=scheme, viewport=viewport)
    for path in PAGES:
        page = one.go(f"stores/{path}")
        assert not sideways(page), path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate(FAINT) == [], path


def test_a_reader_goes_from_a_step_to_its_rule_and_to_the_rule_of_a_client(visit: Open, seeded):
    page = visit("viewer").go(f"stores/rules-pipelines/?{PLACE}")
    page.get_by_role("link", name="MATCH", exact=True).first.click()
    page.get_by_label("For client:").fill("northwind")
    page.get_by_role("button", name="Explain").click()
    assert "chosen: the first that has one" in page.locator(".rules-winner").first.inner_text()
    assert page.get_by_role("heading", level=1).inner_text() == "MATCH for northwind"
